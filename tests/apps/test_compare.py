#!/usr/bin/python3
"""test_compare -- `weft compare' of programs and servers that do what they should: what it runs,
keeps, says and returns

usage: tests/apps/test_compare.py [-v] [CLASS[.TEST]]…
"""
import re
import statistics

from compared import *

WAITS = "sleep ${PAUSE:-0.001}; exit ${STATUS:-0}"      # for sh -c


def timed(runs, variant):
    return [run for run in runs if run["kind"] == "timed" and run["variant"] == variant]


class Commands(Compare):
    def test_a_table_shows_both_variants_and_a_verdict(self):
        out, err = self.compare("sh", "-c", "echo hello")
        self.assertRegex(out, r"\n +native +weft +ratio \(95 % interval\)\n  wall time +\d")
        self.assertRegex(out, "(no difference|is better by|not resolved|withheld).*"
                         r"\n +by wall time, 6 pairs\n")
        self.assertRegex(err, r"plan: 6 to 6 pairs of \S+ s, .*; seed \d+\n\Z")
        self.assertIn("0 tasks: this program makes no threads", out)

    def test_the_kept_runs_are_those_of_the_summary(self):
        out, err = self.compare("--output=runs", "--json", "--seed=7", "sh", "-c", WAITS)
        one = json.loads(out)["cases"][0]
        header, runs = kept("runs")
        self.assertEqual((header["weft_compare"], header["seed"]), (1, 7))
        self.assertEqual([v["name"] for v in header["variants"]], ["native", "weft"])
        self.assertEqual([run["kind"] for run in runs], ["warmup"] * 2 + ["timed"] * 12)
        self.assertEqual([run["begun_s"] for run in runs], sorted(run["begun_s"] for run in runs))
        self.assertEqual((one["base"], one["variant"], one["pairs"]), ("native", "weft", 6))
        for figure in "wall_s", "peak_rss_bytes":
            for name, key in ("native", "base"), ("weft", "variant"):
                values = [run["figures"][figure] for run in timed(runs, name)]
                self.assertEqual(len(values), 6)
                median = statistics.median(values)
                self.assertAlmostEqual(one["figures"][figure][key] / median, 1, 6)
        self.assertLessEqual(one["lower"], one["ratio"])
        self.assertLessEqual(one["ratio"], one["upper"])
        for pair in range(6):
            both = [run for run in runs if run["kind"] == "timed" and run["pair"] == pair]
            self.assertEqual([run["second"] for run in both], [False, True])
            self.assertEqual({run["variant"] for run in both}, {"native", "weft"})

    def test_the_same_seed_gives_the_same_order(self):
        orders = []
        for name in "first", "second":
            self.compare("--output=" + name, "--seed=5", "true")
            orders.append([run["variant"] for run in kept(name)[1]])
        self.assertEqual(*orders)

    def test_reading_prints_the_same_verdict(self):
        out, err = self.compare("--output=read", "sh", "-c", WAITS)
        self.assertEqual(self.compare("--read=read", few=()), (out, ""))
        lines = self.compare("--read=read", "--csv", few=())[0].splitlines()
        self.assertEqual(len(lines), 1 + 14)
        self.assertEqual({line.count(",") for line in lines}, {lines[0].count(",")})

    def test_csv_has_a_line_for_each_run(self):
        lines = self.compare("--csv", "true")[0].splitlines()
        self.assertEqual(lines[0].split(",")[:3], ["kind", "variant", "connections"])
        self.assertEqual(sorted(",".join(line.split(",")[:2]) for line in lines[1:]),
                         ["timed,native"] * 6 + ["timed,weft"] * 6
                         + ["warmup,native", "warmup,weft"])

    def test_two_kept_files_give_a_ratio_with_an_interval(self):
        for name in "a", "b":
            self.compare("--output=" + name, "sh", "-c", WAITS)
        out, err = self.compare("--read=a", "b", few=())
        self.assertRegex(out, r"weft by native, .*: \d\.\d+ \(\d\.\d+ … \d+\.\d+\)")

    def test_a_file_that_holds_several_comparisons_gives_the_last(self):
        self.compare("--output=both", "sh", "-c", "true first")
        out, err = self.compare("--output=both", "sh", "-c", "true second")
        self.assertEqual(self.compare("--read=both", few=())[0], out)
        self.assertIn("true second\n", out)

    def test_output_that_differs_is_said(self):
        out, err = self.compare("--same-output", "sh", "-c", "echo ${LD_PRELOAD:+there}")
        self.assertIn("differs: exit status or output of weft is not that of native", out)
        self.assertNotIn("differs", self.compare("--same-output", "echo", "same")[0])

    def test_an_exit_status_that_differs_is_said(self):
        out, err = self.compare("--variant=weft=STATUS=7", "--json", "sh", "-c", WAITS)
        self.assertEqual(json.loads(out)["cases"][0]["verdict"], "differs")

    def test_what_is_slowed_by_a_variable_is_worse(self):
        slow = "--variant=weft=PAUSE=0.1", "--margin=50%"
        out, err = self.compare(*slow, "--output=slow", "sh", "-c", WAITS)
        self.assertRegex(out, r"\n  native is better by \d+.* % \(\d+.* … \d+.*\)\n")
        for limit, status in ("50%", 1), ("99%", 1):
            self.compare("--read=slow", "--fail-if-worse=" + limit, few=(), status=status)
        slow = "--variant=native=PAUSE=0.1", "--output=fast"
        out, err = self.compare(*slow, "--fail-if-worse=5%", "sh", "-c", WAITS)
        self.assertRegex(out, r"\n  weft is better by \d+")

    def test_what_cannot_be_told_is_neither_worse_nor_not(self):
        self.compare("--fail-if-worse=5%", "--variant=weft=STATUS=1", "sh", "-c", WAITS, status=2)

    def test_variants_are_added_and_replaced(self):
        out, err = self.compare("--json", "--output=more", "--variant=native=A=1",
                                "--variant=weft=A=2 B=3", "--variant=two=A=4 --hubs=2",
                                "--metric=a=a([0-9.]+)", "sh", "-c",
                                'echo "a$A${B:-0}${WEFT_HUBS:-0}"')
        self.assertEqual([c["variant"] for c in json.loads(out)["cases"]], ["weft", "two"])
        runs = kept("more")[1]
        for name, value in ("native", 100), ("weft", 230), ("two", 402):
            self.assertEqual({run["metrics"]["a"] for run in timed(runs, name)}, {value})

    def test_another_program_is_the_second_variant(self):
        write("one", "#!/bin/sh\necho v1$1\n")
        write("two", "#!/bin/sh\necho v2$1\necho ${LD_PRELOAD:+w9}\n")
        out, err = self.compare("--program-b=" + path("two"), "--metric=v=v([0-9]+)", "--output=ab",
                                path("one"), "5")
        self.assertTrue(out.startswith("%s 5; b: %s\n" % (path("one"), path("two"))), out)
        header, runs = kept("ab")
        self.assertEqual([v["name"] for v in header["variants"]], ["native", "b"])
        self.assertEqual({run["metrics"]["v"] for run in timed(runs, "native")}, {15})
        self.assertEqual({run["metrics"]["v"] for run in timed(runs, "b")}, {25})

    def test_words_are_filled_in_and_the_directory_is_gone_afterwards(self):
        for name in "prepared", "cleaned", "seen":
            write(name, "")
        self.compare("--connections=17",
                     "--prepare=echo {connections} > {dir}/made; echo {dir} >> prepared",
                     "--cleanup=echo {dir} >> cleaned", "sh", "-c",
                     "read n < {dir}/made; "
                     "echo \"[$n, {port}, {connections}, {seconds}]\" >> seen; "
                     "touch {dir}/left; mkdir {dir}/more; echo {nothing}", cwd=tmp)
        with open(path("prepared")) as f, open(path("cleaned")) as g:
            dirs = f.read().split()
            self.assertEqual(g.read().split(), dirs)
        self.assertEqual((len(dirs), len(set(dirs))), (14, 14))
        self.assert_gone(dirs)
        for n, port, connections, seconds in lines_of("seen"):
            self.assertEqual((n, connections, seconds), (17, 17, 3))
            self.assertIn(port, range(1024, 65536))

    def test_nothing_of_weft_reaches_the_native_variant(self):
        mine = environment(LD_PRELOAD="", WEFT_HUBS="3", WEFT_LOG="error")
        self.compare("--metric=n=n([0-9]+)", "--output=clean", "sh", "-c",
                     "echo n1$(env | grep -c -e ^WEFT_ -e ^LD_PRELOAD)", env=mine)
        runs = kept("clean")[1]
        self.assertEqual({run["metrics"]["n"] for run in timed(runs, "native")}, {10})
        self.assertEqual({run["metrics"]["n"] for run in timed(runs, "weft")}, {12})    # WEFT_STATS

    def test_arguments_that_are_no_text_and_many_are_passed_on(self):
        out, err = self.compare("--output=bytes", "--same-output", "echo", b"\xff\xe4",
                                *["x"] * 400)
        self.assertNotIn("differs", out)
        self.assertEqual(len(kept("bytes")[1]), 14)

    def test_help_names_every_option(self):
        out, err = self.compare("--help", few=())
        with open(ROOT + "/preload/cli/compareplan.def") as f:
            for name in re.findall(r"^PLAN\((\w+)", f.read(), re.M):
                self.assertIn("\n  --%s" % name.replace("_", "-"), out)


