"""Under tools that look into a program: those that run its instructions themselves, or want to see all that happens, have it
natively; ordinary debuggers have it with tasks. The program works under all of them."""
import re
import signal
import unittest

from cli import *

THREADS = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sum;
static void *work(void *arg)
{
	char *text = malloc(100);
	strcpy(text, "work");
	usleep(1000);
	pthread_mutex_lock(&lock);
	sum += (int)strlen(text);
	pthread_mutex_unlock(&lock);
	free(text);
	return arg;
}
int main(void)
{
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 1;
	for (int i = 0; i < 8; i++)
		if (pthread_join(threads[i], NULL))
			return 2;
	printf("sum %d\\n", sum);
	return 3;
}
"""

# What rr does that can be seen: a page of its own, and an answer to a system call that is none.
LIKE_RR = """
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	int status;
	pid_t child = fork();
	if (argc < 2 || child < 0)
		return 99;
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[1], argv + 1);
		_exit(98);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int sig = 0;; sig = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status)) {
		ptrace(PTRACE_SYSCALL, child, 0, sig);
		if (waitpid(child, &status, __WALL) < 0)
			return 97;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WSTOPSIG(status) != (SIGTRAP | 0x80) || ptrace(PTRACE_GETREGS, child, 0, &regs))
			continue;
		if (regs.orig_rax == 1008 && (long)regs.rax == -ENOSYS) {
			regs.rax = 0;
			ptrace(PTRACE_SETREGS, child, 0, &regs);
		}
	}
}
"""
MAP_PAGE = """
#include <sys/mman.h>
__attribute__((constructor)) static void map(void)
{
	mmap((void *)0x70000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
"""


@unittest.skipUnless(real, "the library is not built")
class Tools(Case):
    def tool(self, name):
        found = shutil.which(name)
        if not found:
            print("NOT TESTED: %s is not installed" % name, flush=True)
            self.skipTest("%s is not installed" % name)
        return found

    def under(self, *argv, preload=None, **variables):
        return output_of([*argv], environment(LD_PRELOAD=preload or library, WEFT_LOG="info", **variables))

    def check_native(self, why, *argv, **more):
        """The last program of a command line runs natively, says why in one line, and can be told not to."""
        status, out, err = self.under(*argv, **more)
        self.assertEqual((status, out), (3, "sum 32\n"), err)
        self.assertEqual(re.findall("weft: .*", err), ["weft: runs natively: " + why])
        status, out, err = self.under(*argv, WEFT_REQUIRE="1", **more)
        self.assertEqual(out, "")
        self.assertIn("weft: WEFT_REQUIRE: cannot activate: %s\n" % why, err)
        self.assertNotEqual(status, 3)
        return err

    def check_active(self, *argv, **more):
        status, out, err = self.under(*argv, WEFT_REQUIRE="1", **more)
        self.assertIn("sum 32\n", out)
        self.assertRegex(err, "weft: active")
        return status, out

    def program(self, name="threads", *flags, cc="gcc"):
        return compile(name, THREADS, "-g", "-pthread", *flags, cc=cc)

    def test_valgrind(self):
        valgrind = self.tool("valgrind")
        for tool in "none", "memcheck", "helgrind", "callgrind":
            with self.subTest(tool):
                more = ["--callgrind-out-file=/dev/null"] if tool == "callgrind" else []
                self.check_native("valgrind runs it", valgrind, "--tool=" + tool, *more, self.program())

    def test_memcheck_finds_nothing_in_us(self):
        status, out, err = self.under(self.tool("valgrind"), "--error-exitcode=77", "--leak-check=full", self.program())
        self.assertEqual((status, out), (3, "sum 32\n"), err)
        self.assertIn("ERROR SUMMARY: 0 errors", err)

    def test_rr(self):
        page = compile("page.so", MAP_PAGE, "-shared", "-fPIC")
        like_rr = compile("like-rr", "#include <signal.h>\n" + LIKE_RR)
        # The tracer makes no thread: Weft has no say in it.
        self.check_native("rr records it", like_rr, self.program(), preload=page + ":" + library)
        self.check_active(like_rr, self.program())
        self.check_active(self.program(), preload=page + ":" + library)

    def test_sanitizers(self):
        for cc, kind, *flags in (("gcc", "address", "-static-libasan"), ("gcc", "thread", "-static-libtsan"),
                                 ("gcc", "leak", "-static-liblsan"), ("clang", "address"), ("clang", "thread"),
                                 ("clang", "memory"), ("clang", "leak")):
            with self.subTest(" ".join([cc, kind, *flags])):
                program = self.program("-".join([cc, kind, *flags]), "-fsanitize=" + kind, *flags, cc=cc)
                if output_of([program], environment())[0] != 3:
                    print("NOT TESTED: %s does not work here" % program, flush=True)
                    continue
                self.check_native("a sanitizer is linked", program)

    def test_sanitizers_that_come_as_libraries(self):
        for kind, name in ("address", "libasan.so"), ("thread", "libtsan.so"), ("leak", "liblsan.so"):
            with self.subTest(kind):
                program = self.program("gcc-shared-" + kind, "-fsanitize=" + kind)
                first = output_of(["gcc", "-print-file-name=" + name])[1].strip()
                if output_of([program], environment())[0] != 3:
                    print("NOT TESTED: %s does not work here" % program, flush=True)
                    continue
                self.check_native("a sanitizer is linked", program, preload=first + ":" + library)

    def test_gdb(self):
        settings = ["startup-with-shell off", "debuginfod enabled off"]
        settings += ["environment %s %s" % v for v in (("LD_PRELOAD", library), ("WEFT_REQUIRE", "1"), ("WEFT_LOG", "info"))]
        commands = [word for setting in settings for word in ("-iex", "set " + setting)]
        # gdb itself is another program: it has threads, and each traces for itself.
        status, out, err = output_of([self.tool("gdb"), "-q", "-batch", "-nx", *commands, "-ex", "break puts",
                                      "-ex", "break printf", "-ex", "run", "-ex", "backtrace", "-ex", "continue",
                                      self.program()], environment())
        self.assertRegex(out, r"#1 .* main \(\)", err)
        self.assertIn("sum 32\n", out)
        self.assertRegex(out, r"exited with code 03")
        self.assertIn("weft: active", err)

    def test_strace(self):
        self.assertEqual(self.check_active(self.tool("strace"), "-f", "-o", "/dev/null", self.program())[0], 3)


if __name__ == "__main__":
    main()
