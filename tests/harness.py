"""harness -- run a program bare, with one hub and with two, and watch it from outside

    import harness
    from harness import check, run, start, test

    @test
    def downloads_are_whole():
        for hubs in harness.WAYS:                       # None (bare), 1, 2
            with start(["python3", "-m", "http.server", "8000"], hubs=hubs, threads=200) as server:
                server.wait_port(8000)
                ...                                     # talk to it: same network namespace
                server.stop(signal.SIGINT)              # raises Failure when a promise was broken

    harness.main()                                      # closing line: N passed, M failed

A run has its own session, its own directory for statistics, no core file, and ends by process id.
Under Weft it has LD_PRELOAD, WEFT_REQUIRE=1, WEFT_HUBS and WEFT_STATS; bare it has none of them.
Sampled while it runs: every 100 ms the kernel threads other than iou-* of each process that is
active, at most hubs + 4; every 10 ms its carriers: asleep in a call other than epoll_pwait2 (or a
spare's futex) counts as blocked. WEFT_TEST_SEED is exported to every run; give it to replay one.
"""
import atexit
import ctypes
import fcntl
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import autopsy
from stats import read, read_all

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
LIBRARY = os.path.join(BUILD, "libweft.so")
WAYS = (None, 1, 2)
EXTRA_KTHREADS = 4          # kernel threads beside the hubs that a process under load may have
CPUS = sorted(os.sched_getaffinity(0))
SEED = int(os.environ.get("WEFT_TEST_SEED") or random.SystemRandom().randrange(1, 1 << 31))
EPOLL_PWAIT2, FUTEX = 441, 202
SAMPLE, COUNT_EVERY = 0.01, 10
AT_ONCE = 32                # carriers looked at in one sample

resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
_libc = ctypes.CDLL(None, use_errno=True)
_serial = iter(range(1, 1 << 60))
_live = set()               # of Process


class Failure(Exception):
    """A promise that was broken, in words for the person who reads the log."""


def check(condition, *what):
    """Raise Failure unless condition holds; `what' says what was wanted and what came instead."""
    if not condition:
        raise Failure(" ".join(str(w) for w in what) or "check failed")


def way_name(hubs):
    return "bare" if hubs is None else "%d hub%s" % (hubs, "" if hubs == 1 else "s")


def wait_for(condition, timeout=10, what="a condition"):
    """Poll condition() until it is true and return its value; Failure after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %g s for %s" % (timeout, what))
        time.sleep(0.005)


# -- surroundings of a run -------------------------------------------------------------------------

def own_network():
    """Give the calling thread, and what it starts from now on, a network with loopback alone.

    Returns False where that is not allowed; then the host's loopback is used.
    """
    if os.geteuid() != 0 or _libc.unshare(0x40000000) != 0:      # CLONE_NEWNET
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))   # SIOCSIFFLAGS: UP, RUNNING
    return True


def own_mounts(replace):
    """Give the calling thread, and what it starts, a mount namespace with files replaced.

    replace  {path of a file: its content there}, for instance {"/etc/hosts": "127.0.0.1 there\\n"}
    Raises Failure where that is not allowed.
    """
    check(os.geteuid() == 0 and _libc.unshare(0x20000) == 0, "no mount namespace")     # CLONE_NEWNS
    check(_libc.mount(None, b"/", None, 0x4000 | 0x40000, None) == 0, "cannot make / private")
    directory = tempfile.mkdtemp(prefix="weft-mounts.")
    atexit.register(shutil.rmtree, directory, True)
    for number, (path, content) in enumerate(replace.items()):
        mine = os.path.join(directory, str(number))
        with open(mine, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(mine, 0o644)
        done = _libc.mount(mine.encode(), path.encode(), None, 0x1000, None)           # MS_BIND
        check(done == 0, "cannot mount over", path)


def free_port():
    """A port that nothing uses now. In a network of our own nobody else can take it meanwhile."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_time(pid):
    """CPU seconds of a process, threads that ended included (children are not)."""
    return time.clock_gettime(((~pid) << 3) | 2)


