#!/usr/bin/python3
"""test_cli -- the `weft' command as a user meets it: usage, exit statuses, environment

usage: tests/apps/test_cli.py [-v] [CLASS[.TEST]]…
"""
import re

from cli import *


class Usage(Case):
    def test_version(self):
        self.assertEqual(self.command("--version"), (0, "weft 0.1\n", ""))

    def test_help_shows_every_option_its_variable_and_default(self):
        with open(ROOT + "/core/conf.def") as f:
            rows = re.findall(r'^OPT\((\w+), (\w+), ([^,]*), "(\w+)", "([^"]*)", "([^"]*)"\)',
                              f.read(), re.M)
        self.assertGreater(len(rows), 5)
        for words in "--help", "run --help", "help run", "run -h", "-h", "help":
            status, out, err = self.command(*words.split())
            self.assertEqual((status, err), (0, ""))
            for field, kind, default, name, argument, words in rows:
                self.assertIn("  --%s%s\n" % (field, "" if kind == "FLAG" else " " + argument), out)
                shown = "none" if kind == "LEVEL" else default.strip('"') or "none"
                self.assertIn("(%s=%s in the environment; default %s)" % (name, argument, shown),
                              out)
                self.assertIn(words, out)

    def test_help_of_the_others(self):
        for argv in ("stats", "--help"), ("help", "stats"):
            status, out, err = self.command(*argv)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("usage: weft stats [--raw] FILE", out)
        self.assertIn("usage: weft help", self.command("help", "help")[1])

    def test_wrong_command(self):
        self.check_fails(125, "a command is missing")
        self.check_fails(125, "`nonsense' is no command", "nonsense")
        self.check_fails(125, "`nonsense' is no command", "help", "nonsense")
        self.check_fails(125, "one command", "help", "run", "stats")

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([weft, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=LIMIT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_wrong_options(self):
        for words, *argv in (
                ("a PROGRAM is needed",), ("a PROGRAM is needed", "--"),
                ("a PROGRAM is needed", "--hubs", "2"),
                ("unknown option `--nonsense'", "--nonsense", "true"),
                ("unknown option `--hub'", "--hub", "1", "true"),
                ("unknown option `--hubss=1'", "--hubss=1", "true"),
                ("unknown option `-x'", "-x", "true"), ("--hubs needs a value: N", "--hubs"),
                ("--hubs: `two' is not a number", "--hubs", "two", "true"),
                ("--hubs: `' is not a number", "--hubs=", "true"),
                ("--hubs: `-1' is not a number", "--hubs=-1", "true"),
                ("--hubs: `1x' is not a number", "--hubs", "1x", "true"),
                ("--hubs: ` 1' is not a number", "--hubs", " 1", "true"),
                ("--hubs: `99999999999' is not", "--hubs", "99999999999", "true"),
                ("--log: `loud' is none of", "--log", "loud", "true"),
                ("--require takes no value", "--require=1", "true")):
            with self.subTest(argv):
                self.check_fails(125, words, "run", *argv)

    def test_library_is_missing(self):
        os.makedirs(path("alone/bin"), exist_ok=True)
        shutil.copy(weft, path("alone/bin/weft"))
        status, out, err = output_of([path("alone/bin/weft"), "run", "true"])
        if status == 0:
            self.skipTest("there is a library where this command would be installed")
        self.assertEqual(status, 125)
        self.assertIn("the library is missing: neither %s" % path("alone/bin/libweft.so"), err)

    def test_library_of_an_installation(self):
        os.makedirs(path("prefix/bin"), exist_ok=True)
        os.makedirs(path("prefix/lib"), exist_ok=True)
        shutil.copy(weft, path("prefix/bin/weft"))
        shutil.copy(library, path("prefix/lib/libweft.so.0"))
        status, out, err = output_of([path("prefix/bin/weft"), "run", "printenv", "LD_PRELOAD"])
        self.assertTrue(os.path.samefile(out.strip(), path("prefix/lib/libweft.so.0")), out)

    def test_library_whose_path_ld_preload_cannot_hold(self):
        for name in "a space", "a:colon":
            os.makedirs(path(name), exist_ok=True)
            shutil.copy(weft, path(name))
            shutil.copy(library, path(name))
            status, out, err = output_of([path(name) + "/weft", "run", "true"])
            self.assertEqual(status, 125)
            self.assertIn("a space or colon", err)


class Run(Case):
    def test_status_is_the_programs(self):
        self.assertEqual(self.run_weft("sh", "-c", "exit 7"), (7, "", ""))
        self.assertEqual(self.run_weft("sh", "-c", "kill -9 $$"), (-9, "", ""))

    def test_not_found(self):
        for name in "no-such-program", "./no-such-program", "/no/such", "/etc/passwd/x":
            with self.subTest(name):
                self.check_fails(126 if "passwd" in name else 127, name, "run", name)
        self.check_fails(127, "No such file", "run", "")
        self.check_fails(127, "true", "run", "true", env=environment(PATH="/no/such:/neither"))
        self.check_fails(127, "true", "run", "true", env=environment(PATH=""), cwd="/")

    def test_not_executable(self):
        write("plain.txt", "no program\n", 0o644)
        self.check_fails(126, "Permission denied", "run", path("plain.txt"))
        self.check_fails(126, "Permission denied", "run", "/")
        self.check_fails(126, "Permission denied", "run", "plain.txt",
                         env=environment(PATH=tmp + ":/usr/bin"))

    def test_search_as_execvp(self):
        os.makedirs(path("first"), exist_ok=True)
        os.makedirs(path("second"), exist_ok=True)
        write("first/found", "#!/bin/sh\necho first\n", 0o644)
        write("second/found", "#!/bin/sh\necho second $0\n")
        search = environment(PATH=":".join(["/no/such", path("first"), path("second"),
                                            os.environ["PATH"]]))
        self.assertEqual(self.run_weft("found", env=search),
                         (0, "second %s\n" % path("second/found"), ""))
        os.chmod(path("first/found"), 0o755)
        self.assertEqual(self.run_weft("found", env=search)[1][:5], "first")
        for here in "", ":/usr/bin", "/usr/bin:", "/usr/bin::/bin":
            with self.subTest(here):
                bare = output_of(["/usr/bin/env", "found"], environment(PATH=here),
                                 cwd=path("second"))
                got = self.run_weft("found", env=environment(PATH=here), cwd=path("second"))
                self.assertEqual(got[:2], bare[:2])

    def test_without_path_the_default_one_is_searched(self):
        self.assertEqual(self.run_weft("true", env=environment(PATH=None)), (0, "", ""))

    def test_execs_and_never_forks(self):
        with subprocess.Popen([weft, "run", "sh", "-c", "echo $$"], stdout=subprocess.PIPE,
                              text=True) as child:
            self.assertEqual(child.communicate(timeout=LIMIT)[0], "%d\n" % child.pid)

    def test_arguments_reach_the_program_untouched(self):
        argv = ["a b", "", "--hubs", "--", "-x", "é"]
        status, out, err = self.run_weft("--", "sh", "-c", 'printf "<%s>" "$0" "$@"', *argv)
        self.assertEqual((status, out), (0, "".join("<%s>" % a for a in argv)), err)
        self.assertEqual(self.run_weft("cat", "/proc/self/cmdline")[1], "cat\0/proc/self/cmdline\0")

    def test_nothing_is_left_open(self):
        self.assertEqual(self.run_weft("ls", "/proc/self/fd"), output_of(["ls", "/proc/self/fd"]))

    def test_script_without_interpreter_is_the_shells(self):
        script = write("plain.sh", "echo shell $1; exit 4\n")
        self.assertEqual(self.run_weft(script, "arg"), (4, "shell arg\n", ""))

    def test_script_whose_interpreter_is_missing(self):
        self.check_fails(127, "No such file", "run", write("lost.sh", "#!/no/such/interpreter\n"))

    def test_scripts_that_run_each_other_for_ever(self):
        write("ping", "#!%s\n" % path("pong"))
        write("pong", "#!%s\n" % path("ping"))
        self.check_fails(126, "Too many levels", "run", path("ping"))


class Environment(Case):
    def test_without_options_only_ld_preload_is_new(self):
        self.assertEqual(self.variables(), environment(LD_PRELOAD=library))

    def test_options_set_their_variables(self):
        got = self.variables("--hubs", "3", "--preempt=0", "--require", "--log=debug", "--skip",
                             "read,write")
        self.assertEqual(got, environment(LD_PRELOAD=library, WEFT_HUBS="3", WEFT_PREEMPT="0",
                                          WEFT_REQUIRE="1",
                                          WEFT_LOG="debug", WEFT_SKIP="read,write"))

    def test_an_option_wins_over_the_variable_and_over_earlier_ones(self):
        before = environment(WEFT_HUBS="9", WEFT_LOG="none", WEFT_OTHER="x")
        got = self.variables("--hubs=2", "--hubs=4", env=before)
        self.assertEqual((got["WEFT_HUBS"], got["WEFT_LOG"], got["WEFT_OTHER"]), ("4", "none", "x"))

    def test_statistics_file_is_named_from_here(self):
        self.assertEqual(self.variables("--stats", "x.%p", cwd=tmp)["WEFT_STATS"], path("x.%p"))
        self.assertEqual(self.variables("--stats=" + path("y"))["WEFT_STATS"], path("y"))

    def test_other_preloads_are_kept_behind_ours(self):
        one = compile("one.so", "int one;\n", "-shared", "-fPIC")
        two = compile("two.so", "int two;\n", "-shared", "-fPIC")
        for before, after in ((one, one), (one + ":" + two, one + ":" + two),
                              (one + " " + two, one + " " + two), ("", None),
                              (":" + library + "::" + one, one), (library, None),
                              (one + ":" + library, one)):
            with self.subTest(before):
                got = self.variables(env=environment(LD_PRELOAD=before))["LD_PRELOAD"]
                self.assertEqual(got, library + (":" + after if after else ""))

    def test_weft_in_weft_is_weft_once(self):
        self.assertEqual(self.variables("--hubs=1", weft, "run", "--hubs=2"),
                         environment(LD_PRELOAD=library, WEFT_HUBS="2"))

    def test_the_order_of_the_environment_stays(self):
        code = "import os; os.execve(%r, ['weft', 'run', 'cat', '/proc/self/environ'], {})" % weft
        self.assertEqual(output_of([sys.executable, "-c", code])[1], "LD_PRELOAD=%s\0" % library)
        names = ["B=1", "LD_PRELOAD=", "A=2", "EMPTY="]
        out = output_of(["env", "-i", *names, weft, "run", "/bin/cat", "/proc/self/environ"])[1]
        self.assertEqual(out.split("\0"), ["B=1", "LD_PRELOAD=" + library, "A=2", "EMPTY=", ""])


if __name__ == "__main__":
    main()
