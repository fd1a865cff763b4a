#!/usr/bin/python3
"""test_compare_bad -- `weft compare' of programs, servers and loads that fail, with wrong options
and damaged files, and ended from outside: what it says, and that nothing is left behind

usage: tests/apps/test_compare_bad.py [-v] [CLASS[.TEST]]…
"""
import re
import socket

from compared import *


class Programs(Compare):
    def fails(self, words, *argv, status=125, **more):
        """Its last lines are these, behind `weft: '."""
        out, err = self.compare(*argv, status=status, **more)
        self.assertEqual(out, "")
        self.assertRegex(err, "(?m)^weft: " + words)

    def test_a_program_that_cannot_be_started(self):
        self.fails("nonsense: No such file", "nonsense", status=127)
        self.fails("/nonsense: No such file", "/nonsense", status=127)
        self.fails("%s: Permission denied" % write("text", "", 0o644), path("text"), status=126)
        write("broken", "#!/no/such/shell\n")
        self.fails("native: %s: No such file" % path("broken"), path("broken"))
        self.fails("nonsense: No such file", "--program-b=nonsense", "true", status=127)

    def test_a_static_program_is_refused_and_not_measured_as_a_tie(self):
        static = compile("static", "int main(void) { return 0; }\n", "-static")
        self.fails(".*static", static)

    def test_a_program_that_is_not_done_in_time(self):
        self.fails("native: sleep is not done after 0.3 s", "--timeout=300ms", "sleep", "77")

    def test_a_program_whose_children_stay_is_measured_and_they_are_ended(self):
        self.compare("sh", "-c", "(setsid sleep 77 &) & exit 0")

    def test_a_metric_that_one_variant_does_not_print(self):
        self.fails("weft: .*n", "--metric=n=n([0-9]+)", "sh", "-c", "[ $LD_PRELOAD ] || echo n5")

    def test_what_prepares_and_fails_is_shown_and_cleaned_up(self):
        write("cleaned", "")
        self.fails("native: --prepare `echo why; echo not >&2; exit 3' failed:\nwhy\nnot\n",
                   "--prepare=echo why; echo not >&2; exit 3", "--cleanup=echo {dir} >> cleaned",
                   "true", cwd=tmp)
        with open(path("cleaned")) as f:
            self.assert_gone(f.read().split())

    def test_a_run_that_fails_later_ends_the_series_and_loses(self):
        write("count", "")
        out, err = self.compare("--prepare=echo >> count; [ $(wc -l < count) != 5 ]",
                                "--output=later", "true", cwd=tmp)
        self.assertRegex(out,
                         r"\n  (native is better: weft|weft is better: native) had failed requests")
        self.assertRegex(out, r"\n  a run of (native|weft) was void: --prepare ")
        self.assertEqual(len(kept("later")[1]), 2 + 4)


