"""measure -- one run of a program for the demo, native or under Weft, and two variants in turn

A variant is a number of hubs, or None for native. Native runs have neither LD_PRELOAD nor WEFT_*;
under Weft a program is started as a user would, by `weft run'. The program runs on the first CPU
that we may use; the clients are on the last. Every run has a time limit, and, when root, a network
of its own; else the next address of 127/8, because closed connections keep their ports for a
minute.

A run under Weft that never activated, or that held fewer tasks than it should have, is a Failure.
Where a ratio is to be judged, use `weft compare'.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests"))
import harness
import stats
from harness import BUILD, CPUS, SEED, Failure, check

SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
_choice = random.Random(SEED)
_addresses = iter("127.%d.%d.%d" % (a, b, c) for a in range(1, 255) for b in range(255)
                  for c in range(1, 255))

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def fresh_network():
    """Prepare a network for the next run; returns the address for its server to listen on."""
    return "127.0.0.1" if harness.own_network() else next(_addresses)


def parse(text):
    """{name: number} of lines `name value unit'."""
    result = {}
    for line in text.splitlines():
        word = line.split()
        if len(word) == 3:
            result[word[0]] = float(word[1])
    return result


class Process:
    """A program that runs, with its output in a pipe; leaving the `with' block ends it by its pid."""

    def __init__(self, argv, hubs=None):
        self.name, self.hubs = os.path.basename(argv[0]), hubs
        self.directory = tempfile.TemporaryDirectory(prefix="weft-demo.")
        self.statistics = os.path.join(self.directory.name, "stat")
        env = harness.environment(None, self.directory.name)
        if hubs is not None:
            argv = [os.path.join(BUILD, "weft"), "run", "--hubs", str(hubs), "--stats",
                    self.statistics, "--require", "--"] + argv
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CPU})   # for the child to inherit
        try:
            with open(os.path.join(self.directory.name, "stderr"), "wb") as err:
                self.popen = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.PIPE, stderr=err, text=True)
        finally:
            os.sched_setaffinity(0, before)
        self.pid = self.popen.pid

    def line(self):
        """The next line of its output."""
        text = self.popen.stdout.readline()
        if not text:
            self.popen.kill()
            self.popen.wait()
            raise Failure(self.end())
        return text

    def errors(self):
        """The end of what it wrote to standard error."""
        with open(os.path.join(self.directory.name, "stderr"), "rb") as f:
            return f.read().decode(errors="replace").strip()[-500:]

    def end(self):
        """How it ended, in words."""
        return "%s [%s] ended with status %s: %s" % (
            self.name, harness.way_name(self.hubs), harness.status_name(self.popen.returncode),
            self.errors() or "it said nothing")

    def finish(self, timeout, allowed=(0,)):
        """Wait for its end; returns the rest of its output."""
        try:
            output = self.popen.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.communicate()
            raise Failure("%s [%s] was not done after %g s" % (
                self.name, harness.way_name(self.hubs), timeout)) from None
        check(self.popen.returncode in allowed, self.end())
        return output

    def counters(self, tasks):
        """Its statistics; Failure unless it is on Weft and has had `tasks' threads at once."""
        found = stats.read(self.statistics)
        check(found is not None, self.name, "left no statistics: it never ran under Weft")
        check(found.active, self.name, "ran natively:", found.why or "no reason given")
        check(found.alive_max > tasks, self.name, "held", found.alive_max - 1, "tasks, not", tasks)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *what):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()
        self.directory.cleanup()


def footprint(pid):
    """Bytes of a process: proportional set, page tables and the kernel's stacks."""
    m = harness.memory(pid)
    return m["pss"] + m["page_tables"] + m["kernel_stacks"]


def in_turn(count, one, other):
    """Run one() and other() `count' times each; returns their results as two lists.

    The order of a pair is AB or BA, in permuted blocks of two pairs.
    """
    ones, others, orders = [], [], []
    for _ in range(count):
        if not orders:
            orders = [0, 1]
            _choice.shuffle(orders)
        if orders.pop():
            ones.append(one())
            others.append(other())
        else:
            later = other()
            ones.append(one())
            others.append(later)
    return ones, others
