#!/usr/bin/python3
"""test_load -- `weft load' against servers that do what they should: what it does, counts and prints

usage: tests/apps/test_load.py [-v] [CLASS[.TEST]]…
"""
import fcntl
import json
import math
import re
import signal
import socket
import time

from cli import *
from servers import *

WIDTH = 100                 # columns
RUNS = 12                   # among which one must agree with the server's log
PAIRS = 7, 13, 21           # of runs behind a ratio: looks at it
LATE_NS = 100e3             # a generator that starts half of its requests so late is disturbed
CPUS = sorted(os.sched_getaffinity(0))


def alone_on(cpu):
    """For a program that begins: one CPU, and before all others there, if that is allowed."""
    def prepare():
        os.sched_setaffinity(0, {cpu})
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass
    return prepare


class Load(Case):
    def load(self, *argv, status=0, **more):
        """Runs it with --json; returns the object."""
        got, out, err = self.command("load", "--json", *argv, **more)
        self.assertEqual((got, err), (status, ""), out)
        return json.loads(out)

    def start(self, *argv, **more):
        process = subprocess.Popen([weft, "load", *argv], env=environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def started(self, phase, *argv, **more):
        """Starts it and returns the process when it has come to this phase."""
        reader, writer = os.pipe()
        process = self.start("--phases", str(writer), *argv, pass_fds=[writer], **more)
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                if line.split()[0] == phase:
                    return process
        self.fail("%s never came: %s" % (phase, process.communicate()))


class EchoLoad(Load):
    def test_all_requests_are_answered_and_counted(self):
        with Echo() as server:
            got = self.load("--echo", "64", "--connections", "7", "--requests", "1000",
                            server.address)
        self.assertEqual(got["requests"], {"started": 1000, "answered": 1000, "unanswered": 0})
        self.assertEqual(got["failures"]["all"], 0)
        self.assertEqual((got["opened"], server.most), (7, 7))
        self.assertEqual(got["latency"]["count"], 1000)
        self.assertEqual(server.count, 1000 + 7)        # each connection was asked once before
        self.assertEqual(got["received_bytes"], 1007 * 64)
        self.assertEqual((got["weft_load"], got["loop"], got["echo"]), (1, "closed", 64))

    def test_messages_differ_in_every_place(self):
        with Echo(size=256) as server:
            self.load("--echo=256", "--connections=4", "--requests=500", server.address)
        self.assertEqual(len(set(server.messages)), 504)
        for one, other in zip(server.messages, server.messages[1:]):
            same = sum(a == b for a, b in zip(one, other))
            self.assertLess(same, 16)           # of 256, by chance 1
        for i in range(256):
            self.assertGreater(len({message[i] for message in server.messages}), 100)

    def test_sizes(self):
        for size in 1, 65535, 65536, 65537, 4000000:
            with self.subTest(size), Echo(size=size) as server:
                got = self.load("--echo", str(size), "--connections", "2", "--requests", "9",
                                server.address)
                self.assertEqual(got["requests"]["answered"], 9)

    def test_addresses(self):
        with Echo() as server:
            port = server.address.split(":")[1]
            for address in ("127.0.0.1:" + port, "tcp:127.0.0.1:" + port, "tcp:" + port, port,
                            "localhost:" + port):
                with self.subTest(address):
                    got = self.load("--echo=64", "--requests=20", address)
                    self.assertEqual((got["requests"]["answered"], got["address"]),
                                     (20, address))
        with Echo(family=socket.AF_UNIX, name=path("sock")) as server:
            got = self.load("--echo=64", "--requests=20", "unix:" + path("sock"))
            self.assertEqual((got["requests"]["answered"], got["opened"]), (20, 10))

    def test_a_full_backlog_is_waited_for(self):
        with Echo(family=socket.AF_UNIX, name=path("slow"), backlog=0, pause=0.1) as server:
            got = self.load("--echo=64", "--requests=100", server.address)
        self.assertEqual((got["requests"]["answered"], got["opened"]), (100, 10))

    def test_ipv6(self):
        try:
            server = Echo(family=socket.AF_INET6, name=("::1", 0))
        except OSError:
            self.skipTest("no IPv6")
        with server:
            address = "[::1]:" + server.address.split(":")[1]
            self.assertEqual(self.load("--echo=64", "--requests=9", address)["opened"], 9)

    def test_the_window_is_as_long_as_asked(self):
        with Echo() as server:
            got = self.load("--echo=64", "--time=700ms", "--warmup=0.3", server.address)
        self.assertAlmostEqual(got["window_s"], 0.7, delta=0.1)
        self.assertGreater(server.count, got["requests"]["started"] + 20)       # warm-up
        self.assertAlmostEqual(got["rate"]["per_second"] * got["window_s"],
                               got["rate"]["answers"], delta=1)

    def test_phases_are_told_as_they_begin(self):
        with Echo() as server:
            reader, writer = os.pipe()
            self.load("--echo=64", "--time=0.2", "--warmup=0.2", "--phases", str(writer),
                      server.address, pass_fds=[writer])
            os.close(writer)
            with os.fdopen(reader) as lines:
                words = [line.split() for line in lines]
        self.assertEqual([word[0] for word in words], ["open", "warmup", "window", "drain", "end"])
        times = [int(word[1]) for word in words]
        self.assertEqual(times, sorted(times))
        self.assertAlmostEqual(times[3] - times[2], 2e8, delta=1e8)

    def test_phases_end_before_a_report_that_nobody_reads_yet(self):
        with Echo() as server:
            reader, writer = os.pipe()
            process = self.start("--json", "--echo=64", "--requests=5000", "--phases", str(writer),
                                 server.address, pass_fds=[writer])
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            os.close(writer)
            with os.fdopen(reader) as lines:
                self.assertEqual(lines.read().split()[-2], "end")
            out = process.communicate(timeout=LIMIT)[0]
        self.assertGreater(len(out), 4096)
        self.assertEqual(json.loads(out)["requests"]["answered"], 5000)

    def test_an_open_loop_keeps_its_rate(self):
        with Echo() as server:
            got = self.load("--echo=64", "--rate=300", "--time=1", "--warmup=0.5",
                            "--connections=20", server.address)
        self.assertEqual(got["requests"], {"started": 300, "answered": 300, "unanswered": 0})
        self.assertEqual(server.count, 20 + 150 + 300)
        self.assertEqual((got["loop"], got["asked_rate"], got["backlog"]["due"]),
                         ("open", 300, 300))
        self.assertEqual(got["late"]["count"], 300)

    def test_an_open_loop_of_so_many_requests(self):
        with Echo() as server:
            got = self.load("--echo=64", "--rate=500", "--requests=250", server.address)
        self.assertEqual(got["requests"]["answered"], 250)
        self.assertEqual(server.count, 10 + 250)
        self.assertAlmostEqual(got["window_s"], 0.5, delta=0.25)

    def test_what_people_see(self):
        with Echo() as server:
            for more in [], ["--rate=123.5"]:
                status, out, err = self.command("load", "--echo=64", "--time=0.5", *more,
                                                server.address)
                self.assertEqual((status, err), (0, ""))
                self.assertLessEqual(max(map(len, out.splitlines())), WIDTH, out)
                for word in (server.address, r"\nrequests  ", r"\nfailed +0\n", r"p99 ",
                             "of CPU a request", "open loop" if more else "closed loop"):
                    self.assertRegex(out, word)


class Idle(Load):
    def held(self, server, end, *argv):
        process = self.started("hold", "--json", "--echo=64", "--idle=50", *argv, server.address,
                               stdin=subprocess.PIPE)
        self.assertEqual((len(server.links), server.count), (50, 50))
        end(process)
        out, err = process.communicate(timeout=LIMIT)
        return process.returncode, json.loads(out)

    def test_connections_are_held_until_input_ends(self):
        with Echo() as server:
            status, got = self.held(server, lambda p: p.stdin.close() or setattr(p, "stdin", None))
        self.assertEqual((status, got["held"]["connections"], got["failures"]["all"]), (0, 50, 0))
        self.assertEqual(server.count, 100)             # each was asked once more

    def test_connections_are_held_until_a_signal(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(number), Echo() as server:
                status, got = self.held(server, lambda p: p.send_signal(number))
                self.assertEqual((status, got["interrupted"], server.count), (0, False, 100))

    def test_a_server_that_hangs_up_on_them_has_failed(self):
        def end(process):
            server.hang_up()
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
        with Echo() as server:
            status, got = self.held(server, end)
        self.assertEqual((status, got["failures"]["closed"], got["failures"]["all"]), (1, 50, 50))
        self.assertEqual(server.count, 50)

    def test_a_server_that_does_not_keep_them_has_failed(self):
        with Http(lambda n: (page(b"x", version="1.0"), False)) as server:
            got = self.load("--http=/", "--idle=5", server.address, status=1)
        self.assertEqual((got["held"]["connections"], got["failures"]["closed"]), (0, 5))

    def test_a_second_signal_ends_it(self):
        class Once(Echo):
            def answer(self, link, message, number):
                if number <= 50:
                    link.sendall(message)
        with Once() as server:
            process = self.started("hold", "--echo=64", "--idle=50", server.address,
                                   stdin=subprocess.PIPE)
            process.send_signal(signal.SIGINT)
            while server.count == 50:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(LIMIT), -signal.SIGINT)


class HttpLoad(Load):
    def fetch(self, answers, *argv, server=Http, status=0):
        with server(answers) as running:
            got = self.load("--http=/a?b=c", "--requests=40", "--connections=3", *argv,
                            running.address, status=status)
        for head in running.requests:
            self.assertEqual(head.split(b"\r\n")[0], b"GET /a?b=c HTTP/1.1")
            self.assertIn(b"\r\nHost: %s" % running.address.encode(), head)
        return got

    def test_bodies_and_their_frames(self):
        body = bytes(range(256)) * 40
        for name, answer, kept in (
                ("length", page(body), True),
                ("no body", page(b""), True),
                ("chunks", chunked(body[:1], body[1:5000], body[5000:]), True),
                ("trailer", chunked(body, end=b"0;last\r\nA: b\r\n\r\n"), True),
                ("continue", b"HTTP/1.1 100 Continue\r\n\r\n" + page(body), True),
                ("fields", page(body, "X: y", "connection: Keep-Alive", "CONTENT-TYPE: a"), True),
                ("kept 1.0", page(body, "Connection: keep-alive", version="1.0"), True),
                ("1.0", (page(body, version="1.0"), False), False),
                ("closed", (page(body, "Connection: close"), False), False),
                ("until the end", (page(body, length=False), False), False)):
            for server in Http, Pieces:
                if server is Pieces and len(body) > 1000:
                    body = body[:100]
                with self.subTest("%s, %s" % (name, server.__name__)):
                    got = self.fetch(lambda n: answer, server=server)
                    self.assertEqual(got["requests"]["answered"], 40)
                    self.assertEqual(got["opened"], 3 if kept else 43)
                    self.assertEqual(got["statuses"]["200"], 43)

    def test_a_given_body(self):
        file = write("body", b"the body")
        got = self.fetch(lambda n: page(b"the body"), "--body", file)
        self.assertEqual(got["failures"]["all"], 0)
        got = self.fetch(lambda n: page(b"the bodY"), "--body", file, status=1)
        self.assertEqual((got["failures"]["wrong"], got["failures"]["all"]), (1, 1))
        self.assertIn("byte 7 of the body is 59, not 79", got["failures"]["first"]["wrong"])

    def test_pythons_own_server(self):
        write("index.html", "<p>hello</p>", 0o644)
        server = subprocess.Popen(["/usr/bin/python3", "-u", "-m", "http.server", "--bind",
                                   "127.0.0.1", "--directory", tmp, "0"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            port = re.search(r"port (\d+)", server.stdout.readline()).group(1)
            got = self.load("--http=/", "--time=0.5", "--connections=5", port)
        finally:
            server.kill()
            server.communicate()
        self.assertGreater(got["requests"]["answered"], 20)
        self.assertGreater(got["opened"], got["requests"]["answered"])


class Interrupted(Load):
    def test_a_signal_prints_what_there_is(self):
        for json_too in False, True:
            with self.subTest(json_too), Echo() as server:
                process = self.started("window", "--echo=64", "--time=100", "--warmup=0",
                                       *["--json"] * json_too, server.address)
                time.sleep(0.3)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=LIMIT)
                self.assertEqual((process.returncode, err), (0, ""))
                self.assertRegex(out, "interrupted: [0-9]+ requests had no answer yet")
                if json_too:
                    got = json.loads(out)
                    self.assertTrue(got["interrupted"])
                    self.assertGreater(got["requests"]["answered"], 10)
                    self.assertLess(0.2, got["window_s"])
                    self.assertLess(got["window_s"], 20)


class Truth(Load):
    """Against a server that logs how long it took for each request."""

    def delayed(self, *argv, shortest, longest, stall=0):
        """Runs both; returns the load's object and the log's times, ns, in ascending order."""
        with open(os.path.join(HERE, "delays.c")) as f:
            program = compile("delays", f.read(), "-O2")
        server = subprocess.Popen(
            [program, "1024", str(shortest), str(longest), "200", str(stall)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=alone_on(CPUS[0]))
        self.addCleanup(self.stop, server)
        port = server.stdout.readline().split()[1]
        reader, writer = os.pipe()
        load = self.start("--json", "--echo=1024", "--phases", str(writer), *argv, port,
                          pass_fds=[writer],
                          preexec_fn=alone_on(CPUS[-1]))
        os.close(writer)
        begun = {}
        with os.fdopen(reader) as lines:
            for line in lines:
                phase, at = line.split()
                begun[phase] = int(at)
                if phase == "window" and stall:
                    server.stdin.write("s")
                    server.stdin.flush()
        got = json.loads(load.communicate(timeout=LIMIT)[0])
        log = [line.split() for line in server.communicate()[0].splitlines()]
        self.assertEqual(got["failures"]["all"], 0)
        took = sorted(int(ns) for at, ns in log if int(at) >= begun["window"])
        return got, took

    def agree(self, run):
        """Other programs on the machine can hold generator and server up, which only ever makes
        what is measured too long: one run of several must agree with the log. Skipped when the
        generator itself says of every run that it could not start its requests in time.

        run()    returns what differs, and the load's object
        """
        calm = False
        for _ in range(RUNS):
            differences, got = run()
            if not differences:
                return
            late = got["late"]["p50_ns"] if "late" in got else 0
            calm |= late < LATE_NS
            print("differs, late by %.0f us: %s" % (late / 1e3, "; ".join(differences)), flush=True)
        if not calm:
            self.skipTest("the machine is too busy for the time of day")
        self.fail("no run of %d agrees with the server's log" % RUNS)

    def compare(self, got, took, rows):
        """What is said against (key, percent, relative, ns) among the rows."""
        said = []
        for key, percent, relative, absolute in rows:
            truth = took[math.ceil(percent * len(took) / 100 - 1e-6) - 1]
            error = got["latency"][key] - truth
            if abs(error) > max(relative * truth, absolute):
                said.append("%s: %.3f ms, log %.3f ms" % (key, got["latency"][key] / 1e6,
                                                          truth / 1e6))
        return said

    def test_an_open_loop_measures_what_the_server_logs(self):
        def run():
            got, took = self.delayed("--rate=2000", "--time=2", "--warmup=0.2",
                                     "--connections=500", shortest=5000, longest=60000)
            self.assertEqual(got["latency"]["count"], 4000)
            return self.compare(got, took, [("p50_ns", 50, .03, 1e5), ("p90_ns", 90, .03, 1e5),
                                            ("p99_ns", 99, .03, 1e5)]), got
        self.agree(run)

    def test_an_open_loop_sees_a_stall(self):
        def run():
            got, took = self.delayed("--rate=2000", "--time=2", "--warmup=0.2",
                                     "--connections=1000", shortest=1000, longest=2000, stall=200)
            self.assertGreater(sum(ns > 50e6 for ns in took), 250)
            return self.compare(got, took, [("p999_ns", 99.9, .05, 0), ("p99_ns", 99, .05, 0)]), got
        self.agree(run)

    def test_an_open_loop_sees_a_stall_with_few_connections(self):
        def run():
            got, _ = self.delayed("--rate=2000", "--time=2", "--warmup=0.2", "--connections=10",
                                  shortest=1000, longest=2000, stall=200)
            # 400 of 4000 requests are due while nothing is answered: the 40th slowest has waited
            # for nine tenths of the time, if not on a connection then for one.
            self.assertGreater(got["backlog"]["unsent_max"], 300)
            return self.compare(got, [180e6], [("p99_ns", 99, .05, 0)]), got
        self.agree(run)

    def test_a_closed_loop_shows_one_slow_request(self):
        def run():
            got, took = self.delayed("--time=1", "--warmup=0.2", "--connections=1",
                                     shortest=1000, longest=2000, stall=200)
            slow = sum(int(times) for step, times in
                       (pair.split(":") for pair in got["latency"]["histogram"].split()[5:])
                       if int(step) >= 18000)           # 60 ms
            right = slow == sum(ns > 60e6 for ns in took) == 1
            return [] if right else ["%d are slow" % slow], got
        self.agree(run)

    def test_the_machine_is_named_when_it_was_the_limit(self):
        with Echo() as server:
            spin = [subprocess.Popen(["taskset", "-c", str(CPUS[-1]), "/usr/bin/python3", "-c",
                                      "while True: pass"]) for _ in range(3)]
            try:
                got = self.load("--echo=64", "--time=2", "--connections=50", server.address,
                                preexec_fn=lambda: os.sched_setaffinity(0, CPUS[-1:]))
            finally:
                for process in spin:
                    process.kill()
                    process.wait()
        self.assertIn("may have been the limit", " ".join(got["warnings"]))


class Peer(Load):
    def output(self, *argv):
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True,
                              env=environment(), preexec_fn=alone_on(CPUS[-1]))
        return done.stdout

    def test_the_rate_is_that_of_wrk(self):
        if not shutil.which("wrk"):
            self.skipTest("wrk is not installed")
        with open(os.path.join(HERE, "pages.c")) as f:
            program = compile("pages", f.read(), "-O2", "-lmicrohttpd")
        server = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, preexec_fn=alone_on(CPUS[0]))
        self.addCleanup(self.stop, server)
        port = server.stdout.readline().split()[1]

        def wrk():
            out = self.output("wrk", "-t1", "-c50", "-d1s", "http://127.0.0.1:%s/" % port)
            return float(re.search(r"Requests/sec: +([\d.]+)", out).group(1))

        def ours():
            out = self.output(weft, "load", "--json", "--http=/", "--connections=50", "--time=1",
                              "--warmup=0.2", port)
            return json.loads(out)["rate"]["per_second"]

        ratios = []
        for pairs in PAIRS:             # on a noisy machine one look may be too early
            while len(ratios) < pairs:  # one first, then the other
                order = (wrk, ours) if len(ratios) % 2 else (ours, wrk)
                rates = {run: run() for run in order}
                ratios.append(rates[ours] / rates[wrk])
            median = sorted(ratios)[pairs // 2]
            print("weft load / wrk, %d pairs: %.3f" % (pairs, median), flush=True)
            if abs(median - 1) <= .1:
                return
        self.fail("the rates differ: %s" % " ".join("%.3f" % r for r in sorted(ratios)))


if __name__ == "__main__":
    main()
