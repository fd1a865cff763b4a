#!/usr/bin/python3
"""test_cli_stats -- `weft stats': what it prints of a file, what it says of one that is none

usage: tests/apps/test_cli_stats.py [-v] [CLASS[.TEST]]…
"""
import re
import signal

from cli import *

# Writes a file as a process does: every block counts, so that a counter's sum is known.
WRITER = r"""
#include <stdio.h>
#include <string.h>
#include "stat.h"

static struct stat_page page;

int main(int argc, char **argv)
{
	page.magic = STAT_MAGIC;
	page.size = sizeof page;
	page.counters = STAT_COUNT;
	page.pid = 4711;
	page.mode = STAT_ACTIVE;
	page.hubs = 2;
	page.alive = 17;
	page.alive_max = 1000001;
	page.activation_ns = 1234567;
	page.carriers[0] = (struct stat_carrier){100, CARRIER_HUB};
	page.carriers[3] = (struct stat_carrier){4000000, CARRIER_HUB};
	page.carriers[4] = (struct stat_carrier){0, CARRIER_HUB};
	page.carriers[STAT_CARRIERS - 1] = (struct stat_carrier){101, CARRIER_SPARE};
	page.carriers[7] = (struct stat_carrier){102, CARRIER_MONITOR};
	page.carriers[8] = (struct stat_carrier){103, 99};
	for (int block = 0; block <= STAT_HUBS; block++)
		for (int i = 0; i < STAT_COUNT; i++)
			page.count[block][i] = block == STAT_HUBS ? 1000000000000ull : i;
	if (argc > 1) {
		page.mode = STAT_NATIVE;
		memset(page.why, '\033', sizeof page.why);
		memcpy(page.why, argv[1],
		       strlen(argv[1]) + 1 < sizeof page.why ? strlen(argv[1]) + 1 : sizeof page.why);
		for (int i = 0; i < STAT_CARRIERS; i++)
			page.carriers[i] = (struct stat_carrier){4294967295u, CARRIER_DETACHED};
	}
	return fwrite(&page, sizeof page, 1, stdout) != 1;
}
"""
HUBS = 64
SAFE = re.compile(r"[ -~\n]*\Z")


def page(*argv):
    """The bytes of a statistics file."""
    writer = compile("writer", WRITER, "-std=gnu11", "-iquote", ROOT + "/core", "-iquote",
                     ROOT + "/core/arch/x86_64")
    return subprocess.run([writer, *argv], stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout


def counters():
    with open(ROOT + "/core/stat.def") as f:
        return re.findall(r'^STAT\((\w+), "([^"]*)"\)', f.read(), re.M)


class Stats(Case):
    def raw(self, file):
        status, out, err = self.command("stats", "--raw", file)
        self.assertEqual((status, err), (0, ""))
        return dict(line.split(" ", 1) for line in out.splitlines())

    def test_raw_holds_names_and_values(self):
        got = self.raw(write("page", page(), 0o644))
        wanted = {"mode": "active", "why": "-", "pid": "4711", "hubs": "2", "alive": "17",
                  "alive_max": "1000001", "activation_us": "1234",
                  "hub_threads": "2", "hub_tids": "100,4000000",
                  "spare_threads": "1", "spare_tids": "101",
                  "monitor_threads": "1", "monitor_tids": "102",
                  "detached_threads": "0", "detached_tids": "-",
                  "offload_threads": "0", "offload_tids": "-",
                  "bound_threads": "0", "bound_tids": "-"}
        for i, (name, _) in enumerate(counters()):
            wanted[name] = str(HUBS * i + 10 ** 12)
        self.assertEqual(got, wanted)

    def test_people_get_explanations_as_well(self):
        status, out, err = self.command("stats", write("page", page(), 0o644))
        self.assertEqual((status, err), (0, ""))
        for i, (name, words) in enumerate(counters()):
            line = r"(?m)^%s +%d   # %s$" % (name, HUBS * i + 10 ** 12, re.escape(words))
            self.assertRegex(out, line)
        self.assertRegex(out, r"(?m)^hub_tids +100,4000000   # ")

    def test_why_a_process_is_native(self):
        got = self.raw(write("native", page("text cannot be written"), 0o644))
        self.assertEqual((got["mode"], got["why"]), ("native", "text cannot be written"))
        self.assertEqual(got["detached_threads"], "1024")
        self.assertEqual(got["detached_tids"], ",".join(["4294967295"] * 1024))

    def test_what_a_file_says_is_not_sent_to_the_terminal_as_it_is(self):
        got = self.raw(write("escape", page("\033[2J\n" + "x" * 500), 0o644))
        self.assertEqual(got["why"], "?[2J?" + "x" * (128 - 5))

    def test_files_that_are_none(self):
        good = page()
        os.path.exists(path("fifo")) or os.mkfifo(path("fifo"))
        for words, name, content in (
                ("No such file", "missing", None), ("is no regular file", "", None),
                ("is no regular file", "fifo", None),
                ("is no statistics file", "empty", b""),
                ("is no statistics file", "zeroes", bytes(len(good))),
                ("is no statistics file", "short", good[:7]),
                ("is no statistics file", "text", b"a text\n" * 100000),
                ("another version", "newer", good[:7] + b"2" + good[8:]),
                ("is cut short: 8 bytes", "magic", good[:8]),
                ("another version", "size", good[:8] + b"\1\0\0\0" + good[12:]),
                ("another version", "counters", good[:12] + b"\1\0\0\0" + good[16:]),
                ("is cut short: 16 of %d bytes" % len(good), "head", good[:16]),
                ("is cut short: %d of %d bytes" % (len(good) - 1, len(good)), "last", good[:-1])):
            with self.subTest(name):
                file = path(name) if content is None else write(name, content, 0o644)
                self.check_fails(1, words, "stats", file)
                self.check_fails(1, file, "stats", "--raw", file)
        self.assertEqual(self.command("stats", write("longer", good + b"more", 0o644))[0], 0)

    def test_random_content_is_harmless(self):
        seed = os.environ.get("WEFT_TEST_SEED") or os.urandom(4).hex()
        print("stats: seed %s" % seed, flush=True)
        import random
        source, good = random.Random(seed), page()
        for _ in range(50):
            content = good[:16] + source.randbytes(len(good) - 16)
            status, out, err = self.command("stats", write("random", content, 0o644))
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, SAFE)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become another user")
    def test_file_that_may_not_be_read(self):
        self.check_fails(1, "Permission denied", "stats", write("secret", page(), 0o600),
                         user=65534, group=65534)

    def test_wrong_options(self):
        for words, *argv in (("one FILE is needed",), ("one FILE is needed", "a", "b"),
                             ("one FILE is needed", "--raw"),
                             ("unknown option `--nonsense'", "--nonsense", "a"),
                             ("unknown option `-r'", "-r", "a"),
                             ("one FILE is needed", "--")):
            with self.subTest(argv):
                self.check_fails(125, words, "stats", *argv)
        self.check_fails(1, "--raw: No such file", "stats", "--", "--raw", cwd=tmp)


