#!/usr/bin/python3
"""test_load_failures -- `weft load' against servers that fail, and with options that cannot be read:
every failed request is counted, under the name of what happened, and the status says so

usage: tests/apps/test_load_failures.py [-v] [CLASS[.TEST]]…
"""
import json
import re
import resource
import socket
import time

from cli import *
from servers import *


class Failures(Case):
    def load(self, *argv, status=1, **more):
        """Runs it with --json; returns the object, whose numbers agree with one another."""
        out_status, out, err = self.command("load", "--json", *argv, **more)
        self.assertEqual((out_status, err), (status, ""), out)
        got = json.loads(out)
        failures = got["failures"]
        kinds = {k: n for k, n in failures.items() if k not in ("all", "window", "first") and n}
        self.assertEqual(sum(kinds.values()), failures["all"])
        self.assertEqual(set(failures["first"]), set(kinds))
        self.assertEqual(status, 1 if failures["all"] else 0)
        if "requests" in got:
            requests = got["requests"]
            self.assertEqual(requests["started"], requests["answered"] + requests["unanswered"]
                             + failures["window"])
            self.assertEqual(got["latency"]["count"], requests["answered"])
        got["kinds"] = kinds
        return got

    def echo(self, server, *argv, **more):
        with server:
            return self.load("--echo=64", *argv, server.address, **more)


def nth(number, deed):
    """An Echo server that does `deed(link, message)' with one request of all."""
    class Nth(Echo):
        def answer(self, link, message, n):
            if n == number:
                return deed(link, message)
            link.sendall(message)
    return Nth()


class NoServer(Failures):
    def refused(self, address):
        got = self.load("--echo=64", address)
        self.assertEqual(got["kinds"], {"refused": 1})
        self.assertEqual((got["requests"]["started"], got["opened"]), (0, 0))
        self.assertIn("nothing else was tried", got["warnings"][0])

    def test_nobody_listens(self):
        with socket.socket() as s:              # bound, so that nobody else takes the port
            s.bind(("127.0.0.1", 0))
            self.refused("127.0.0.1:%d" % s.getsockname()[1])
            self.refused("localhost:%d" % s.getsockname()[1])
        self.refused("unix:" + path("nobody"))

    def test_people_are_told(self):
        status, out, err = self.command("load", "--echo=64", "unix:" + path("nobody"))
        self.assertEqual((status, err), (1, ""))
        self.assertRegex(out, r"\nfailed +1 .*\n  refused +1 .*\n.*No such file or directory\n")

    def test_no_path_to_it(self):
        write("file", "")
        os.chmod(path("file"), 0)
        with Echo(family=socket.AF_UNIX, name=path("datagrams")) as server:
            server.stop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path("other"))
            got = self.load("--echo=64", "unix:" + path("other"))
        self.assertEqual(got["kinds"], {"connect": 1})


