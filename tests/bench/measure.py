"""measure -- one run of a program, native or under Weft, and two variants compared in pairs

A variant is a number of hubs, or None for native. Native runs and the load generator have neither
LD_PRELOAD nor WEFT_*. The program measured runs on the first CPU that we may use, the load on the
second. Every run has a time limit, and, when root, a network of its own; else the next address of
127/8, because closed connections keep their ports for a minute.

A run under Weft that never activated, or that held fewer tasks than it should have, is a Failure.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile
from subprocess import PIPE

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness
import stats
from harness import BUILD, CPUS, SEED, Failure, check, median

SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[1 % len(CPUS)]
_choice = random.Random(SEED)
_padding = 0
_addresses = iter("127.%d.%d.%d" % (a, b, c) for a in range(1, 255) for b in range(255)
                  for c in range(1, 255))

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def program(name):
    """The path of a bench program."""
    return os.path.join(BUILD, "tests/bench", name)


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
    """A program that runs, with its output in a pipe; leaving the `with' block ends it by its pid.

    by_command  start it as a user would, by `weft run', instead of by LD_PRELOAD
    """

    def __init__(self, argv, hubs=None, cpu=SERVER_CPU, stdin=subprocess.DEVNULL, cwd=None,
                 by_command=False):
        self.name, self.hubs = os.path.basename(argv[0]), hubs
        self.directory = tempfile.TemporaryDirectory(prefix="weft-bench.")
        self.statistics = os.path.join(self.directory.name, "stat")
        env = harness.environment(None if by_command else hubs, self.directory.name)
        env["PADDING"] = "x" * _padding
        if hubs is not None and by_command:
            argv = [os.path.join(BUILD, "weft"), "run", "--hubs", str(hubs), "--stats",
                    self.statistics, "--require", "--"] + argv
        elif hubs is not None:
            env["WEFT_STATS"] = self.statistics
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})          # for the child to inherit
        try:
            with open(os.path.join(self.directory.name, "stderr"), "wb") as err:
                self.popen = subprocess.Popen(argv, env=env, stdin=stdin, stdout=PIPE,
                                              stderr=err, text=True, cwd=cwd)
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


def values(argv, hubs=None, tasks=1, timeout=60, **options):
    """Run a program to its end; returns its figures, and under Weft `activation_ns' as well."""
    with Process(argv, hubs, **options) as process:
        result = parse(process.finish(timeout))
        if hubs is not None:
            result["activation_ns"] = process.counters(tasks).activation_ns
        return result


def serve(name, hubs=None, **options):
    """Start an echo server in a network of its own; its Process has .address and .port.

    name  of a bench program, or the words of another command, which the address follows
    """
    address = fresh_network()
    argv = [program(name)] if isinstance(name, str) else name
    server = Process(argv + [address], hubs, **options)
    try:
        server.address, server.port = address, int(server.line().split()[1])
    except BaseException:
        server.__exit__()
        raise
    return server


def start_load(server, connections, *options, **more):
    """Start the load generator against a server."""
    return Process([program("load"), *options, server.address, str(server.port), str(connections)],
                   cpu=LOAD_CPU, **more)


def echo(name, hubs, connections, seconds, warm=.3, **options):
    """One run of an echo server under load; returns the generator's figures."""
    with serve(name, hubs, **options) as server:
        with start_load(server, connections, "-t", str(seconds), "-w", str(warm),
                        "-p", str(server.pid)) as load:
            result = parse(load.finish(seconds + warm + 60))
        check(result["requests"] > 0, server.name, "answered no request in the window: a stall")
        if hubs is not None:
            server.counters(connections)
        return result


def footprint(pid):
    """Bytes of a process: proportional set, page tables and the kernel's stacks."""
    m = harness.memory(pid)
    return m["pss"] + m["page_tables"] + m["kernel_stacks"]


def compare(count, one, other):
    """Run one() and other() in `count' pairs; returns their results as two lists.

    The order in a pair is AB or BA, in permuted blocks of two pairs, and both runs of a pair have
    the same padding of 0 to 4 KiB in their environment, which moves their stacks.
    """
    global _padding
    ones, others, orders = [], [], []
    for _ in range(count):
        if not orders:
            orders = [0, 1]
            _choice.shuffle(orders)
        _padding = _choice.randrange(4096)
        if orders.pop():
            ones.append(one())
            others.append(other())
        else:
            later = other()
            ones.append(one())
            others.append(later)
    return ones, others


def ratios(ones, others):
    """Median, least and greatest of the ratios other / one, pair by pair."""
    all_of_them = [b / a for a, b in zip(ones, others)]
    return median(all_of_them), min(all_of_them), max(all_of_them)