def memory(pid):
    """Bytes of a process: {"pss", "page_tables", "kernel_stacks", "threads"}."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        pss = int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
    with open("/proc/%d/status" % pid) as f:
        status = f.read()
    threads = int(re.search(r"^Threads:\s+(\d+)", status, re.M).group(1))
    tables = int(re.search(r"^VmPTE:\s+(\d+)", status, re.M).group(1)) * 1024
    return {"pss": pss, "page_tables": tables, "kernel_stacks": threads * 16384, "threads": threads}


def environment(hubs, directory, env=None, preload=None, linked=False):
    """The environment of a run: ours without LD_PRELOAD and WEFT_*, then Weft's, then `env'.

    env      {name: value}; None as a value removes the name
    preload  a further library to preload, beside libweft.so where there is one
    linked   the program is linked with libweft.so: do not preload it
    """
    result = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("WEFT_")}
    result["WEFT_TEST_SEED"] = str(SEED)
    libraries = [preload] if preload else []
    if hubs is not None:
        if not linked:
            libraries.insert(0, LIBRARY)
        result.update(WEFT_REQUIRE="1", WEFT_HUBS=str(hubs), WEFT_STATS=directory + "/stat.%p")
    if libraries:
        result["LD_PRELOAD"] = ":".join(libraries)
    for name, value in (env or {}).items():
        result[name] = value
    return {k: v for k, v in result.items() if v is not None}


# -- a program that runs ----------------------------------------------------------------------------

class Samples:
    """What was seen of the carriers and kernel threads while a program ran."""

    def __init__(self):
        self.ticks = 0
        self.seen = 0               # looks at a carrier that was not an idle spare
        self.blocked = 0            # of these, asleep in a call that the hub does not wait in
        self.calls = {}             # the number of that call: how often
        self.kthreads_max = 0       # most kernel threads other than iou-* of one process
        self.over = ""              # the first sample above the limit

    def share(self):
        """Per cent of the looks at carriers that found one blocked."""
        return 100.0 * self.blocked / self.seen if self.seen else 0.0

    def text(self):
        names = autopsy.call_names()
        worst = sorted(self.calls.items(), key=lambda c: -c[1])[:4]
        return "%.1f %% of %d looks blocked%s" % (self.share(), self.seen, "".join(
            " %s:%d" % (names.get(nr, nr), n) for nr, n in worst))

    def look(self, pid, path, limit):
        """One sample of one process with its statistics in that file."""
        stats = read(path, brief=True)
        if not stats or not stats.active:
            return
        carriers = [c for c in stats.carriers if c[1] in ("HUB", "DETACHED", "SPARE")]
        if len(carriers) > AT_ONCE:
            carriers = random.sample(carriers, AT_ONCE)
        calls = [(c, sleeps_in(pid, c[0])) for c in carriers]
        odd = any(nr not in (None, EPOLL_PWAIT2) for _, nr in calls)
        after = read(path, brief=True) if odd else stats
        for carrier, nr in calls:
            if nr == FUTEX and carrier[1] == "SPARE" or after and carrier not in after.carriers:
                continue            # idle, or it became something else while we looked
            self.seen += 1
            if nr not in (None, EPOLL_PWAIT2):
                self.blocked += 1
                self.calls[nr] = self.calls.get(nr, 0) + 1
        if self.ticks % COUNT_EVERY == 0:
            self.count(pid, stats, stats.hubs + EXTRA_KTHREADS if limit == "hubs" else limit)

    def count(self, pid, stats, limit):
        n = count_kthreads(pid)
        self.kthreads_max = max(self.kthreads_max, n)
        if limit is not None and n > limit and not self.over:
            self.over = "%d kernel threads in process %d (limit %d): %s" % (
                n, pid, limit, ", ".join("%d %s" % c for c in stats.carriers))


def sleeps_in(pid, tid):
    """The system call that a kernel thread sleeps in; None where it runs or has ended."""
    path = "/proc/%d/task/%d/" % (pid, tid)
    try:
        with open(path + "syscall") as f:
            call = f.read().split()[0]
        with open(path + "stat") as f:
            state = f.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None
    return int(call) if call.isdigit() and state in "SD" else None


def count_kthreads(pid):
    n = 0
    try:
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/comm" % (pid, tid)) as f:
                n += not f.read().startswith("iou-")
    except OSError:
        pass
    return n


class Result:
    """How a run ended.

    rc        exit status, or minus the signal; None while it runs
    out, err  bytes it wrote
    stats     Stats of the process that had most tasks (the first one if it has any), or None
    all       {pid: Stats} of every process that left a file
    samples   Samples
    wall, cpu seconds; cpu counts children that were waited for
    problems  broken promises, one line each
    """

    def __init__(self, process):
        self.argv, self.hubs, self.seed = process.argv, process.hubs, process.seed
        self.rc = self.stats = None
        self.out = self.err = b""
        self.all, self.problems = {}, []
        self.samples, self.wall, self.cpu, self.maxrss = process.samples, 0.0, 0.0, 0
        self.timed_out, self.report = False, ""

    def text(self):
        """What a person wants to see of a failed run."""
        lines = ["command: " + " ".join(self.argv), "way: %s, status: %s, %.2f s, WEFT_TEST_SEED=%s"
                 % (way_name(self.hubs), status_name(self.rc), self.wall, self.seed)]
        lines += ["problem: " + p for p in self.problems]
        for name, data in (("stdout", self.out), ("stderr", self.err)):
            tail = data.decode(errors="replace").splitlines()[-40:]
            lines += ["%s: %s" % (name, line) for line in tail]
        if self.stats:
            lines.append("stats: " + self.stats.text())
        if self.samples.seen:
            lines.append("samples: %s; at most %d kernel threads"
                         % (self.samples.text(), self.samples.kthreads_max))
        return "\n".join(lines) + ("\n" + self.report if self.report else "")

    def expect(self, rc=0):
        """Raise Failure unless it ended with rc (None: any) and kept every promise."""
        if rc is not None and self.rc != rc:
            self.problems.insert(0, "status %s, not %s" % (status_name(self.rc), status_name(rc)))
        if self.problems:
            raise Failure("%s [%s]: %s\n%s" % (os.path.basename(self.argv[0]), way_name(self.hubs),
                                               self.problems[0], self.text()))
        return self


def status_name(rc):
    return "running" if rc is None else str(rc) if rc >= 0 else signal.Signals(-rc).name


class Process:
    """A program between its start and its end; start() makes one. Also a context manager."""

    def __init__(self, argv, hubs=None, *, timeout=60, env=None, cwd=None, stdin=None, threads=0,
                 blocked=None, kthreads="hubs", cpus=None, preload=None, linked=False,
                 missed=False):
        self.argv, self.hubs, self.timeout = [str(a) for a in argv], hubs, timeout
        self.threads, self.blocked_limit, self.kthreads = threads, blocked, kthreads
        self.missed = missed
        self.directory = tempfile.mkdtemp(prefix="weft-test.")
        atexit.register(shutil.rmtree, self.directory, True)
        self.mark = "%d.%d" % (os.getpid(), next(_serial))
        env = environment(hubs, self.directory, env, preload, linked)
        env["WEFT_TEST_RUN"] = self.mark
        self.seed = env.get("WEFT_TEST_SEED", "")
        self.samples, self._done, self._gone = Samples(), threading.Event(), set()
        self.result = Result(self)
        self.began = time.monotonic()
        self._spawn(env, cwd, stdin, cpus)
        _live.add(self)

    def _spawn(self, env, cwd, stdin, cpus):
        if isinstance(stdin, (bytes, str)):
            data = stdin.encode() if isinstance(stdin, str) else stdin
            stdin = open(os.path.join(self.directory, "stdin"), "w+b")
            stdin.write(data)
            stdin.seek(0)
        with open(self.path("stdout"), "wb") as out, open(self.path("stderr"), "wb") as err:
            before = os.sched_getaffinity(0)
            try:
                if cpus is not None:        # of this thread, for the child to inherit
                    os.sched_setaffinity(0, CPUS[:cpus] if isinstance(cpus, int) else cpus)
                self.popen = subprocess.Popen(
                    self.argv, env=env, cwd=cwd, stdin=stdin or subprocess.DEVNULL, stdout=out,
                    stderr=err, start_new_session=True)
            finally:
                if cpus is not None:
                    os.sched_setaffinity(0, before)
        self.pid = self.popen.pid
        self.pidfd = os.pidfd_open(self.pid)

    def path(self, name):
        return os.path.join(self.directory, name)

    def output(self, name="stdout"):
        """What it has written so far to stdout or stderr, as text."""
        with open(self.path(name), "rb") as f:
            return f.read().decode(errors="replace")

    def stats(self):
        """Its statistics as they are now, or None."""
        return self._choose(read_all(self.directory))

    def cpu_time(self):
        return cpu_time(self.pid)

    def memory(self):
        return memory(self.pid)

    def running(self):
        return not self._done.is_set()

    def kill(self, number):
        if self.running():
            os.kill(self.pid, number)

    def _choose(self, everyone):
        first = everyone.get(self.pid)
        if first and first.active:
            return first
        return max(everyone.values(), key=lambda s: (s.active, s.alive_max), default=None)

    def _sample(self):
        self.samples.ticks += 1
        for name in os.listdir(self.directory):
            if name.startswith("stat.") and name not in self._gone:
                pid = int(name[5:])
                if os.path.exists("/proc/%d/task" % pid):
                    self.samples.look(pid, self.path(name), self.kthreads)
                else:
                    self._gone.add(name)

    def watch(self):
        """Sample until it ends or its time is over; then collect everything. Fills .result."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        end = self.began + self.timeout
        while not poll.poll(SAMPLE * 1000 if self.hubs is not None else 50):
            if time.monotonic() > end:
                self.result.timed_out = True
                self.result.report = autopsy.report(self.pid, self.directory, self.mark)
                autopsy.end(self.pid, self.mark)
                break
            if self.hubs is not None:
                self._sample()
        self._collect()
        _live.discard(self)
        self._done.set()

    def _collect(self):
        result = self.result
        _, status, usage = os.wait4(self.pid, 0)
        result.wall = time.monotonic() - self.began
        self.popen.returncode = result.rc = os.waitstatus_to_exitcode(status)
        os.close(self.pidfd)
        autopsy.end(None, self.mark)        # whatever it left behind
        result.cpu, result.maxrss = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        for name, field in (("stdout", "out"), ("stderr", "err")):
            with open(self.path(name), "rb") as f:
                setattr(result, field, f.read())
        result.all = read_all(self.directory)
        result.stats = self._choose(result.all)
        shutil.rmtree(self.directory, True)
        self._judge()

    def _judge(self):
        """What every run under Weft promises, whatever the program is."""
        result, stats, say = self.result, self.result.stats, self.result.problems.append
        if result.timed_out:
            say("not done after %g s" % self.timeout)
        if self.hubs is None:
            return
        if self.threads > 0 and not (stats and stats.active):
            say("never activated: %s" % (stats.why if stats else "no statistics"))
        elif self.threads > 0 and stats.alive_max < self.threads + 1:
            say("%d tasks at once, %d wanted" % (stats.alive_max, self.threads + 1))
        helped = sum(one.count["rearms_helped"] for one in self.result.all.values())
        if helped and not self.missed:
            say("%d waits had missed an event" % helped)
        if self.samples.over:
            say(self.samples.over)
        if self.blocked_limit is not None and self.samples.share() > self.blocked_limit:
            say("carriers blocked: %s, limit %g %%" % (self.samples.text(), self.blocked_limit))

    def watch_in_background(self):
        threading.Thread(target=self.watch, daemon=True).start()

    def wait(self, rc=0):
        """Wait for its end and return the Result; Failure unless it ended with rc (None: any)."""
        self._done.wait()
        return self.result.expect(rc)

    def wait_port(self, port, timeout=10):
        """Wait until something listens on that TCP port, without connecting to it."""
        def listening():
            check(self.running(), "ended before it listened:", self.result.text())
            for name in ("tcp", "tcp6"):
                with open("/proc/thread-self/net/" + name) as f:
                    for line in f.readlines()[1:]:
                        field = line.split()
                        if field[3] == "0A" and int(field[1].rpartition(":")[2], 16) == port:
                            return True
            return False
        wait_for(listening, timeout, "port %d of %s" % (port, self.argv[0]))
        return port

    def wait_output(self, pattern, timeout=10, name="stdout"):
        """Wait until what it wrote matches a regular expression; returns the match."""
        def found():
            match = re.search(pattern, self.output(name)) if self.running() else None
            check(match or self.running(), "ended before it said so:", self.result.text())
            return match
        return wait_for(found, timeout, "/%s/ from %s" % (pattern, self.argv[0]))

    def stop(self, number=signal.SIGTERM, rc="any", timeout=10):
        """End it with a signal and return the Result, its promises checked.

        rc  the status wanted; by default 0, death by this signal, or 128 + its number
        """
        self.kill(number)
        if not self._done.wait(timeout):
            self.result.problems.append("did not end %g s after %s" % (timeout, number.name))
            self.result.report = autopsy.report(self.pid, self.directory, self.mark)
            autopsy.end(self.pid, self.mark)
            self._done.wait()
        if rc == "any":
            rc = self.result.rc if self.result.rc in (0, -number, 128 + number) else 0
        return self.result.expect(rc)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.running():
            if kind is not None:            # the test failed: say what the program was doing
                sys.stdout.write(autopsy.report(self.pid, self.directory, self.mark, brief=True))
            autopsy.end(self.pid, self.mark)
        self._done.wait()