class Library(Case):
    """With the library that was built: the whole way from `weft run' to `weft stats'."""

    def setUp(self):
        if not real:
            self.skipTest("no library is built")

    def test_a_threaded_program_leaves_its_statistics(self):
        code = ("import threading as t\n"
                "for _ in range(5): t.Thread(target=print, args=('hello',)).start()")
        status, out, err = self.run_weft("--hubs", "1", "--require", "--stats", path("run.%p"),
                                         "/usr/bin/python3", "-c", code)
        self.assertEqual((status, out), (0, "hello\n" * 5), err)
        file, = [name for name in os.listdir(tmp) if re.fullmatch(r"run\.\d+", name)]
        out = self.command("stats", "--raw", path(file))[1]
        got = dict(line.split(" ", 1) for line in out.splitlines())
        self.assertEqual((got["mode"], got["hubs"], got["pid"]), ("active", "1", file[4:]))
        self.assertGreaterEqual(int(got["tasks_created"]), 5)

    def test_statistics_are_there_after_a_kill(self):
        code = ("import threading as t, time, os\n"
                "t.Thread(target=os.kill, args=(os.getpid(), 9)).start(); time.sleep(60)")
        status, out, err = self.run_weft("--hubs=1", "--require", "--stats=" + path("killed"),
                                         "/usr/bin/python3", "-c", code)
        self.assertEqual(status, -signal.SIGKILL, err)
        self.assertEqual(self.command("stats", "--raw", path("killed"))[1].splitlines()[0],
                         "mode active")


class Manual(Case):
    def page(self, name):
        with open("%s/preload/cli/man/%s" % (ROOT, name)) as f:
            return f.read().replace("\\-", "-")

    def test_every_option_and_variable_has_its_place(self):
        text = self.page("weft-run.1")
        with open(ROOT + "/core/conf.def") as f:
            rows = re.findall(r'^OPT\((\w+), \w+, [^,]*, "(\w+)"', f.read(), re.M)
        for field, name in rows:
            self.assertIn("--" + field, text)
            self.assertIn(name, text)

    def test_every_option_of_load_and_every_failure_has_its_place(self):
        text = self.page("weft-load.1")
        for table, row, place in (("load/plan.def", "LOAD", "\n.%s --%s"),
                                  ("load/failure.def", "FAILURE", "\n.%s %s\n")):
            with open(ROOT + "/preload/cli/" + table) as f:
                names = re.findall(r"^%s\((\w+)" % row, f.read(), re.M)
            for name in names:
                self.assertTrue(any(place % (font, name) in text for font in ("B", "BI")), name)

    def test_every_command_has_its_place(self):
        text = self.page("weft.1")
        with open(ROOT + "/preload/cli/command.def") as f:
            for name in re.findall(r"^COMMAND\((\w+)", f.read(), re.M):
                self.assertIn("weft %s" % name, text)

    def test_pages_can_be_set(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not installed")
        for name in "weft.1", "weft-run.1", "weft-load.1":
            file = "%s/preload/cli/man/%s" % (ROOT, name)
            status, out, err = output_of(["groff", "-man", "-ww", "-Tutf8", file])
            self.assertEqual((status, err), (0, ""))


if __name__ == "__main__":
    main()