class Servers(Compare):
    def fails(self, text, *options, **more):
        out, err = self.serve(*options, status=125, **more)
        self.assertEqual(out, "")
        self.assertRegex(err, text)

    def test_a_server_that_never_serves(self):
        self.fails("weft: native: the server was not ready after 0.3 s\n", "--echo=8",
                   "--timeout=300ms",
                   words=["never"])

    def test_a_server_that_ends_before_it_serves(self):
        self.fails(r"weft: native: the server has ended before it was ready \(status 3\):\n"
                   "one\ntwo: this machine is no good\n", "--echo=8", words=["exit"])

    def test_a_server_that_dies_under_load(self):
        for load in "--echo=8", "--http=/":
            with self.subTest(load):
                self.fails(r"weft: native: the server has ended under load \(status 4\):\n"
                           "out of cheese\n", load, words=["die=5"])

    def test_a_server_that_dies_while_the_load_succeeds(self):
        out, err = self.compare(*SHORT, "--load=kill -9 $(cat {dir}/pid); sleep 0.05; echo n1",
                                "--metric=n=n([0-9]+)",
                                "sh", "-c", "echo $$ > {dir}/pid; exec %s {port}" % self.server,
                                status=125)
        self.assertIn("weft: native: the server has ended under load (signal 9)\n", err)

    def test_a_server_that_ignores_the_signal_is_killed_and_void(self):
        self.fails("weft: native: the server ignores SIGTERM: it was killed\n", "--echo=8",
                   words=["deaf"])
        self.serve("--echo=8", "--stop=KILL", words=["deaf"])

    def test_a_process_that_a_server_leaves_behind_is_ended(self):
        self.serve("--echo=8", words=["daemon=" + path("left")])
        with open(path("left")) as f:
            self.assertFalse(os.path.exists("/proc/" + f.read().strip()))

    def test_somebody_else_at_the_address(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path("taken"))
            s.listen()
            self.fails("weft: native: somebody else serves at unix:.*/taken already\n",
                       "--ready=unix:" + path("taken"), "--echo=8")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_somebody_else_at_the_port(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            taken = str(s.getsockname()[1])
            status, out, err = output_of([weft, "compare", *SHORT, "--ready=tcp:" + taken,
                                          "--echo=8", self.server,
                                          taken], environment(), user=65534, group=65534,
                                         extra_groups=[], cwd="/")
        self.assertEqual((status, out), (125, ""))
        self.assertIn("weft: native: somebody else serves at tcp:%s already\n" % taken, err)

    def test_a_load_that_fails(self):
        self.fails("weft: native: the load ended with status 3\n  no such thing\n",
                   "--load=echo no such thing >&2; exit 3",
                   "--metric=n=n([0-9]+)")

    def test_a_load_that_prints_nothing_to_read(self):
        self.fails("weft: native: no line matches --metric n\n  alpha\n  omega\n",
                   "--load=echo alpha; echo omega", "--metric=n=n([0-9]+)")
        self.fails("weft: native: .*wrk.*\n  alpha\n", "--load=echo alpha; : wrk")

    def test_a_load_that_does_not_end(self):
        self.fails("weft: native: the load is not done after 0.3 s:\nalpha\n",
                   "--load=echo alpha; sleep 77",
                   "--metric=n=n([0-9]+)", "--timeout=300ms")

    def test_failed_requests_lose_whatever_the_rate(self):
        out, err = self.serve("--http=/", "--variant=weft=MODE=bad", "--fail-if-worse=50%",
                              status=1)
        self.assertRegex(err, r"weft: weft: \d+ requests failed\n")
        self.assertIn("\n  native is better: weft had failed requests", out)
        out, err = self.serve("--http=/", "--variant=native=MODE=bad", "--fail-if-worse=5%")
        self.assertIn("\n  weft is better: native had failed requests", out)
        out, err = self.serve("--http=/", "--fail-if-worse=5%", words=["bad"], status=2)
        self.assertIn("\n  no verdict: weft and native both had failed requests", out)

    @unittest.skipUnless(shutil.which("ab"), "ab is not installed")
    def test_failed_requests_are_seen_in_a_load_that_reports_success(self):
        out, err = self.serve("--load=ab -k -q -n 200 -c 2 http://127.0.0.1:{port}/",
                              "--variant=weft=MODE=bad")
        self.assertIn("\n  native is better: weft had failed requests", out)

    def test_a_rate_that_is_not_held_is_said(self):
        out, err = self.serve("--echo=8", "--rate=2000", "--connections=1", words=["slow"])
        self.assertRegex(re.sub(r"\n +", " ", out),
                         "the rate of 2 000 requests a second was not held: "
                         r"[\d.]+ by native, [\d.]+ by weft")

    def test_any_rate_that_the_load_takes_is_passed_on(self):
        self.fails("the server has ended under load", "--echo=8", "--rate=1234567.5",
                   words=["die=5"])

    @unittest.skipUnless(shutil.which("ab"), "ab is not installed")
    def test_few_requests_are_too_coarse_for_a_verdict(self):
        out, err = self.serve("--load=ab -k -q -n 50 -c 2 http://127.0.0.1:{port}/")
        self.assertIn("too coarse, below 100 quanta", out)


class Files(Compare):
    def setUp(self):
        super().setUp()
        self.compare("--output=" + self.id(), "true")
        with open(path(self.id())) as f:
            self.lines = f.read().splitlines(True)

    def read(self, text, *more, status=0):
        write("kept", text)
        out, err = self.compare("--read=kept", *more, few=(), status=status)
        return out if not status and not err else err

    def test_another_version_is_refused(self):
        header = self.lines[0].replace('"weft_compare": 1', '"weft_compare": 99')
        self.assertNotEqual(header, self.lines[0])
        self.assertEqual(self.read(header + "".join(self.lines[1:]), status=125),
                         "weft: kept: line 1 is of another version of the format than 1\n")

    def test_a_file_without_what_was_added_later_is_read(self):
        lines = [json.loads(line) for line in self.lines]
        for line in lines:
            for name in "rate", "stack_bytes", "times", "carriers":
                line.pop(name, None)
        out = self.read("".join(json.dumps(line) + "\n" for line in lines))
        self.assertNotIn("stacks of", out)
        self.assertEqual(out, re.sub(r"; stacks of [^;]*", "", self.read("".join(self.lines))))

    def test_a_last_line_that_was_cut_short_is_left_out(self):
        text = "".join(self.lines)
        self.assertEqual(self.read(text[:-20]),
                         "weft: kept: line 15 was cut short and is left out\n")
        self.assertEqual(self.read(text[:-1]), self.read(text))

    def test_a_comparison_behind_a_line_that_was_cut_short(self):
        write("cut", "".join(self.lines)[:-20])
        out, err = self.compare("--output=cut", "true", "again")
        self.assertEqual(self.compare("--read=cut", few=()), (out, ""))

    def test_damage_elsewhere_is_an_error(self):
        self.lines[5] = self.lines[5][:40] + "\n"
        self.assertEqual(self.read("".join(self.lines), status=125),
                         "weft: kept: line 6 is none of a comparison\n")
        self.lines[5] = self.lines[6].replace('"tasks"', '"latency": "1 2 3", "tasks"')
        self.assertEqual(self.read("".join(self.lines), status=125),
                         "weft: kept: line 6 is none of a comparison\n")
        for text in "", "some\ntext\n", "{}\n", "[]\n", "text", self.lines[0][:30], "\0\n":
            with self.subTest(text):
                self.assertRegex(self.read(text, status=125), r"weft: kept:? .*\n")
        self.assertIn("No such file", self.compare("--read=none", few=(), status=125)[1])

    def test_files_that_have_nothing_in_common(self):
        text = "".join(self.lines)
        for name, other, words in (("model name", text.replace('"machine": "', '"machine": "x'),
                                    "--force"),
                                   ("primary", text.replace("wall time", "user time"), "verdict"),
                                   ("variant", text.replace('"weft"', '"warp"'), "in common")):
            with self.subTest(name):
                write("other", other)
                self.assertIn(words, self.read(text, "other", status=125))
        write("other", text.replace('"machine": "', '"machine": "x'))
        self.assertIn("weft by native", self.read(text, "--force", "other"))

    def test_a_summary_that_cannot_be_written_is_an_error(self):
        write("kept", "".join(self.lines))
        for form in [], ["--json"], ["--csv"]:
            with self.subTest(form), open("/dev/full", "w") as full:
                ended = subprocess.run([weft, "compare", "--read=kept", *form], cwd=tmp,
                                       stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual((ended.returncode, ended.stderr),
                                 (1, "weft: cannot write to standard output\n"))

    def test_output_that_cannot_be_written_is_found_before_any_run(self):
        self.refuse("--output: missing/file: No such file", "--output=missing/file")
        self.refuse("--output: .: Is a directory", "--output=.")
        self.refuse("--output: /dev/full: No space left", "--output=/dev/full")
        self.refuse("--plot: ", "--plot=missing/file.gp")      # anything else wants gnuplot first
        self.refuse("--plot: a name that ends in .svg, .png or .gp", "--plot=file.pdf")

    def test_without_gnuplot_a_plot_is_refused_before_any_run(self):
        os.makedirs(path("few"), exist_ok=True)
        for name in "sh", "touch":
            if not os.path.exists(path("few/" + name)):
                os.symlink(shutil.which(name), path("few/" + name))
        bare = environment(PATH=path("few"))
        self.refuse("--plot needs gnuplot, which is not installed", "--plot=file.svg", env=bare)
        self.assertFalse(os.path.exists(path("file.svg")))
        self.assertIn("--plot needs gnuplot", self.compare("--plot=file.png",
                      "--read=" + self.id(), env=bare, few=(), status=125)[1])
        self.compare("--plot=file.gp", "--read=" + self.id(), env=bare, few=(), cwd=tmp)
        with open(path("file.gp")) as f:
            self.assertIn("set multiplot", f.read())


class Ended(Compare):
    """Ended from outside, in the middle of a run."""

    def begun(self, *more):
        """The comparison of a server, some runs of which are kept."""
        write("runs", "")
        write("notes", "")
        process = self.start(*SHORT, "--pairs=96", "--echo=8", "--seconds=50ms",
                             "--precision=0.01%", "--output=runs",
                             *more, self.server, "{port}", "note=" + path("notes"), "dir={dir}",
                             "daemon=" + path("left"))
        self.until(lambda: len(self.complete_lines()) > 5, "no run", 20)
        return process

    def complete_lines(self):
        with open(path("runs")) as f:
            return f.read().split("\n")[:-1]

    def end_by(self, sig):
        process = self.begun()
        process.send_signal(sig)
        out, err = process.communicate(timeout=LIMIT)
        self.until(lambda: not self.processes(), "processes are left")
        self.assert_gone([n["dir"] for n in lines_of("notes")])
        for line in self.complete_lines():
            json.loads(line)
        return process.returncode, out

    def test_a_signal_ends_the_run_and_gives_what_there_is(self):
        for sig in signal.SIGTERM, signal.SIGINT:
            with self.subTest(sig):
                status, out = self.end_by(sig)
                self.assertEqual(status, 0)
                self.assertRegex(out, r"\n    by requests per server CPU-second, \d+ pairs?\n")
                self.assertEqual(self.compare("--read=runs", few=()), (out, ""))

    def test_a_kill_leaves_neither_processes_nor_directories(self):
        status, out = self.end_by(signal.SIGKILL)
        self.assertEqual((status, out), (-signal.SIGKILL, ""))
        out, err = self.compare("--read=runs", few=())
        self.assertRegex(out, r"\n    by requests per server CPU-second, \d+ pairs?\n")

    def test_a_hangup_leaves_neither_processes_nor_directories(self):
        self.assertEqual(self.end_by(signal.SIGHUP), (-signal.SIGHUP, ""))

    def test_what_is_prepared_is_cleaned_up(self):
        write("cleaned", "")
        process = self.start(*FEW, "--prepare=touch mine",
                             "--cleanup=rm mine; echo {dir} >> cleaned", "sh", "-c",
                             "touch running; sleep 77")
        self.until(lambda: os.path.exists(path("running")), "no run")
        process.terminate()
        self.assertIn("no verdict: 0 pairs", process.communicate(timeout=LIMIT)[0])
        self.assertFalse(os.path.exists(path("mine")))
        with open(path("cleaned")) as f:
            self.assert_gone(f.read().split())


class Options(Compare):
    def test_too_few_pairs_are_found_before_the_first_run(self):
        server = "--ready=tcp:{port}", "--echo=8"
        self.refuse("only 0 fit into --time 5, and 6 are needed", *server, "--time=5")
        self.refuse("only 3 fit into --time 30, and 6 are needed", *server, "--time=30")
        self.refuse("at each level, and 12 are needed", *server, "--time=60",
                    "--levels=connections=1,2,3")
        self.refuse("--pairs: fewer than 6 give no verdict on 1 level\n", "--pairs=5")
        self.refuse("--pairs: fewer than 12 give no verdict on 2 levels\n", *server,
                    "--pairs=6",
                    "--levels=connections=1,2")

    def test_too_few_pairs_of_a_command_are_found_when_its_time_is_known(self):
        out, err = self.compare("--time=1", "sleep", "0.2", status=125, few=())
        self.assertRegex(err, r"a pair takes \S+ s: only [0-2] fit into --time 1, "
                         r"and 6 are needed\n\Z")

    def test_wrong_options(self):
        self.check_fails(125, "a PROGRAM is needed", "compare")
        self.check_fails(125, "a PROGRAM is needed", "compare", "--pairs=6", "--")
        server = "--ready=tcp:{port}", "--echo=8"
        for words, *argv in (
                ("unknown option `--nonsense'", "--nonsense"),
                ("--json takes no value", "--json=1"),
                ("--pairs: `no' is not a number", "--pairs=no"),
                ("--variant: `NAME=...' is the form", "--variant=name"),
                ("--variant: `NAME=...' is the form", "--variant==A=1"),
                ("with a NAME of up to 23 letters", "--variant=%s=A=1" % ("n" * 24)),
                ("with a NAME of up to 23 letters", "--variant=a,b=A=1"),
                ("at most 8 variants", *["--variant=v%d=A=1" % i for i in range(7)]),
                ("--variant weft: a \" is not closed in `A=\"x y'", "--variant=weft=A=\"x y"),
                ("--variant weft: a ' is not closed in `A='x'", "--variant=weft=A='x"),
                ("nothing follows the last backslash", "--variant=weft=A=x\\"),
                ("either --json or --csv", "--json", "--csv"),
                ("--seconds: at least 10 ms", *server, "--seconds=9ms"),
                ("--pairs: fewer than 6", "--quick", "--pairs=5"),
                ("`--hubs=2' is for Weft", "--variant=native=--hubs=2"),
                ("unknown option `--hub=2'", "--variant=weft=--hub=2"),
                ("--hubs: `two' is not a number", "--variant=weft=--hubs two"),
                ("a load needs a server", "--echo=8"), ("a load needs a server", "--load=true"),
                ("--levels and --rate are for servers", "--levels=connections=1"),
                ("a server needs one load", "--ready=tcp:{port}"),
                ("a server needs one load", *server, "--http=/"),
                ("--rate is for --http and --echo", "--ready=tcp:1", "--rate=5", "--load=ab"),
                ("no known tool in `my tool'", "--ready=tcp:1", "--load=my tool"),
                ("one of tcp:PORT, unix:PATH", "--ready=8080", "--echo=8"),
                ("`tcp:http' is none of HOST:PORT", "--ready=tcp:http", "--echo=8"),
                ("a path of 1 to 107 bytes", "--ready=unix:", "--echo=8"),
                ("is no regular expression", "--ready=line:(", "--echo=8"),
                ("--levels: `connections=1,10,100' is the form", *server, "--levels=1,2"),
                ("--levels: `x' does not begin with", *server, "--levels=connections=1,x"),
                ("--levels: `0' does not begin with", *server, "--levels=connections=0"),
                ("--levels: there are none", *server, "--levels=connections="),
                ("--levels: at most 16", *server, "--levels=connections=" + ",".join("1" * 17)),
                ("--metric n: NAME=REGEX", "--metric=n"), ("--metric n=(: ", "--metric=n=("),
                ("the figure is wanted in parentheses", "--metric=n=5"),
                ("--metric: at most 8", *["--metric=m%d=([0-9])" % i for i in range(9)]),
                ("--stop: `NONSENSE' is no signal", "--stop=NONSENSE"),
                ("--timeout: twice the time of --seconds", *server, "--timeout=4"),
                ("--fail-if-worse: `x' is not a percentage", "--fail-if-worse=x")):
            with self.subTest(argv):
                self.refuse(words, *argv)
        self.check_fails(125, "two files at most", "compare", "--read=a", "b", "c")
        for more in "--json", "--csv", "--plot=x.svg", "--fail-if-worse=5%":
            self.check_fails(125, "compared as text only", "compare", more, "--read=a", "b")


if __name__ == "__main__":
    main()
