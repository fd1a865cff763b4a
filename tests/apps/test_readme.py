#!/usr/bin/python3
"""test_readme -- scripts/readme: what it makes of what `make bench' and scripts/compare printed

usage: tests/apps/test_readme.py [-v] [CLASS[.TEST]]…
"""
import importlib.machinery
import importlib.util
import sys

from cli import *

sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests/bench")]
sys.dont_write_bytecode = True
from report import Bound, Report


def script():
    """scripts/readme as a module."""
    loader = importlib.machinery.SourceFileLoader("readme", os.path.join(ROOT, "scripts/readme"))
    spec = importlib.util.spec_from_loader("readme", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


readme = script()

COMPARED = """\
== pigz
build/weft compare --time 2m --output /tmp/x/pigz.jsonl -- pigz -k FILE
plan: 6 to 24 pairs of 2 s

                                          native          weft   ratio (95 % interval)
  wall time                             1.000 s       1.015 s    1.015 (1.003 … 1.028)
  page faults                                 10            11    1.100
  native is better by 1.5 % (0.3 … 2.8)
    by wall time, 24 pairs
    a reason that is left out
== echo
build/weft compare --echo 1024 --ready tcp:{port} -- ./server {port}
1 connection
                                          native          weft   ratio (95 % interval)
  latency, p50                          17.67 ms      9.531 ms    0.539 (0.521 … 0.552)
"""


class Tables(unittest.TestCase):
    def printed(self, *rows):
        """What the bench prints of these rows, read back."""
        with tempfile.TemporaryFile("w+") as f:
            out, sys.stdout = sys.stdout, f
            try:
                report = Report()
                for row in rows:
                    report.line(*row[0], **row[1])
            finally:
                sys.stdout = out
            f.seek(0)
            return readme.benched(f.read())

    def test_a_row_of_the_bench(self):
        row = ("echo, 1000", "epoll", 130840, 111062.4, "req/CPU s", "0.849 (0.821 .. 0.904)", 48,
               "epoll better")
        table = self.printed((row, {"bound": Bound(">=", .85), "holds": False, "reach": ">= .97"}))
        self.assertEqual(table["bench"].splitlines()[2:], [
            "| echo of 1 KiB, connections: 1 000 | epoll | 130 840 | 111 062 | req/CPU s |"
            " .849 (.821 … .904) | 48 | epoll better | ≥ .85 | **missed** |"])

    def test_a_figure_without_a_ratio(self):
        row = "  activation", "native", 81.87, 1600.2, "us"
        table = self.printed((row, {"bound": Bound("<=", 2000), "holds": True, "reach": "<= 1200, known 250"}))
        self.assertEqual(table["bench"].splitlines()[2:], [
            "| activation, with `weft.sites` | native | 81.87 | 1 600 | µs | – | – | – | ≤ 2 000 | holds |"])

    def test_peers_have_a_table_of_their_own(self):
        table = self.printed((("switch", "Go", 120.6, 216.5, "ns", "1.794 (1.741 .. 1.811)", 6,
                               "Go better"), {}),
                             (("echo, 10", "Go", 105507, 118049, "req/CPU s", "1.148 (1.097 .. 1.462)",
                               6, "not resolved"), {}))
        self.assertEqual(len(table["bench"].splitlines()), 2)
        self.assertEqual(table["peers"].splitlines()[2:], ["| Go | 1.79 | – | – | 1.15 | – | – |"])

    def test_what_was_not_measured_is_no_row(self):
        text = "memcached               not measured: there is no load for it\n  parked: thread 32444: no\n"
        self.assertEqual(len(readme.benched(text)["bench"].splitlines()), 2)

    def test_comparisons(self):
        tables = readme.compared(COMPARED)
        self.assertEqual(sorted(tables), ["compare echo", "compare pigz"])
        self.assertEqual(tables["compare pigz"].splitlines(), [
            "    weft compare --time 2m -- pigz -k FILE",
            "",
            "                                              native          weft   ratio (95 % interval)",
            "      wall time                             1.000 s       1.015 s    1.015 (1.003 … 1.028)",
            "      native is better by 1.5 % (0.3 … 2.8)",
            "        by wall time, 24 pairs"])
        self.assertIn("    1 connection\n", tables["compare echo"])

    def test_a_table_without_a_place_is_an_error(self):
        text = "a\n<!-- x -->\nold\n<!-- /x -->\n"
        self.assertEqual(readme.insert(text, {"x": "new"}), "a\n<!-- x -->\nnew\n<!-- /x -->\n")
        with self.assertRaises(SystemExit):
            readme.insert(text, {"y": "new"})

    def test_targets_are_judged_by_interval_and_value(self):
        for sign, limit, estimate, lower, upper, holds in (
                (">=", .85, .851, .821, .9, True), (">=", .85, .851, .819, .9, False),
                (">=", .85, .849, .848, .9, False), ("<=", .35, .35, .3, .367, True),
                ("<=", .35, .35, .3, .368, False), ("<=", .35, .351, .3, .352, False)):
            self.assertEqual(Bound(sign, limit).ratio(estimate, lower, upper), holds,
                             (sign, estimate, lower, upper))


if __name__ == "__main__":
    main()