class Servers(Compare):
    def test_an_echo_server_is_measured_both_ways(self):
        write("notes", "")
        out, err = self.serve("--echo=64", "--output=echo", words=["note=notes", "dir={dir}"])
        self.assertRegex(out, r"\n10 connections\n +native +weft")
        self.assertRegex(out, r"\n  requests per server CPU-second +\d.*\(.* … .*\)\n")
        self.assertRegex(out, r"\n  memory \(PSS\) ")
        self.assertRegex(out, r"up to \d+ tasks at once on \d hub")
        header, runs = kept("echo")
        self.assertEqual([run["kind"] for run in runs],
                         ["warmup"] * 2 + ["timed"] * 12 + ["memory"] * 2)
        for run in runs:
            self.assertEqual((run["error"], run["failed"]), ("", 0))
            self.assertGreater(run["requests"], 0)
            if run["variant"] == "weft":
                self.assertTrue(run["tasks"]["active"])
                self.assertGreaterEqual(run["tasks"]["created"], 10)
            else:
                self.assertIsNone(run["tasks"])
        notes = lines_of("notes")[-len(runs):]
        self.assertEqual([(n["preload"], n["weft"] > 0) for n in notes],
                         [(run["variant"] == "weft",) * 2 for run in runs])
        self.assert_gone([n["dir"] for n in notes])

    def test_an_http_server_at_a_fixed_rate(self):
        out, err = self.serve("--http=/", "--rate=500", "--connections=3", "--output=http")
        self.assertIn("\n3 connections\n", out)
        self.assertNotIn("Latencies are at different rates", out)
        self.assertTrue(kept("http")[0]["fixed_rate"])

    def test_a_metric_of_the_built_in_load_gets_the_verdict(self):
        out, err = self.serve("--echo=64", '--metric=all="started": ([0-9]+)')
        self.assertRegex(out, r"\n  all +\d")
        self.assertIn("\n    by all, 6 pairs\n", out)

    def test_readiness_by_a_line_or_a_command(self):
        for ready in "line:^serving [0-9]+", "cmd:grep -q serving {dir}/.stdout":
            with self.subTest(ready):
                self.serve("--ready=" + ready, "--echo=8")

    def test_each_level_gets_a_series_and_a_verdict(self):
        out, err = self.serve("--echo=8", "--levels=connections=1,4", "--pairs=12", "--time=10m",
                              "--output=levels")
        self.assertRegex(out, r"(?s)\n1 connection\n.* pairs.*\n4 connections\n.* pairs")
        self.assertNotIn("are needed", out)
        runs = kept("levels")[1]
        self.assertEqual({run["error"] for run in runs}, {""})
        for level in 1, 4:
            self.assertEqual(sum(run["connections"] == level for run in timed(runs, "weft")), 12)
        shown = json.loads(self.compare("--read=levels", "--json", few=())[0])["cases"]
        self.assertEqual([c["connections"] for c in shown], [1, 4])

    @unittest.skipUnless(shutil.which("wrk"), "wrk is not installed")
    def test_the_output_of_wrk_is_read(self):
        # It measures whole seconds, but reports what it has when it is interrupted.
        load = ("timeout -s INT 0.2 wrk -t1 -c{connections} -d1 --latency "
                "http://127.0.0.1:{port}/; true")
        mine = environment(LD_PRELOAD="", WEFT_HUBS="3")
        out, err = self.serve("--load=env | grep -e WEFT_ -e LD_PRELOAD >> of-load; " + load,
                              "--connections=4",
                              "--output=wrk", env=mine)
        self.assertRegex(out, r"\n  requests per server CPU-second +\d")
        self.assertRegex(out, r"\n  p99 +\d")
        self.assertTrue(all(run["figures"]["rate"] > 0 for run in timed(kept("wrk")[1], "weft")))
        with open(path("of-load")) as f:
            self.assertEqual(f.read(), "")

    def test_any_other_load_is_read_by_a_metric(self):
        out, err = self.serve("--load=echo rate: 10{connections}0 /s",
                              "--metric=rate=rate: ([0-9.]+)")
        self.assertRegex(out, r"\n  rate +10.100 +10.100 +1.000 \(1.000 … 1.000\)\n")
        self.assertIn("no difference above 2 %\n    by rate, 6 pairs\n", out)

    @unittest.skipUnless(shutil.which("taskset"), "taskset is not installed")
    def test_one_cpu_is_enough_and_is_said(self):
        first = str(min(os.sched_getaffinity(0)))
        out, err = self.serve("--echo=8", runner=["taskset", "-c", first])
        self.assertIn("one CPU: the server shares it with the load", err)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_another_user_than_root_measures_in_the_hosts_network(self):
        out, err = self.serve("--echo=8", user=65534, group=65534, extra_groups=[], cwd="/")
        self.assertIn(", 6 pairs\n", out)


if __name__ == "__main__":
    main()