def end_all():
    """End everything that still runs, by process id."""
    for process in list(_live):
        autopsy.end(process.pid, process.mark)


atexit.register(end_all)


def run(argv, hubs=None, *, rc=0, expect=True, **options):
    """Run a program to its end and return its Result.

    hubs     None: bare; 1, 2, …: under Weft
    timeout  seconds (60); then stacks of everything are printed and it is ended
    env      {name: value} to add, None to remove     cwd    directory       stdin  bytes, text or file
    threads  under Weft: it must activate and have so many tasks at once beside the first
    blocked  under Weft: per cent of looks that may find a carrier blocked (None: any)
    kthreads under Weft: most kernel threads at once ("hubs": hubs + 4; None: any)
    missed   a wait may miss an event, because the program hides what it does
    cpus     pin it to so many CPUs, or to a set of them     preload  a further library to preload
    linked   the program is linked with the library itself
    rc       the status wanted (None: any)            expect False: return broken promises in .problems
    """
    process = Process(argv, hubs, **options)
    process.watch()
    return process.result.expect(rc) if expect else process.result


def start(argv, hubs=None, **options):
    """Start a program that serves; options as for run() (timeout: of its whole life).

    Leaving the `with' block ends it by SIGKILL if it still runs; .stop() ends it and checks.
    """
    process = Process(argv, hubs, **options)
    process.watch_in_background()
    return process


