#!/usr/bin/python3
"""test_compare -- `weft compare' of programs and servers that do what they should: what it runs,
keeps, says and returns

usage: tests/apps/test_compare.py [-v] [CLASS[.TEST]]…
"""
import re
import statistics

from compared import *

# Two threads: one waits for a lock that the other one holds, in a call of which Weft knows nothing.
LOCKS = r"""
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

static const char *file;

static void *lock(void *arg)
{
	return (void *)(long)flock(open(file, O_RDWR), LOCK_EX);
}

int main(int argc, char **argv)
{
	int fd = open(file = argv[1], O_RDWR | O_CREAT, 0600);
	pthread_t thread;
	void *failed;

	if (flock(fd, LOCK_EX) || pthread_create(&thread, NULL, lock, NULL))
		return 1;
	usleep(700000);
	close(fd);
	return pthread_join(thread, &failed) || failed;
}
"""
WAITS = "sleep ${PAUSE:-0.001}; exit ${STATUS:-0}"      # for sh -c


def timed(runs, variant):
    return [run for run in runs if run["kind"] == "timed" and run["variant"] == variant]


class Commands(Compare):
    def test_a_table_shows_both_variants_and_a_verdict(self):
        out, err = self.compare("sh", "-c", "echo hello")
        self.assertRegex(out, r"\n +native +weft +ratio \(95 % interval\)\n  wall time +\d")
        self.assertRegex(out, "(no difference|is better by|not resolved|withheld).*"
                         r"\n +by wall time, 6 pairs\n")
        self.assertRegex(err, r"plan: 6 to 6 pairs of \S+ s, .*; seed \d+\n"
                         r"(weft: the machine's host gave .*\n)?\Z")   # if it did, it must be said
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
        self.assertRegex(out, r"weft by native: \d\.\d+, then \d\.\d+: \d\.\d+ \(\d\.\d+ … \d+\.\d+\)")

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
        slow = "--variant=weft=PAUSE=0.5", "--margin=50%"
        out, err = self.compare(*slow, "--output=slow", "sh", "-c", WAITS)
        self.assertRegex(out, r"\n  native is better by \d+.* % \(\d+.* … \d+.*\)\n")
        for limit, status in ("50%", 1), ("99%", 1):
            self.compare("--read=slow", "--fail-if-worse=" + limit, few=(), status=status)
        slow = "--variant=native=PAUSE=0.5", "--output=fast"
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

    def test_a_call_that_blocks_carriers_is_named(self):
        lock = compile("lock", LOCKS, "-pthread")
        out, err = self.compare("--output=locks", lock, "{dir}/lock")
        share = re.search(r"\n    (\d+) % of carrier time blocked in flock\n", out)
        self.assertIn(int(share.group(1)), range(20, 101), out)
        looks = {run["variant"]: run["carriers"] for run in kept("locks")[1]
                 if run["kind"] == "warmup"}
        self.assertIsNone(looks["native"])
        self.assertEqual(looks["weft"]["in"], "flock")
        self.assertGreaterEqual(looks["weft"]["looks"], 20)
        self.assertEqual({run["carriers"] and 1 for run in timed(kept("locks")[1], "weft")}, {None})

    def test_help_names_every_option(self):
        out, err = self.compare("--help", few=())
        with open(ROOT + "/preload/cli/compare/plan.def") as f:
            for name in re.findall(r"^PLAN\((\w+)", f.read(), re.M):
                self.assertIn("\n  --%s" % name.replace("_", "-"), out)


