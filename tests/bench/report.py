"""report -- one comparison by `weft compare', and the line that tells of it

Every ratio comes from `weft compare': pairs of fresh processes in an order drawn by lot, estimate
and interval. A command is pinned to one CPU, together with `weft compare', which sleeps meanwhile;
of a server and its load it takes care itself. So Weft has one hub, unless a row says otherwise.

A comparison is of what is called `theirs', natively, with our program under Weft. With another
build given it is of our program under that build's Weft and under ours: all the rest is the same.
"""
import json
import os
import subprocess

import harness
from harness import BUILD, CPUS, Failure, check

SEED = 1 + harness.SEED % 10 ** 9     # the most that `weft compare' takes
WEFT = os.path.join(BUILD, "weft")
PIN = ["taskset", "-c", str(CPUS[0])]
LINE = "{:<23} {:<13} {:>10} {:>10} {:<9} {:<24} {:>5} {:<20} {:<9} {:<5} {}"
SCALE = {"ns": 1e9, "us": 1e6, "B": 1, "req/CPU s": 1, "ms": 1e3}
NO_ANSWER = ("failed", "lost", "differs", "too coarse", "too few")

# The last figure of a program's output in this unit; its programs print one.
FIGURE = "--metric=%s=([0-9.]+ %s)$:lower"


def program(name):
    """The path of a bench program."""
    return os.path.join(BUILD, "tests/bench", name)


def number(value):
    if value is None:
        return "-"
    return "%.4g" % value if abs(value) < 1000 else "%.0f" % value


class Bound:
    """A target: `ratio' judges a ratio with its interval, `value' an absolute figure."""

    def __init__(self, sign, limit):
        self.sign, self.limit = sign, limit

    def __str__(self):
        return "%s %s" % (self.sign, number(self.limit))

    def value(self, value):
        return value <= self.limit if self.sign == "<=" else value >= self.limit

    def ratio(self, estimate, lower, upper):
        """By the rule of MEASURING.md: a noisy interval does not make a target hold."""
        if self.sign == "<=":
            return estimate <= self.limit and upper <= 1.05 * self.limit
        return estimate >= self.limit and lower >= self.limit - .03


class Case:
    """What `weft compare' found at one level: its summary's case, with what the judged figure is."""

    def __init__(self, summary, case):
        self.connections, self.pairs, self.verdict = (case[n] for n in (
            "connections", "pairs", "verdict"))
        self.interval = case["ratio"], case["lower"], case["upper"]
        self.higher, self.sentence, self.error = (summary["higher_is_better"], case["sentence"],
                                                  case["error"])
        self.figures, self.why = case["figures"], case["why"]
        primary = summary["primary"]
        self.primary = primary if primary in self.figures else (
            "requests_per_cpu_s" if self.higher else "wall_s")

    def both(self, figure=None, unit="B"):
        """The medians of a figure, the judged one by default."""
        found = self.figures.get(figure or self.primary) or {"base": None, "variant": None}
        return [v if v is None else v * SCALE[unit] for v in (found["base"], found["variant"])]


class Report:
    """Makes comparisons and prints rows; knows which missed their target or could not be made.

    old   the directory of another build to compare ours with, under its `name'; or None
    show  print each command line
    """

    def __init__(self, old=None, name=None, show=False):
        self.old, self.name, self.show, self.missed, self.broken = old, name, show, [], []
        print("seed %d, commands and servers on CPU %d, loads on CPU %d" % (
            SEED, CPUS[0], CPUS[-1]))
        print(LINE.format("row", "against", "its value", "Weft", "unit", "ratio (interval)", "pairs",
                          "verdict", "target", "holds", "to reach"), flush=True)

    def compare(self, ours, *options, theirs=None, weft="", pin=True, threads=True):
        """The cases of one `weft compare'.

        ours     the words of our program;   theirs  a program that gets the same arguments
        weft     for --variant, under which ours runs
        pin      to one CPU, unless it is a server
        threads  it makes some: it is an error when Weft was not active
        """
        pin = pin and not any(word.startswith("--ready") for word in options)
        words = [WEFT, "compare", "--json", "--seed=%d" % SEED, "--timeout=60", *options]
        if self.old:
            run = ["run", "--require", "--", *ours]
            words += ["--program-b=" + WEFT, "--", os.path.join(self.old, "weft"), *run]
        elif theirs:
            words += ["--program-b=" + ours[0], "--variant=weft=" + weft, "--", theirs, *ours[1:]]
        else:
            words += ["--variant=weft=" + weft, "--", *ours]
        # Without one pair that counts the status is 125, and the summary says why.
        summary = json.loads(self.run((PIN if pin else []) + words, 1800, allowed=(0, 125)))
        cases = [Case(summary, case) for case in summary["cases"]]
        for case in cases:
            check(case.verdict not in NO_ANSWER, case.error or case.sentence)
            check(not threads or not any(w.startswith("0 tasks") for w in case.why), *case.why)
        return cases

    def run(self, words, timeout, allowed=(0,)):
        """Run a command to its end; returns what it printed."""
        if self.show:
            print("  $", " ".join("'%s'" % w if set(w) & set(" ()$[]{}") else w for w in words),
                  flush=True)
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, timeout=timeout, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired:
            raise Failure("%s was not done after %g s" % (words[0], timeout)) from None
        check(done.returncode in allowed and (done.stdout or not done.returncode), "status %d: %s" % (
            done.returncode, done.stderr.strip()[-500:]))
        return done.stdout

    def line(self, name, against, theirs, ours, unit, *rest, bound=None, holds=None, reach="-"):
        ratio, pairs, verdict = rest or ("-", "-", "-")
        if holds is False:
            self.missed.append(name)
        print(LINE.format(name, self.name or against, number(theirs), number(ours),
                          unit, ratio, pairs, verdict, str(bound or "-"),
                          {None: "-", True: "yes", False: "NO"}[holds], reach).rstrip(),
              flush=True)

    def case(self, name, case, against, unit, bound=None, reach="-"):
        """The row of a comparison. Targets are for the usual ways, not for two builds."""
        bound, reach = (None, "-") if self.old else (bound, reach)
        better = (case.interval[0] > 1) == case.higher
        who = {"better": "%s better" % ("Weft" if better else against)}
        if self.old:
            who = {"better": "better" if better else "worse"}
        self.line(name, against, *case.both(unit=unit), unit, "%.3f (%.3f .. %.3f)" % case.interval,
                  case.pairs, who.get(case.verdict, case.verdict), bound=bound, reach=reach,
                  holds=bound and bound.ratio(*case.interval))

    def value(self, name, against, theirs, ours, unit, bound=None, reach="-"):
        """The row of absolute values, ours judged."""
        self.line(name, against, theirs, ours, unit, bound=bound, reach=reach,
                  holds=bound and bound.value(ours))

    def say(self, name, text):
        print("%-23s %s" % (name, text), flush=True)

    def fail(self, name, why):
        self.broken.append(name)
        self.say(name, "FAILED: %s" % why)
