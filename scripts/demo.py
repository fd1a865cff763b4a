"""demo -- three unmodified programs, native against Weft, in one table

Started by scripts/demo, which builds first. The programs run on one CPU, with one hub under Weft;
the clients run natively on another CPU. Runs are interleaved; the table has the medians. Those of
the echo server come from `weft compare'.
"""
import hashlib
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import measure
from measure import BUILD, CPUS, Failure, check, harness
from harness import median

HUBS, PAIRS, ECHO_PAIRS = 1, 3, 6
CONNECTIONS, DOWNLOADS, SLEEPERS = 1000, 50, 100000
SMALL, LARGE = 1 << 20, 8 << 20             # bytes of a timed download, and of a held one
EACH = 12                                   # timed downloads of a client
ASLEEP = 4                                  # seconds; all threads exist before the first one wakes
BACKLOG = 4                                 # http.server listens with room for 5: more opened at
                                            # once would wait for a SYN to be sent again, 1 s


def say(text):
    print("demo: " + text, file=sys.stderr, flush=True)


def plateau(pid):
    """Kernel threads and bytes of memory of a process at this moment."""
    return {"kernel_threads": harness.count_kthreads(pid), "memory": measure.footprint(pid)}


# -- (a) the echo server ---------------------------------------------------------------------------