class Variants(Compare):
    """How they are named and told apart."""

    def test_words_are_quoted_as_for_a_shell(self):
        self.compare("--variant=native=A='x  y' B=\"it's\"", "--variant=weft=A=x\\ y --hubs '2'",
                     "--metric=n=n([0-9]+)", "sh", "-c",
                     'echo "[$A|$B|$WEFT_HUBS]" >> %s; echo n1' % path("quoted"), cwd=tmp)
        with open(path("quoted")) as f:
            self.assertEqual(set(f.read().splitlines()), {"[x  y|it's|]", "[x y||2]"})

    def test_the_table_is_within_100_columns(self):
        names = ["a-name-of-23-letters-%02d" % i for i in range(7)]
        out, err = self.compare("--output=wide", "--metric=%s=n([0-9]+)" % ("m" * 31),
                                *["--variant=%s=A=1" % name for name in names[:6]], "sh", "-c",
                                "echo n1234567 " + " ".join(["word"] * 30 + ["x" * 150]))
        self.assertEqual(len(re.findall("ratio", out)), 7)
        for name in names[:6]:
            self.assertIn("  A: native   B: %s\n" % name, out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
        self.assertIn("\n  sh -c echo n1234567 word", "\n  " + out)
        out, err = self.compare("--read=wide", "wide", few=())
        self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_a_terminal_gets_progress_and_bold_type_and_nothing_else_does(self):
        status, text = on_terminal(weft, "compare", *FEW, "--output=shown", "true")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"\r6 pairs: weft \d+\.\d{3} \(\S+ … \S+\)")
        self.assertRegex(text, "\033\\[1m  [^\n]*ratio")
        status, text = on_terminal(weft, "compare", "--read=shown")
        self.assertIn("\033[1m", text)
        out, err = self.compare("--read=shown", few=())
        self.assertNotIn("\033", out + err)
        self.assertEqual(re.sub("\033\\[[01]m", "", text).replace("\r\n", "\n"), out)

    def test_quick_leaves_what_was_asked_for(self):
        load = "--ready=tcp:{port}", "--echo=8", self.server, "{port}"
        for argv, seconds, pairs in ((["true"], 1, 6),
                                     (["--seconds=50ms", *load], .05, 6),
                                     (["--pairs=12", "--seconds=20ms", *load], .02, 12)):
            with self.subTest(argv):
                out, err = self.compare("--quick", "--output=quick", "--precision=0.01%", *argv,
                                        few=["--time=10m"])
                header, runs = kept("quick")
                self.assertEqual(header["seconds"], seconds)
                self.assertEqual(len(timed(runs, "weft")), pairs)
                self.assertIn("%d pairs (--quick: a first look)\n" % pairs, out)

    def test_a_metric_that_is_a_time_has_a_unit(self):
        out, err = self.compare("--metric=t=t=([0-9.]+ [a-z]+):lower", "--metric=n=n=([0-9]+)",
                                "--output=times", "echo", "t=12.5 ms n=7000")
        self.assertRegex(out, r"\n  t +12.50 ms +12.50 ms +1.000 ")
        self.assertRegex(out, r"\n  n +7 000 +7 000 +1.000 ")
        read = lambda *more: self.compare("--read=times", *more, few=())[0]
        figures = json.loads(read("--json"))["cases"][0]["figures"]
        self.assertEqual((figures["t"]["unit"], figures["t"]["base"]), ("s", 0.0125))
        self.assertEqual((figures["n"]["unit"], figures["wall_s"]["unit"]), ("", "s"))
        self.assertEqual(figures["peak_rss_bytes"]["unit"], "B")
        head, first, *_ = [line.split(",") for line in read("--csv").splitlines()]
        self.assertEqual(first[head.index("t_s")], "0.0125")
        self.assertEqual(first[head.index("n")], "7000")