class EchoFails(Failures):
    def test_one_wrong_byte(self):
        got = self.echo(nth(50, lambda link, m: link.sendall(m[:9] + bytes([m[9] ^ 1]) + m[10:])),
                        "--requests=200")
        self.assertEqual(got["kinds"], {"wrong": 1})
        self.assertEqual(got["requests"]["started"], 200)
        self.assertRegex(got["failures"]["first"]["wrong"], r"byte 9 is [0-9a-f]{2}, not")

    def test_somebody_elses_message(self):
        class Last(Echo):
            def answer(self, link, message, number):
                with self.lock:
                    other = self.messages[-2] if number % 100 == 0 else message
                link.sendall(other)
        got = self.echo(Last(), "--requests=400")
        self.assertEqual(set(got["kinds"]), {"wrong"})
        self.assertGreaterEqual(got["kinds"]["wrong"], 4)

    def test_more_than_was_asked_for(self):
        got = self.echo(nth(50, lambda link, m: link.sendall(m + b"x")), "--requests=200")
        self.assertEqual(got["kinds"], {"wrong": 1})

    def test_bytes_that_nobody_asked_for(self):
        class Chatty(Echo):
            def answer(self, link, message, number):
                link.sendall(message)
                if number == 10:
                    time.sleep(0.2)
                    link.sendall(b"hello")
        with Chatty() as server:
            got = self.load("--echo=64", "--rate=50", "--time=1", "--warmup=0", server.address)
        self.assertEqual(got["kinds"], {"wrong": 1})

    def test_cut_short(self):
        def cut(link, message):
            link.sendall(message[:17])
            return False
        got = self.echo(nth(50, cut), "--requests=200")
        self.assertEqual(got["kinds"], {"short": 1})
        self.assertIn("hung up after 17 of 64 bytes", got["failures"]["first"]["short"])

    def test_reset(self):
        def cut(link, message):
            reset(link)
            return False
        got = self.echo(nth(50, cut), "--requests=200")
        self.assertEqual(got["kinds"], {"reset": 1})

    def test_hung_up_between_requests(self):
        def close(link, message):
            link.sendall(message)
            return False
        got = self.echo(nth(50, close), "--requests=200")
        # It is seen before the next request or after it was sent, as time will have it.
        self.assertEqual(got["failures"]["all"], 1)
        self.assertLessEqual(set(got["kinds"]), {"closed", "short", "reset"})

    def test_no_answer(self):
        got = self.echo(nth(50, lambda link, m: None), "--requests=200", "--timeout=300ms")
        self.assertEqual(got["kinds"], {"timeout": 1})
        self.assertLess(got["latency"]["max_ns"], 300e6)

    def test_no_answer_from_the_beginning(self):
        got = self.echo(nth(1, lambda link, m: None), "--timeout=300ms")
        self.assertEqual((got["kinds"], got["opened"]), ({"timeout": 1}, 1))

    def test_a_server_that_serves_few(self):
        class Few(Echo):
            def answer(self, link, message, number):
                if number > 5:
                    time.sleep(20)
                link.sendall(message)
        began = time.monotonic()
        got = self.echo(Few(), "--connections=200", "--time=0.2", "--warmup=0", "--timeout=500ms")
        self.assertGreater(got["kinds"]["timeout"], 195)
        self.assertLess(time.monotonic() - began, 6)    # not 500 ms for each connection


class Dies(Failures):
    def test_connections_break_and_the_port_is_closed(self):
        class Dying(Echo):
            def answer(self, link, message, number):
                if number == 500:
                    self.stop()
                link.sendall(message)
        got = self.echo(Dying(), "--time=1", "--warmup=0")
        self.assertGreater(got["kinds"].get("short", 0) + got["kinds"].get("reset", 0)
                           + got["kinds"].get("closed", 0), 5)
        # Ten connections are tried again some twenty times a second.
        self.assertLess(20, got["kinds"]["refused"])
        self.assertLess(got["kinds"]["refused"], 400)
        self.assertGreater(got["requests"]["answered"], 400)

    def test_it_comes_back(self):
        class Restarts(Echo):
            def answer(self, link, message, number):
                if number == 500:
                    self.hang_up()
                link.sendall(message)
        got = self.echo(Restarts(), "--time=1", "--warmup=0")
        self.assertGreater(got["failures"]["all"], 0)
        self.assertEqual(got["opened"], 20)
        self.assertGreater(got["requests"]["answered"], 1000)

    def test_in_the_warm_up(self):
        with nth(50, lambda link, m: False) as server:
            got = self.load("--echo=64", "--time=0.3", "--warmup=0.3", server.address)
        self.assertEqual(got["kinds"], {"short": 1})
        self.assertEqual(got["failures"]["window"], 0)

    def test_an_open_loop_counts_what_was_due(self):
        class Dying(Echo):
            def answer(self, link, message, number):
                if number == 110:
                    self.stop()
                link.sendall(message)
        got = self.echo(Dying(), "--rate=200", "--time=1", "--warmup=0")
        self.assertEqual(got["requests"]["started"], 200)
        self.assertGreater(got["kinds"]["refused"], 80)

    def test_the_port_is_closed_while_each_request_needs_a_connection(self):
        def answer(number):
            if number == 100:
                server.close_listener()
            return page(b"x", version="1.0"), False
        with Http(answer) as server:
            got = self.load("--http=/", "--connections=4", "--time=0.5", "--warmup=0",
                            server.address)
        self.assertLessEqual({"refused"}, set(got["kinds"]))
        self.assertGreater(got["requests"]["answered"], 80)