def echo():
    """The medians of native runs and of those under Weft; memory when all connections are open."""
    words = ["taskset", "-c", ",".join(map(str, CPUS)), os.path.join(BUILD, "weft"), "compare",
             "--json", "--echo=1024", "--connections=%d" % CONNECTIONS, "--seconds=1",
             "--pairs=%d" % ECHO_PAIRS, "--ready=tcp:{port}", "--",
             os.path.join(BUILD, "tests/bench/echo_threads"), "127.0.0.1", "{port}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    check(done.returncode == 0, done.stderr.decode().strip())
    case = json.loads(done.stdout)["cases"][0]
    check(case["verdict"] not in ("failed", "lost"), case["sentence"])
    check(not case["error"], case["error"])
    return [{"rate": f["rate"], "per_cpu_second": f["requests_per_cpu_s"],
             "p50": f["p50_s"] * 1e6, "p99": f["p99_s"] * 1e6,
             "kernel_threads": f["kernel_threads"],
             "memory": f["pss_bytes"] + f["page_tables_bytes"] + f["kernel_stacks_bytes"]}
            for f in ({name: v[side] for name, v in case["figures"].items()}
                      for side in ("base", "variant"))]


# -- (b) python3 -m http.server --------------------------------------------------------------------

class Files:
    """The directory that is served, and the SHA-256 of each file."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="weft-demo.")
        self.digest = {}
        for name, size in (("small", SMALL), ("large", LARGE)):
            data = os.urandom(size)
            self.digest[name] = hashlib.sha256(data).digest()
            with open(os.path.join(self.directory.name, name), "wb") as f:
                f.write(data)


class Download:
    """One file on its way to us, on a socket that never blocks."""

    def __init__(self, server, name, digest):
        self.name, self.digest, self.began = name, digest, time.monotonic()
        self.head, self.seen = b"", None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex((server.address, server.port))

    def ask(self):
        self.socket.send(b"GET /%s HTTP/1.0\r\n\r\n" % self.name.encode())

    def receive(self, buffer):
        """Take what has come; False at the end, when it is whole and right."""
        size = self.socket.recv_into(buffer)
        if size and self.seen:
            self.seen.update(buffer[:size])
        elif size:
            self.head += buffer[:size]
            head, blank, content = self.head.partition(b"\r\n\r\n")
            if blank:
                check(b" 200 " in head[:20], "the answer was", head[:60])
                self.seen = hashlib.sha256(content)
        else:
            check(self.seen and self.seen.digest() == self.digest, self.name, "came differently")
        return size > 0


class Client:
    """Downloads files, so many at once, from one loop. Fills .times, in seconds.

    all_begun  called once, when so many are half-read: nothing more is read until it returns
    """

    def __init__(self, server, files, names, at_once, all_begun=None):
        self.server, self.files, self.names, self.all_begun = server, files, list(names), all_begun
        self.at_once, self.held, self.times, self.opening, self.running = at_once, [], [], 0, 0
        self.selector, self.buffer = selectors.DefaultSelector(), memoryview(bytearray(1 << 18))
        with self.selector:
            while self.names or self.running:
                self.step()

    def step(self):
        while self.names and self.running < self.at_once and self.opening < BACKLOG:
            name = self.names.pop()
            download = Download(self.server, name, self.files.digest[name])
            self.selector.register(download.socket, selectors.EVENT_WRITE, download)
            self.running += 1
            self.opening += 1
        ready = self.selector.select(30)
        check(ready, "no byte of %d downloads for 30 s: %s" % (self.running, self.server.errors()))
        for key, events in ready:
            if events & selectors.EVENT_WRITE:
                key.data.ask()
                self.selector.modify(key.data.socket, selectors.EVENT_READ, key.data)
            else:
                self.receive(key.data)

    def receive(self, download):
        began = download.seen is not None
        more = download.receive(self.buffer)
        if not began and download.seen is not None:
            self.opening -= 1
            if self.all_begun:
                self.hold(download)
        if not more:
            self.selector.unregister(download.socket)
            download.socket.close()
            self.running -= 1
            self.times.append(time.monotonic() - download.began)

    def hold(self, download):
        self.selector.unregister(download.socket)
        self.held.append(download)
        if len(self.held) == self.at_once:
            self.all_begun()
            self.all_begun = None
            for other in self.held:
                self.selector.register(other.socket, selectors.EVENT_READ, other)


def serve_files(hubs, files):
    address = measure.fresh_network()
    server = measure.Process(["/usr/bin/python3", "-u", "-m", "http.server", "0", "--bind", address,
                              "--directory", files.directory.name], hubs)
    try:
        server.address = address
        server.port = int(re.search(r"port (\d+)", server.line()).group(1))
    except BaseException:
        server.__exit__()
        raise
    return server


def downloads(hubs, files):
    """All downloads are held half-read, for the memory; then timed ones."""
    with serve_files(hubs, files) as server:
        result = {}
        Client(server, files, ["large"] * DOWNLOADS, DOWNLOADS,
               lambda: result.update(plateau(server.pid)))
        cpu, began = harness.cpu_time(server.pid), time.monotonic()
        client = Client(server, files, ["small"] * (DOWNLOADS * EACH), DOWNLOADS)
        took, cpu = time.monotonic() - began, harness.cpu_time(server.pid) - cpu
        if hubs is not None:
            server.counters(DOWNLOADS)
        times = sorted(t * 1e6 for t in client.times)
        megabytes = len(times) * SMALL / 1e6
        result.update(rate=megabytes / took, per_cpu_second=megabytes / cpu, p50=median(times),
                      p99=times[int(len(times) * .99)])
        return result


# -- (c) threads asleep ----------------------------------------------------------------------------

def why_refused(pid):
    """Which limit a process has met that cannot make more threads, as far as can be seen."""
    def limit(name):
        with open("/proc/sys/" + name) as f:
            return int(f.read())
    with open("/proc/%d/maps" % pid) as f:
        maps = sum(1 for _ in f)
    with open("/proc/loadavg") as f:
        threads = int(f.read().split()[3].split("/")[1])
    if maps >= limit("vm/max_map_count") - 8:
        return "vm.max_map_count = %d, two mappings a thread" % limit("vm/max_map_count")
    for name in ("kernel/pid_max", "kernel/threads-max"):
        if threads >= limit(name) - 400:        # numbers below 300 are not used again
            return "%s = %d" % (name.replace("/", "."), limit(name))
    return "a limit on processes (ulimit -u, or pids.max of the control group) or on memory"


def sleepers(hubs):
    argv = [os.path.join(BUILD, "tests/bench/sleepers"), str(SLEEPERS), str(ASLEEP)]
    with measure.Process(argv, hubs) as process:
        text = ""
        while "kernel_stacks" not in text:
            text += process.line()
        asleep, refused = measure.parse(text), ""
        if "refused" in asleep:
            refused = "%s: %s" % (why_refused(process.pid), process.errors())
        result = measure.parse(text + process.finish(60, allowed=(0, 3)))
        if hubs is not None:
            check(result["created"] == SLEEPERS, "only %d of %d threads under Weft: %s" % (
                result["created"], SLEEPERS, refused))
            process.counters(SLEEPERS)
    check(result["asleep"] == result["created"], "only %d of %d threads slept at the same time" % (
        result["asleep"], result["created"]))
    result.update(refused=refused, memory=sum(result[n] for n in (
        "pss", "page_tables", "kernel_stacks")))
    return result


# -- the table -------------------------------------------------------------------------------------

def whole(value):
    return "{:,.0f}".format(value).replace(",", " ")


def megabytes(value):
    return "%.1f MB" % (value / 1e6)


def milliseconds(value):
    return "%.2f ms" % (value / 1e3)


class Table:
    def __init__(self):
        self.rows = [("", "native", "Weft", "Weft / native")]

    def title(self, text):
        self.rows.append((text, "", "", ""))

    def add(self, name, native, weft, figure, form):
        """A row of medians: `figure' of the results of native and Weft runs, and their ratio."""
        ours, theirs = median([r[figure] for r in weft]), median([r[figure] for r in native])
        self.rows.append(("  " + name, form(theirs), form(ours),
                          "%.3g" % (ours / theirs) if theirs else ""))

    def pair(self, name, native, weft):
        self.rows.append(("  " + name, native, weft, ""))

    def served(self, native, weft, unit):
        self.add(unit + " a second", native, weft, "rate", whole)
        self.add(unit + " per server CPU-second", native, weft, "per_cpu_second", whole)
        self.add("p50", native, weft, "p50", milliseconds)
        self.add("p99", native, weft, "p99", milliseconds)
        self.load(native, weft)

    def load(self, native, weft):
        self.add("kernel threads", native, weft, "kernel_threads", whole)
        self.add("memory: PSS + kernel stacks + page tables", native, weft, "memory", megabytes)

    def print(self):
        widths = [max(len(r[i]) for r in self.rows[:1] + [r for r in self.rows if r[1]])
                  for i in range(4)]
        for row in self.rows:
            line = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
            print("  ".join(line).rstrip())


def show_echo(table):
    say("echo server, %d connections" % CONNECTIONS)
    native, weft = echo()
    table.title("echo server of 40 lines, a thread for each of %s connections, 1 KiB messages"
                % whole(CONNECTIONS))
    table.served([native], [weft], "requests")
    table.pair("failed requests", "0", "0")     # with one that failed there would be no table


def show_downloads(table):
    say("python3 -m http.server, %d downloads at once" % DOWNLOADS)
    files = Files()
    native, weft = measure.in_turn(PAIRS, lambda: downloads(None, files),
                                   lambda: downloads(HUBS, files))
    table.title("python3 -m http.server, %d downloads at once, SHA-256 of each checked" % DOWNLOADS)
    table.served(native, weft, "MB")


def show_sleepers(table):
    say("%s threads asleep" % whole(SLEEPERS))
    native, weft = sleepers(None), sleepers(HUBS)
    table.title("%s pthreads asleep, stacks of 64 KiB" % whole(SLEEPERS))
    table.pair("threads asleep at once", whole(native["asleep"]), whole(weft["asleep"]))
    table.add("created in", [native], [weft], "create", "{:.2f} s".format)
    table.add("latest one woke late by", [native], [weft], "overslept", "{:.1f} ms".format)
    table.load([native], [weft])
    if native["refused"]:
        table.title("  not possible natively: %s threads; it stops at %s: %s" % (
            whole(SLEEPERS), whole(native["created"]), native["refused"]))


def busy():
    """Whether others use more than a fifth of the processors that we measure on."""
    def idle():
        with open("/proc/stat") as f:
            rows = {r[0]: r[1:] for r in map(str.split, f)}
        ticks = [rows["cpu%d" % c] for c in (measure.SERVER_CPU, measure.LOAD_CPU)]
        return sum(int(t[3]) + int(t[4]) for t in ticks) / os.sysconf("SC_CLK_TCK") / 2
    before, began = idle(), time.monotonic()
    time.sleep(1)
    return idle() - before < .8 * (time.monotonic() - began)


def main():
    noisy = busy()
    os.sched_setaffinity(0, {measure.LOAD_CPU})
    began, table, failures = time.monotonic(), Table(), []
    for show in (show_echo, show_downloads, show_sleepers):
        try:
            show(table)
        except (Failure, OSError, KeyError, ValueError) as e:
            failures.append("%s: %s" % (show.__name__[5:], e))
    print("Weft with %d hub, program and client on one CPU each; medians of %d interleaved runs,\n"
          "%d of the echo server, by `weft compare'\n" % (HUBS, PAIRS, ECHO_PAIRS))
    table.print()
    print("\n%.0f s" % (time.monotonic() - began))
    if noisy:
        print("The machine is busy with other work: times and figures a second say little, and a\n"
              "program with more kernel threads gets more of the processor. Figures per server\n"
              "CPU-second hold.")
    for failure in failures:
        print("FAILED: " + failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