class Plots(Compare):
    def blocks(self, file):
        """The data of what --plot has written: {name: [[number, …], …]}."""
        with open(path(file)) as f:
            found = re.findall(r"^\$(\w+) << END\n(.*?)^END$", f.read(), re.M | re.S)
        return {name: [[float(x) for x in line.split()] for line in text.splitlines()]
                for name, text in found}

    def figures(self, *argv):
        """Runs it once; returns (cases of the JSON, blocks of the plot, kept runs)."""
        out, err = self.compare("--json", "--output=drawn", "--plot=drawn.gp", *argv, cwd=tmp)
        return json.loads(out)["cases"], self.blocks("drawn.gp"), kept("drawn")[1]

    def check(self, cases, blocks, runs, figure):
        ratios = [row for name in sorted(blocks) if name.startswith("ratio")
                  for row in blocks[name]]
        self.assertEqual([row[:4] for row in ratios],
                         [[c["connections"], c["ratio"], c["lower"], c["upper"]] for c in cases])
        for v, name in enumerate(["native", "weft"]):
            rows = blocks["runs%d" % v]
            mine = timed(runs, name)
            self.assertEqual(len(rows), len(mine))
            for row, run in zip(rows, mine):
                self.assertAlmostEqual(row[0] / run["begun_s"], 1, 8)
                self.assertAlmostEqual(row[1] / run["figures"][figure], 1, 8)

    def test_the_figures_of_a_curve_are_those_of_the_summary(self):
        cases, blocks, runs = self.figures(*SHORT, "--pairs=12", "--echo=64",
                                           "--levels=connections=1,5", self.server, "{port}")
        self.check(cases, blocks, runs, "requests_per_cpu_s")
        for level, case in enumerate(cases):
            for v, side in enumerate(["base", "variant"]):
                rows = {row[1]: row[2] for row in blocks["latency%d_%d" % (v, level)]}
                for percent, name in (50, "p50_s"), (90, "p90_s"), (99, "p99_s"), (100, "max_s"):
                    self.assertEqual(case["figures"][name]["from"], "merged")
                    self.assertAlmostEqual(rows[percent] / case["figures"][name][side], 1, 8)
                values = [row[2] for row in blocks["latency%d_%d" % (v, level)]]
                self.assertEqual(values, sorted(values))

    def test_the_figures_of_a_command_are_those_of_the_summary(self):
        cases, blocks, runs = self.figures("sh", "-c", WAITS)
        self.check(cases, blocks, runs, "wall_s")
        self.assertFalse([name for name in blocks if name.startswith("latency")])

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_pictures_are_drawn(self):
        self.serve("--echo=64", "--output=server")
        self.compare("--output=command", "--variant=more=A=1", "true")
        for kept_file in "server", "command":
            for ending, start in ("png", b"\x89PNG"), ("svg", b"<?xml"):
                with self.subTest([kept_file, ending]):
                    out, err = self.compare("--read=" + kept_file, "--plot=p." + ending, few=(),
                                            cwd=tmp)
                    self.assertEqual(err, "")
                    with open(path("p." + ending), "rb") as f:
                        self.assertEqual(f.read(len(start)), start)
            with open(path("p.svg")) as f:
                text = f.read()
            for title in ("ratio to native, with its interval", "runs in order of time", "weft",
                          "latencies by percentile" if kept_file == "server"
                          else "distribution of the runs"):
                self.assertIn(title, text)