class Slow(Failures):
    def test_a_rate_that_cannot_be_held(self):
        class Slow(Echo):
            def answer(self, link, message, number):
                time.sleep(0.05)
                link.sendall(message)
        with Slow() as server:
            got = self.load("--echo=64", "--rate=100", "--time=1", "--warmup=0", "--connections=2",
                            server.address, status=0)
        self.assertEqual(got["requests"], {"started": 100, "answered": 100, "unanswered": 0})
        self.assertIn("the rate was not held: of 100 requests a second", got["warnings"][0])
        # 40 a second are served: 60 wait when the window ends, and the last one for 1.5 s.
        self.assertAlmostEqual(got["backlog"]["unsent"], 60, delta=12)
        self.assertAlmostEqual(got["latency"]["max_ns"], 1.5e9, delta=0.5e9)
        self.assertAlmostEqual(got["rate"]["per_second"], 40, delta=8)

    def test_requests_that_wait_too_long_for_a_connection_have_failed(self):
        class Slow(Echo):
            def answer(self, link, message, number):
                time.sleep(0.05)
                link.sendall(message)
        with Slow() as server:
            got = self.load("--echo=64", "--rate=100", "--time=1", "--warmup=0", "--connections=2",
                            "--timeout=200ms", server.address)
        self.assertEqual(got["requests"]["started"], 100)
        self.assertEqual(set(got["kinds"]), {"timeout"})
        self.assertGreater(got["kinds"]["timeout"], 40)
        self.assertLess(got["latency"]["max_ns"], 300e6)


class HttpFails(Failures):
    def http(self, answers, *argv, server=Http, **more):
        with server(answers) as running:
            return self.load("--http=/", "--requests=40", "--connections=3", *argv,
                             running.address, **more)

    def test_one_of_ten_is_an_error(self):
        for server in Http, Pieces:
            got = self.http(lambda n: page(b"oh", status="500 No") if n % 10 == 0 else page(b"fine"),
                            server=server)
            self.assertEqual((got["kinds"], got["opened"]), ({"status": 4}, 3))
            self.assertEqual(got["statuses"], {"200": 39, "500": 4})
            self.assertIn("status 500", got["failures"]["first"]["status"])

    def test_other_statuses_than_200(self):
        for status in "204 No Content", "304 Not Modified", "301 Moved", "404 Not Found":
            answer = page(b"", status=status, length=status[0] != "2")
            got = self.http(lambda n: answer if n == 20 else page(b""))
            self.assertEqual((got["kinds"], got["opened"]), ({"status": 1}, 3))

    def test_nothing_but_errors(self):
        got = self.http(lambda n: page(b"", status="404 Not Found"))
        self.assertEqual((got["kinds"], got["statuses"]), ({"status": 1}, {"404": 1}))
        self.assertIn("nothing else was tried", got["warnings"][0])

    def test_bodies_that_change(self):
        for kind, body in ("wrong", b"hellO"), ("length", b"hell"), ("length", b"hello, you"):
            for make in page, chunked, lambda b: (page(b, version="1.0", length=False), False):
                with self.subTest((kind, body)):
                    got = self.http(lambda n: make(body if n == 20 else b"hello"))
                    self.assertEqual(got["kinds"], {kind: 1})

    def test_a_body_cut_short(self):
        whole = page(b"hello")
        for n in range(len(whole)):
            with self.subTest(n):
                got = self.http(lambda number: (whole[:n], False) if number == 20 else whole)
                self.assertEqual(got["kinds"], {"short": 1})

    def test_answers_that_are_none(self):
        for answer in (b"hello\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\n\0: a\r\n\r\n", b"\r\n\r\n", bytes(70000),
                       b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
                       chunked()[:-5] + b"x5\r\n", chunked(b"")[:-5] + b"\r\n",
                       chunked(b"hello")[:-7] + b"o\r\n", chunked()[:-5] + b"f" * 16 + b"\r\n",
                       page(b"hello") + b"more"):
            with self.subTest(answer[:80]):
                got = self.http(lambda n: answer if n == 20 else page(b"hello"))
                self.assertEqual(got["kinds"], {"wrong": 1})

    def test_random_answers_are_counted(self):
        seed = os.environ.get("WEFT_TEST_SEED") or os.urandom(4).hex()
        print("load: seed %s" % seed, flush=True)
        import random
        source, good = random.Random(seed), chunked(b"hello", b"world")

        def answer(n):
            if n % 3:
                return good
            bad = bytearray(good)
            for _ in range(source.randint(1, 4)):
                bad[source.randrange(len(bad))] = source.randrange(256)
            return bytes(bad[:source.randrange(len(bad))]), False
        with Http(answer) as server:
            got = self.load("--http=/", "--requests=300", "--connections=2", "--timeout=1",
                            server.address)
        self.assertGreaterEqual(got["failures"]["all"], 90)


