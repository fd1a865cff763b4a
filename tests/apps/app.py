"""app -- what the tests of real programs share: ways, packages, scratch space, ratios

    from app import *

    needs("microsocks")                     # programs; says which package is missing, and skips

    @each_way                               # one test for each of bare, one hub, two hubs
    def connections_carry_their_bytes(hubs):
        ...

    @each_hubs                             # one test for each number of hubs, against native
    def requests_cost_no_more_cpu(hubs):
        served_per_cpu_second(hubs, once)

    main()                                  # arguments: --hubs native,1,2 and names of tests

The server runs on as many CPUs as it has hubs, counted from the first; the load on the last one.
"""
import atexit
import faulthandler
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness
from harness import CPUS, Failure, check, free_port, run, start, test

PYTHON = "/usr/bin/python3"
SKIPPED = 77                # exit status of a test whose program is missing
PAIRS = 7                   # runs of each variant behind a ratio
BLOCKED = 5                 # per cent of looks that may find a carrier blocked
SERVER_RATIO = 0.8          # of native's requests per server CPU-second
WALL_RATIO = 1.25           # of native's wall time

PACKAGES = {
    "stunnel4": "stunnel4", "redis-server": "redis-server", "redis-benchmark": "redis-tools",
    "xz": "xz-utils", "musl-gcc": "musl-tools", PYTHON: "python3", "unshare": "util-linux",
    "taskset": "util-linux", "microhttpd.h": "libmicrohttpd-dev", "test/regrtest.py":
    "libpython3.11-testsuite", "libjemalloc.so.2": "libjemalloc2", "prlimit": "util-linux",
    "setpriv": "util-linux", "rustc": "rustc", "javac": "default-jdk-headless",
}
FOLDERS = ("/usr/include", "/usr/lib/x86_64-linux-gnu", "/usr/lib/python3.11", "/usr/sbin")


def _ways():
    """Takes --hubs LIST from the command line: native (or bare), and numbers."""
    names = "native,1,2"
    for i, word in enumerate(sys.argv):
        if word == "--hubs" and i + 1 < len(sys.argv):
            names = sys.argv[i + 1]
            del sys.argv[i:i + 2]
            break
        if word.startswith("--hubs="):
            names = word[7:]
            del sys.argv[i]
            break
    return [None if n in ("native", "bare", "0") else int(n) for n in names.split(",")]


WAYS = _ways()
SCRATCH = tempfile.mkdtemp(prefix="weft-app.")
os.chmod(SCRATCH, 0o755)
_creator = os.getpid()


def _clean():
    if os.getpid() == _creator:
        shutil.rmtree(SCRATCH, True)


atexit.register(_clean)
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(_hard, 8192), _hard))


def path(name):
    """A name in the scratch directory of this test."""
    return os.path.join(SCRATCH, name)


def write(name, data):
    """Writes a file into the scratch directory and returns its path."""
    with open(path(name), "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    return path(name)


def present(name):
    return shutil.which(name) or any(os.path.exists(os.path.join(f, name)) for f in FOLDERS)


def skip(why):
    """Ends a test that cannot run here, in words and with a status that is not success."""
    print("skip %s: %s" % (os.path.basename(sys.argv[0]), why), flush=True)
    sys.exit(SKIPPED)


def needs(*names):
    """Skips the whole file where a program, header or library is missing."""
    missing = [PACKAGES.get(n, n) for n in names if not present(n)]
    if missing:
        skip("not installed: %s" % " ".join(missing))


def compile(name, source, *flags, cc="gcc"):
    """Compiles a C program and returns its path; libraries go into flags."""
    write(name + ".c", source)
    done = subprocess.run([cc, "-O2", "-g", "-o", path(name), path(name + ".c"), *flags],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, "cannot compile %s:\n%s" % (name, done.stdout))
    return path(name)


# -- tests in all ways -----------------------------------------------------------------------------

def _name(function, hubs):
    return "%s.%s" % (function.__name__, "native" if hubs is None else "%d_hub" % hubs)


def each_way(function):
    """Registers function(hubs) once for each way of --hubs."""
    for hubs in WAYS:
        def one(hubs=hubs):
            function(hubs)
        one.__name__ = _name(function, hubs)
        test(one)
    return function


def each_hubs(function):
    """Registers function(hubs) once for each number of hubs of --hubs."""
    for hubs in WAYS:
        if hubs is not None:
            def one(hubs=hubs):
                function(hubs)
            one.__name__ = _name(function, hubs)
            test(one)
    return function


def main(limit=120):
    """Runs what was registered; after `limit' seconds the running test fails, and the rest soon."""
    def late(*_):
        faulthandler.dump_traceback()
        raise Failure("%s is not done after %d s" % (os.path.basename(sys.argv[0]), limit))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit, 10)
    harness.main()


# -- native against Weft ---------------------------------------------------------------------------

def server_cpus(hubs):
    """CPUs for a server that is compared: as many as hubs."""
    return set(CPUS[:hubs or 1])


def load_cpu():
    """The CPU for the load: the last one."""
    return CPUS[-1]


def served_per_cpu_second(hubs, once):
    """Requests per server CPU-second, from interleaved pairs: at least 0.8 of native's.

    once(hubs or None, cpus) returns (requests, CPU seconds); it raises when a request failed.
    """
    cpus = server_cpus(hubs)

    def rate(way):
        requests, seconds = once(way, cpus)
        return requests / seconds

    native, weft, ratio = harness.pairs(PAIRS, lambda: rate(None), lambda: rate(hubs))
    print("     requests per server CPU-second: native %.0f, %s %.0f, ratio %.3f" % (
        harness.median(native), harness.way_name(hubs), harness.median(weft), ratio))
    check(ratio >= SERVER_RATIO, "ratio %.3f < %g: native %s, Weft %s" % (
        ratio, SERVER_RATIO, _round(native), _round(weft)))


def wall_time(hubs, once, limit=WALL_RATIO, pairs=PAIRS):
    """Interleaved pairs of once(hubs or None, cpus), which returns seconds: ≤ limit × native."""
    cpus = server_cpus(hubs)
    native, weft, ratio = harness.pairs(pairs, lambda: once(None, cpus), lambda: once(hubs, cpus))
    print("     wall: native %.3f s, %s %.3f s, ratio %.3f" % (
        harness.median(native), harness.way_name(hubs), harness.median(weft), ratio))
    check(ratio <= limit, "ratio %.3f > %g: native %s, Weft %s" % (
        ratio, limit, _round(native), _round(weft)))


def _round(values):
    return "[" + " ".join("%.4g" % v for v in values) + "]"


def load_served(server, load):
    """Lets a connected Generator go against a server. Returns (requests, CPU seconds)."""
    before = server.cpu_time()
    answered = load.go()
    return answered, server.cpu_time() - before


def exchange(port, request, size=1 << 24, host="127.0.0.1"):
    """Sends a request on a new connection and returns all bytes until the server hangs up."""
    with socket.create_connection((host, port), 20) as s:
        s.sendall(request)
        got = bytearray()
        while len(got) < size:
            piece = s.recv(65536)
            if not piece:
                break
            got += piece
    return bytes(got)