class Servers(Compare):
    def test_an_echo_server_is_measured_both_ways(self):
        write("notes", "")
        out, err = self.serve("--echo=64", "--output=echo", words=["note=notes", "dir={dir}"])
        self.assertRegex(out, r"\n10 connections\n +native +weft")
        self.assertRegex(out, r"\n  requests per server CPU-second +\d.*\(.* … .*\)\n")
        self.assertRegex(out, r"\n  memory \(PSS\) ")
        self.assertRegex(out, r"CPUs, .*; stacks of \d+.* [KMG]iB;\s+seed \d+\n")
        self.assertRegex(out, r"up to \d+ tasks at once on \d hub")
        header, runs = kept("echo")
        self.assertEqual([run["kind"] for run in runs],
                         ["warmup"] * 2 + ["timed"] * 12 + ["memory"] * 2)
        for run in runs:
            self.assertEqual((run["error"], run["failed"]), ("", 0))
            self.assertGreater(run["requests"], 0)
            self.assertGreater(Histogram([run["latency"]]).count, 0)
            if run["variant"] == "weft":
                self.assertTrue(run["tasks"]["active"])
                self.assertGreaterEqual(run["tasks"]["created"], 10)
            else:
                self.assertIsNone(run["tasks"])
            looked = (run["kind"], run["variant"]) == ("memory", "weft")
            self.assertEqual(bool(run["carriers"]), looked)
        notes = lines_of("notes")[-len(runs):]
        self.assertEqual([(n["preload"], n["weft"] > 0) for n in notes],
                         [(run["variant"] == "weft",) * 2 for run in runs])
        self.assert_gone([n["dir"] for n in notes])

    def test_percentiles_are_those_of_all_runs_together(self):
        self.serve("--echo=64", "--output=merged")
        runs = kept("merged")[1]
        read = lambda *more: self.compare("--read=merged", *more, few=())[0]
        figures = json.loads(read("--json"))["cases"][0]["figures"]
        head, *lines = [line.split(",") for line in read("--csv").splitlines()]
        self.assertEqual({len(line) for line in lines}, {len(head)})
        for name, side in ("native", "base"), ("weft", "variant"):
            together = Histogram(run["latency"] for run in timed(runs, name))
            [line] = [dict(zip(head, line)) for line in lines if line[:2] == ["merged", name]]
            self.assertEqual(int(line["requests"]), together.count)
            for percent, key in (50, "p50_s"), (90, "p90_s"), (99, "p99_s"), (99.9, "p999_s"):
                low, high = together.percentile(percent)
                for value in figures[key][side], float(line[key]):
                    self.assertLessEqual(low, value * 1.0000001)
                    self.assertLessEqual(value, high * 1.0000001)
            self.assertAlmostEqual(figures["max_s"][side] * 1e9, together.longest, -1)
        self.assertAlmostEqual(figures["p99_s"]["ratio"],
                               figures["p99_s"]["variant"] / figures["p99_s"]["base"], 6)
        self.assertRegex(read(), r"\n  p99\.9 +\d")
        self.assertNotIn("* medians", read())

    def test_the_counters_of_weft_are_told(self):
        self.serve("--echo=64", "--output=counted")
        runs = timed(kept("counted")[1], "weft")
        read = lambda *more: self.compare("--read=counted", *more, few=())[0]
        [case] = json.loads(read("--json"))["cases"]
        head, *lines = [line.split(",") for line in read("--csv").splitlines()]
        self.assertIsNone(case["base_counters"])
        for name in "most", "hubs", "created", "switches", "parks", "calls":
            median = statistics.median(run["tasks"][name] for run in runs)
            self.assertGreater(median, 0, name)
            self.assertEqual(case["counters"][name], median)
        for line in lines:
            if line[0] == "timed":
                self.assertEqual(line[head.index("weft_most")] != "", line[1] == "weft")
        said = re.search(r"\n  Weft's counters, a run of weft: ((.|\n   )*)", read()).group(1)
        self.assertRegex(said, r"\Atasks at once \d+, hubs 1, tasks made \d+, switches [\d ]+, ")
        self.assertRegex(said, r"preemptions \d+,\s+hand-offs \d+,\s+offloads \d+")

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
        self.assertRegex(out, r"\n  p99 \* +\d")
        self.assertIn("\n  * medians of what the load printed for each run", out)
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

    @unittest.skipUnless(os.geteuid() == 0, "needs root to put files in the place of others")
    def test_a_noisy_machine_is_said(self):
        stat, load = "cpu  100 0 0 100 0 0 0 %d 0 0\n", "%s 1.00 1.00 1/99 4711\n"
        for stolen, busy in (100, "7777.00"), (0, "0.00"):
            write("stat", stat % 0)
            write("loadavg", load % busy)
            write("later", "cpu  200 0 0 200 0 0 0 %d 0 0\n" % stolen)
            out, err = self.compare("--prepare=cat later > /proc/stat", "true", cwd=tmp,
                                    runner=["unshare", "-m", "sh", "-ec",
                                            "mount --bind stat /proc/stat; "
                                            "mount --bind loadavg /proc/loadavg; exec \"$@\"",
                                            "sh"])
            self.assertEqual("busy with other work (load 7777.0)" in err, stolen > 0,
                             err)
            self.assertEqual("gave 33 % of its CPUs' time to others meanwhile (steal)" in err,
                             stolen > 0, err)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_another_user_than_root_measures_in_the_hosts_network(self):
        out, err = self.serve("--echo=8", user=65534, group=65534, extra_groups=[], cwd="/")
        self.assertIn(", 6 pairs\n", out)


if __name__ == "__main__":
    main()
