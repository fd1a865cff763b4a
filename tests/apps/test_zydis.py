"""Without the library that tells instructions, or with one that is not it, programs run natively and say so where asked."""
import signal
import unittest

from cli import *

THREADS = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *work(void *arg) { usleep(1000); return arg; }
int main(int argc, char **argv)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		if (argc == 1 && pthread_create(&threads[i], NULL, work, NULL))
			return 1;
	for (int i = 0; i < 4; i++)
		if (argc == 1 && pthread_join(threads[i], NULL))
			return 2;
	puts("done");
	return 3;
}
"""
WHY = "libZydis is missing"


@unittest.skipUnless(real, "the library is not built")
class WithoutZydis(Case):
    def run_with(self, found, *args, **variables):
        """(status, stdout, stderr) of a program that finds this instead of Zydis; None: the real one."""
        env = environment(LD_PRELOAD=library, LD_LIBRARY_PATH=found and os.path.dirname(found), **variables)
        return output_of([compile("threads", THREADS, "-pthread"), *args], env)

    def stand_ins(self):
        for name in "empty", "other":
            os.makedirs(path(name), exist_ok=True)
        yield write("empty/libZydis.so.4.0", "")
        yield compile("other/libZydis.so.4.0", "int ZydisDecoderInit(void) { return 1; }\n", "-shared", "-fPIC")

    def test_the_real_one_is_found(self):
        self.assertEqual(self.run_with(None, WEFT_REQUIRE="1"), (3, "done\n", ""))

    def test_the_program_runs_natively_and_quietly(self):
        for found in self.stand_ins():
            with self.subTest(found):
                self.assertEqual(self.run_with(found), (3, "done\n", ""))

    def test_the_log_and_the_statistics_have_the_reason(self):
        for number, found in enumerate(self.stand_ins()):
            with self.subTest(found):
                pages = path("stats-%d" % number)
                got = self.run_with(found, WEFT_LOG="info", WEFT_STATS=pages)
                self.assertEqual(got, (3, "done\n", "weft: runs natively: %s\n" % WHY))
                status, out, err = self.command("stats", pages)
                self.assertEqual((status, err), (0, ""))
                self.assertRegex(out, r"(?m)^mode +native ")
                self.assertRegex(out, r"(?m)^why +%s " % WHY)

    def test_where_weft_is_required_it_is_an_error_of_one_line(self):
        for found in self.stand_ins():
            with self.subTest(found):
                line = "weft: WEFT_REQUIRE: cannot activate: %s\n" % WHY
                self.assertEqual(self.run_with(found, WEFT_REQUIRE="1"), (-signal.SIGABRT, "", line))
                self.assertEqual(self.run_with(found, "no threads", WEFT_REQUIRE="1"), (3, "done\n", ""))
                self.assertEqual(self.run_with(found, "no threads", WEFT_REQUIRE="1", WEFT_FORCE="1"),
                                 (-signal.SIGABRT, "", line))


if __name__ == "__main__":
    main()