# -- figures ----------------------------------------------------------------------------------------

def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def half_width(ratios):
    """Of a 95 % interval for their median, by their quartiles."""
    row = sorted(ratios)
    quarter = len(row) // 4
    return 1.57 * (row[-1 - quarter] - row[quarter]) / len(row) ** 0.5


def pairs(n, native, weft, precision=0.04):
    """Call native() and weft() n times each, interleaved; returns (values, values, median ratio).

    The order within a pair changes at random, equally often both ways. The ratio is weft / native.
    A machine that other work makes noisy gets up to 3 n pairs, until the ratio is known to the
    precision: what it is has no part in that.
    """
    choice, ones, others, order, ratios = random.Random(SEED), [], [], [], []
    while len(ratios) < n or (len(ratios) < 3 * n and
                              half_width(ratios) > precision * median(ratios)):
        if not order:
            order = [0, 1]
            choice.shuffle(order)
        if order.pop():
            ones.append(native())
            others.append(weft())
        else:
            other = weft()
            ones.append(native())
            others.append(other)
        ratios.append(others[-1] / ones[-1])
    return ones, others, median(ratios)


# -- tests ------------------------------------------------------------------------------------------

_tests = []


def test(function):
    """Register a test; its name is the outcome it asserts. It fails by raising."""
    _tests.append(function)
    return function


def main(argv=None):
    """Run the registered tests (those named in argv, or all) and exit: 0 if all passed.

    They run one after the other in this process, in a network namespace of its own when root.
    """
    names = sys.argv[1:] if argv is None else argv
    if any(n in ("-h", "--help") for n in names):
        print("usage: %s [TEST…]\n" % sys.argv[0] + "\n".join("  " + t.__name__ for t in _tests))
        sys.exit(0)
    own_network()
    print("%s: WEFT_TEST_SEED=%d" % (os.path.basename(sys.argv[0]), SEED))
    chosen = [t for t in _tests if not names or t.__name__ in names]
    passed = failed = 0
    for function in chosen:
        began = time.monotonic()
        try:
            function()
            passed += 1
            word = "ok  "
        except Failure as e:
            failed += 1
            word = "FAIL"
            print(e)
        except Exception:
            failed += 1
            word = "FAIL"
            traceback.print_exc(file=sys.stdout)
        print("%s %-60s %6.1f s" % (word, function.__name__, time.monotonic() - began), flush=True)
    print("%d passed, %d failed" % (passed, failed), flush=True)
    sys.exit(1 if failed or not passed else 0)