class Options(Case):
    def test_what_cannot_be_read(self):
        write("body", b"x")
        for words, *argv in (
                ("an ADDRESS is needed", "--echo=1"), ("one of --echo and --http", "1"),
                ("one of --echo and --http", "--echo=1", "--http=/", "1"),
                ("one ADDRESS is needed, not `2'", "--echo=1", "1", "2"),
                ("unknown option `--nonsense'", "--nonsense", "1"),
                ("unknown option `--ech'", "--ech", "1"), ("unknown option `-e'", "-e", "1"),
                ("--echo needs a value: BYTES", "1", "--echo"), ("--json takes no value", "--json=1"),
                ("--echo: `0' is not a number", "--echo=0", "1"),
                ("--echo: `' is not a number", "--echo=", "1"),
                ("--echo: `1k' is not a number", "--echo=1k", "1"),
                ("--echo: 67108864 bytes are the most", "--echo=67108865", "1"),
                ("--connections: `-1' is not", "--echo=1", "--connections=-1", "1"),
                ("--connections: `99999999999' is not", "--connections=99999999999", "1"),
                ("--rate: `0' is not", "--rate=0"), ("--rate: `.' is not", "--rate=."),
                ("--rate: `1e3' is not", "--rate=1e3"), ("--rate: `nan' is not", "--rate=nan"),
                ("--rate: `99999999' is not", "--rate=99999999"),
                ("--time: `1h' is not a time", "--time=1h"), ("--time: `' is not", "--time="),
                ("--time: `-1' is not", "--time", "-1"), ("--time: `1.2.3' is not", "--time=1.2.3"),
                ("--time: `999999999' is not", "--time=999999999"),
                ("--timeout: a time above 0", "--echo=1", "--timeout=0", "1"),
                ("--http: a path like", "--http=index", "1"),
                ("a path like", "--http=/a b", "1"), ("a path like", "--http=/\n", "1"),
                ("--body needs --http", "--echo=1", "--body=x", "1"),
                ("missing: No such file", "--http=/", "--body=missing", "1"),
                ("Is a directory", "--http=/", "--body=.", "1"),
                ("--idle sends nothing", "--echo=1", "--idle=1", "--rate=1", "1"),
                ("--idle sends nothing", "--echo=1", "--idle=1", "--time=1", "1"),
                ("descriptor 77 is not open", "--echo=1", "--phases=77", "1"),
                ("`0' is none of", "--echo=1", "0"), ("`65536' is none of", "--echo=1", "65536"),
                ("`a' is none of", "--echo=1", "a"), ("`a:' is none of", "--echo=1", "a:"),
                ("`:1' is none of", "--echo=1", ":1"), ("`::1' is none of", "--echo=1", "::1"),
                ("`tcp:' is none of", "--echo=1", "tcp:"), ("`[]:1' is none", "--echo=1", "[]:1"),
                ("unix:: a path of 1 to 107 bytes", "--echo=1", "unix:"),
                ("a path of 1 to 107 bytes", "--echo=1", "unix:" + "x" * 108),
                ("nobody.invalid:1: ", "--echo=1", "nobody.invalid:1")):
            with self.subTest(argv):
                self.check_fails(125, words, "load", *argv, cwd=tmp)

    def test_a_time_of_none_is_no_time_limit(self):
        with Echo() as server:
            self.assertEqual(self.command("load", "--echo=64", "--time=0", "--requests=5",
                                          server.address)[0], 0)

    def test_help_names_every_option(self):
        status, out, err = self.command("load", "--help")
        self.assertEqual((status, err), (0, ""))
        with open(ROOT + "/preload/cli/load/plan.def") as f:
            for name in re.findall(r"^LOAD\((\w+)", f.read(), re.M):
                self.assertIn("\n  --%s" % name, out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_more_connections_than_descriptors(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        self.check_fails(125, "100 connections need 116 descriptors; the limit is 100", "load",
                         "--echo=1", "--connections=100", "1", user=65534, group=65534,
                         preexec_fn=limit)

    def test_output_that_cannot_be_written(self):
        with Echo() as server, open("/dev/full", "w") as full:
            for more in [], ["--json"]:
                done = subprocess.run([weft, "load", "--echo=64", "--requests=9", *more,
                                       server.address], stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=LIMIT)
                self.assertEqual(done.returncode, 1)
                self.assertIn("cannot write to standard output", done.stderr)


if __name__ == "__main__":
    main()
