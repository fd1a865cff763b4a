"""What a program gets of Weft that another one starts: LD_PRELOAD without the library where that cannot help, and everything
else as it was passed. What never makes a thread, like a shell, takes the library out only where it would do harm."""
import os
import shutil
import subprocess
import unittest

from cli import *

NOBODY = 65534
WAYS = ("exec", "spawn", "fork", "vfork", "fd", "dir")
BY_SHELL = ("system", "popen")
BY_NAME = ("spawnp", "fexecve", "execv", "execl", "execle", "execlp", "execvp", "execvpe")
FROM = (("thread", 1), ("thread", 2), ("alone", 1))
PRINT_ENVIRONMENT = """
#include <stdio.h>
int main(int argc, char **argv, char **env) { while (*env) puts(*env++); return argc == 1 ? 7 : 8; }"""


@unittest.skipUnless(real, "the library is not built")
class Started(Case):
    def setUp(self):
        self.starter = compile("start", '#include "starter.c"\n', "-pthread", "-iquote", HERE)

    def start(self, way, program, where, hubs, preload=None, others={}, **more):
        """(status, LD_PRELOAD) of the program, which prints its environment."""
        env = environment(LD_PRELOAD=preload or library, WEFT_HUBS=str(hubs), WEFT_REQUIRE="1", OTHER="x y",
                          PATH=tmp + ":" + os.environ["PATH"])
        env.update(others)
        status, out, err = output_of([self.starter, where, way, program], env, **more)
        self.assertEqual(err, "", way)
        found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        for name in ("PWD", "SHLVL", "OLDPWD", "_"):
            found.pop(name, None)           # the shell's
        wanted = dict(env)
        del wanted["LD_PRELOAD"]
        self.assertEqual({k: v for k, v in found.items() if k != "LD_PRELOAD"}, wanted, way)
        return status, found.get("LD_PRELOAD")

    def check(self, program, wanted, ways=WAYS + BY_NAME + BY_SHELL, status=7, harmless=False, **more):
        """It finds this in LD_PRELOAD; if it is harmless, the library where no thread was made by who starts it."""
        for way in ways:
            for where, hubs in FROM:
                with self.subTest(way=way, where=where, hubs=hubs):
                    kept = harmless and (where == "alone" or way in BY_SHELL)
                    self.assertEqual(self.start(way, program, where, hubs, **more),
                                     (status, more.get("preload", library) if kept else wanted))

    def test_a_dynamic_program_keeps_the_library(self):
        self.check(compile("dynamic", PRINT_ENVIRONMENT), library)

    def test_a_static_program_does_not_see_it(self):
        self.check(compile("static", PRINT_ENVIRONMENT, "-static"), None, harmless=True)

    def test_many_leave_nothing_behind(self):
        static = compile("silent", "int main(void) { return 7; }\n", "-static")
        for where, hubs in FROM:
            with self.subTest(where=where, hubs=hubs):
                env = environment(LD_PRELOAD=library, WEFT_HUBS=str(hubs), WEFT_REQUIRE="1")
                self.assertEqual(output_of([self.starter, where, "many", static], env), (7, "", ""))

    def test_shells_start_sanitized_programs(self):
        program = compile("asan", PRINT_ENVIRONMENT, "-fsanitize=address")
        for shell in "/bin/sh", "/bin/bash":
            for script in "exec " + program, program + "; exit $?", "env - LD_PRELOAD=%s %s" % (library, program), \
                    "%s | cat; exit 7" % program:
                with self.subTest(shell + script):
                    status, out, err = output_of([shell, "-c", script], environment(LD_PRELOAD=library))
                    self.assertEqual((status, err), (7, ""))
                    self.assertNotIn("LD_PRELOAD", out)

    def test_a_static_pie_does_not_see_it(self):
        self.check(compile("static-pie", PRINT_ENVIRONMENT, "-static-pie"), None, ("exec", "spawn", "system"), harmless=True)

    def test_other_libraries_stay(self):
        other = compile("other.so", "int other;\n", "-shared", "-fPIC")
        static = compile("static", PRINT_ENVIRONMENT, "-static")
        for preload, wanted in ((library + ":" + other, other), (other + " " + library, other),
                                (other + ":" + library + " " + other, other + " " + other)):
            with self.subTest(preload):
                self.check(static, wanted, ("exec", "spawn", "vfork"), preload=preload, harmless=True)

    def test_the_environment_may_be_of_any_size(self):
        other = compile("other.so", "int other;\n", "-shared", "-fPIC")
        static = compile("static", PRINT_ENVIRONMENT, "-static")
        ways = ("exec", "spawn", "vfork")
        self.check(static, None, ways, others={"N%d" % i: "" for i in range(40000)}, harmless=True)
        long = ":".join([other] * (10000 // len(other)))
        self.check(static, long, ways, preload=library + ":" + long, harmless=True)
        self.check(write("by-env", "#!/usr/bin/env static\n"), None, ways, status=8, harmless=True,
                   others={"PATH": ":".join(["/none"] * 2000) + ":" + tmp})

    def test_a_musl_program_does_not_see_it(self):
        self.check(compile("musl", PRINT_ENVIRONMENT, cc="musl-gcc"), None, ("exec", "spawn", "vfork"))

    def test_a_sanitized_program_starts(self):
        self.check(compile("asan", PRINT_ENVIRONMENT, "-fsanitize=address"), None, ("exec", "spawn", "vfork", "system"))

    def test_scripts_are_judged_by_what_runs_them(self):
        static = compile("static", PRINT_ENVIRONMENT, "-static")
        dynamic = compile("dynamic", PRINT_ENVIRONMENT)
        self.check(write("by-static", "#!%s\n" % static), None, status=8, harmless=True)
        self.check(write("by-dynamic", "#!%s\n" % dynamic), library, status=8)
        self.check(write("by-env", "#!/usr/bin/env static\n"), None, ("exec", "spawn", "vfork", "execvp", "system"), status=8,
                   harmless=True)
        self.check(write("by-script", "#!%s\n" % path("by-static")), None, ("exec", "spawn", "fd"), status=8,
                   harmless=True)
        last = static
        for i in range(5):                  # as many as the kernel follows
            last = write("by-script-%d" % i, "#!%s\n" % last)
        self.check(last, None, ("exec", "spawn"), status=8, harmless=True)
        self.check(write("by-sh", "#!/bin/sh\nexport -p >/dev/null; exec %s\n" % dynamic), library)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to give files away")
    def test_a_setuid_program_does_not_see_it(self):
        shutil.copy(compile("dynamic", PRINT_ENVIRONMENT), path("setuid"))
        os.chmod(path("setuid"), 0o4755)
        self.check(path("setuid"), None, ("exec", "spawn"), user=NOBODY, group=NOBODY)

    def test_a_file_of_32_bits_is_left_to_the_kernel_without_it(self):
        program = compile("small", 'void _start(void)\n{ __asm__ volatile("mov $1, %eax; mov $3, %ebx; int $0x80"); }\n',
                          "-m32", "-nostdlib", "-static", "-fno-pic")
        try:
            wanted = subprocess.run([program], timeout=LIMIT).returncode
        except OSError:
            wanted = 122                    # starter's, when an exec failed
        for where, hubs in FROM:
            env = environment(LD_PRELOAD=library, WEFT_HUBS=str(hubs), WEFT_REQUIRE="1")
            self.assertEqual(output_of([self.starter, where, "vfork", program], env), (wanted, "", ""))

    def test_what_the_kernel_refuses_is_refused_the_same(self):
        for name, content in (("empty", b""), ("blank", b"#! \n"), ("elf", b"\x7fELF"), ("nul", bytes(300)),
                              ("long", b"#!" + b"x" * 5000)):
            with self.subTest(name):
                program = write("damaged-" + name, content)
                for where, hubs in FROM:
                    env = environment(LD_PRELOAD=library, WEFT_HUBS=str(hubs), WEFT_REQUIRE="1")
                    self.assertEqual(output_of([self.starter, where, "spawn", program], env),
                                     output_of([self.starter, where, "spawn", program], environment()))


if __name__ == "__main__":
    main()
