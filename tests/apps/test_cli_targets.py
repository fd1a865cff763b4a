#!/usr/bin/python3
"""test_cli_targets -- which programs `weft run' can help, and how it says that it cannot

usage: tests/apps/test_cli_targets.py [-v] [CLASS[.TEST]]…

$FUZZ is the number of damaged program files that are judged (100000), $WEFT_TEST_SEED what they are
made from.
"""
import random

from cli import *

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 3; }\n'
NOBODY = 65534


class TargetCase(Case):
    def check_native(self, words, program, *argv, status=3, out="hello\n", called=None, **more):
        line = "weft: %s %s: running it natively\n" % (called or program, words)
        self.assertEqual(self.run_weft("--hubs", "1", program, *argv, **more), (status, out, line))
        line = "weft: %s %s: --require forbids to run it natively\n" % (called or program, words)
        self.assertEqual(self.run_weft("--require", program, *argv, **more), (125, "", line))
        env = dict(more.pop("env", None) or environment(), WEFT_REQUIRE="1")
        self.assertEqual(self.run_weft(program, *argv, env=env, **more), (125, "", line))

    def check_helped(self, program, *argv, status=3, out="hello\n", **more):
        self.assertEqual(self.run_weft("--require", program, *argv, **more), (status, out, ""))


class Targets(TargetCase):
    """What LD_PRELOAD cannot help is named and runs natively; with --require it does not run."""

    def test_usual_programs_are_helped(self):
        for name, flags in (("pie", []), ("nopie", ["-no-pie"]), ("stripped", ["-s"]),
                            ("sysv", ["-Wl,--hash-style=sysv"])):
            with self.subTest(name):
                self.check_helped(compile(name, HELLO, *flags))

    def test_static(self):
        self.check_native("is statically linked", compile("static", HELLO, "-static"))
        self.check_native("is statically linked", compile("static-pie", HELLO, "-static-pie"))

    def test_static_gets_the_environment_it_would_have_natively(self):
        program = compile("printenv", """
            #include <stdio.h>
            int main(int argc, char **argv, char **env)
            { while (*env) puts(*env++); return 0; }""", "-static")
        for before, after in ((None, None), ("", ""), ("/x.so", "/x.so"),
                              (library + ":/x.so /y.so", "/x.so /y.so"),
                              (library, None)):
            with self.subTest(before):
                env = environment(LD_PRELOAD=before, WEFT_LOG="none", WEFT_OTHER="x")
                status, out, err = output_of([weft, "run", "--hubs=2", program], env)
                self.assertEqual(status, 0)
                self.assertEqual(dict(line.split("=", 1) for line in out.splitlines()),
                                 environment(LD_PRELOAD=after, WEFT_OTHER="x"))

    def test_musl(self):
        self.check_native("is linked with musl", compile("musl", HELLO, cc="musl-gcc"))

    def test_32_bit(self):
        program = compile("small", "void _start(void)\n"
                          '{ __asm__ volatile("mov $1, %eax; mov $3, %ebx; int $0x80"); }\n',
                          "-m32", "-nostdlib", "-static",
                          "-fno-pic")
        try:
            status = subprocess.run([program], timeout=LIMIT).returncode
        except OSError:
            self.check_fails_after("is a 32-bit program", program)
            return
        self.check_native("is a 32-bit program", program, status=status, out="")

    def check_fails_after(self, words, program):
        status, out, err = self.run_weft(program)
        self.assertEqual((status, out), (126, ""))
        self.assertEqual(err, "weft: %s %s: running it natively\nweft: %s: Exec format error\n"
                         % (program, words, program))

    def test_other_machine(self):
        with open(compile("pie", HELLO), "rb") as f:
            image = bytearray(f.read())
        image[18:20] = b"\xb7\0"                # EM_AARCH64
        self.check_fails_after("is for another machine", write("arm", bytes(image)))

    def test_sanitized(self):
        made = 0
        for cc, flags in (("gcc", "address"), ("gcc", "thread"), ("gcc", "leak"),
                          ("gcc", "address -static-libasan"), ("gcc", "thread -static-libtsan"),
                          ("gcc", "leak -static-liblsan"), ("clang", "address"),
                          ("clang", "address -shared-libasan"), ("clang", "thread"),
                          ("clang", "memory"), ("clang", "leak"),
                          ("clang", "address -Wl,--hash-style=sysv")):
            with self.subTest(cc + flags):
                name = "%s-%s" % (cc, flags.replace(" ", "").replace(",", ""))
                program = compile(name, HELLO, *("-fsanitize=" + flags).split(), cc=cc)
                status, out, err = self.run_weft("--require", program)
                self.assertEqual((status, out), (125, ""))
                self.assertIn("%s is built with a sanitizer" % program, err)
                made += 1
        self.assertGreater(made, 0)
        self.check_helped(compile("ubsan", HELLO, "-fsanitize=undefined"))

    def test_many_segments(self):
        source, flags = HELLO, ["-no-pie"]
        for i in range(40):
            source += 'static const char far%d[] __attribute__((section(".far%d"), used)) = "x";\n' % (i, i)
            flags.append("-Wl,--section-start=.far%d=0x%x" % (i, 0x100000 + 0x8000 * i))
        self.check_helped(compile("many", source, *flags))
        program = compile("many-asan", source, "-fsanitize=address", *flags)
        status, out, err = self.run_weft("--require", program)
        self.assertEqual((status, out), (125, ""))
        self.assertIn("%s is built with a sanitizer" % program, err)

    def test_scripts_are_judged_by_what_runs_them(self):
        static = compile("static", HELLO, "-static")
        script = write("by-static", "#!%s -x\n" % static)
        called = "%s, which runs %s," % (static, script)
        self.check_native("is statically linked", script, called=called)
        self.check_helped(write("by-sh", "#! /bin/sh -e\necho hello\nexit 3\n"))
        for level in range(3):
            script = write("level%d" % level, "#!%s\n" % script)
            self.check_native("is statically linked", script,
                              called="%s, which runs %s," % (static, script))

    def test_scripts_run_by_env(self):
        search = environment(PATH=tmp + ":" + os.environ["PATH"])
        static = compile("static", HELLO, "-static")
        for words in " static", " -S -u HOME A=b static -x", "\tstatic":
            with self.subTest(words):
                script = write("by-env", "#!/usr/bin/env%s\n" % words)
                self.check_native("is statically linked", script,
                                  called="%s, which runs %s," % (static, script), env=search)
        script = write("by-env-sh", "#!/usr/bin/env sh\necho hello\nexit 3\n")
        self.check_helped(script)

    def test_the_loader_itself_is_helped(self):
        loader = "/lib64/ld-linux-x86-64.so.2"
        self.check_helped(loader, compile("pie", HELLO))

    def test_files_that_are_no_programs_are_left_to_the_kernel(self):
        with open(compile("pie", HELLO), "rb") as f:
            image = f.read()
        for name, content in (("empty", b""), ("hash", b"#"), ("bang", b"#!"), ("blank", b"#! \n"),
                              ("elf", b"\x7fELF"),
                              ("header", image[:64]), ("headers", image[:100]),
                              ("nul", bytes(300)), ("long", b"#!" + b"x" * 5000)):
            with self.subTest(name):
                program = write("damaged-" + name, content)
                status = output_of(["/usr/bin/env", program], environment())[0]
                got, out, err = self.run_weft(program)
                self.assertEqual(got, status, err)
                self.assertNotIn("natively", err)


@unittest.skipUnless(os.geteuid() == 0, "needs root to give files away")
class Rights(TargetCase):
    """For a program with more rights than its user has the loader preloads nothing: it is named."""

    def copy(self, name, mode, owner=0):
        shutil.copy(compile("pie", HELLO), path(name))
        os.chown(path(name), owner, owner)
        os.chmod(path(name), mode)
        return path(name)

    def test_setuid_matters_to_others_than_its_owner(self):
        for name, mode in ("setuid", 0o4755), ("setgid", 0o2755):
            program = self.copy(name, mode)
            self.check_native("is setuid or setgid", program, user=NOBODY, group=NOBODY)
            self.check_helped(program)
            self.check_native("is setuid or setgid", self.copy(name + "-other", mode, NOBODY))

    def test_setgid_without_execution_for_the_group_is_no_setgid(self):
        self.check_helped(self.copy("mandatory", 0o2705), user=NOBODY, group=NOBODY)

    def test_scripts_gain_nothing_by_setuid(self):
        script = write("setuid.sh", "#!/bin/sh\necho hello\nexit 3\n")
        os.chmod(script, 0o4755)
        self.check_helped(script, user=NOBODY, group=NOBODY)

    def test_no_new_privs_makes_setuid_harmless(self):
        if not shutil.which("setpriv"):
            self.skipTest("setpriv is not installed")
        program = self.copy("setuid", 0o4755)
        got = output_of(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                         "--no-new-privs", weft, "run",
                              "--require", program], environment())
        self.assertEqual(got, (3, "hello\n", ""))

    def test_capabilities_matter_to_others_than_root(self):
        program = self.copy("capable", 0o755)
        setcap = shutil.which("setcap", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not setcap or subprocess.run([setcap, "cap_net_raw+ep", program]).returncode:
            self.skipTest("setcap is not installed or not allowed")
        self.check_native("has file capabilities", program, user=NOBODY, group=NOBODY)
        self.check_helped(program)

    def test_programs_that_cannot_be_read_are_helped(self):
        self.check_helped(self.copy("secret", 0o711), user=NOBODY, group=NOBODY)


class Fuzz(Case):
    """The judge touches nothing but its own, and comes to an end: AddressSanitizer looks on."""

    def test_damaged_files(self):
        judge = compile("fuzz", '#include "fuzz_elfkind.c"\n', "-std=gnu11", "-O1", "-g",
                        "-iquote", HERE, *quoted("preload/elf", "preload", "core",
                                                 "core/arch/x86_64"),
                        "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        seed = os.environ.get("WEFT_TEST_SEED") or str(random.randrange(1 << 32))
        print("fuzz: seed %s" % seed, flush=True)
        count = int(os.environ.get("FUZZ", "100000"))
        script = write("fuzz.sh", "#!/usr/bin/env -S A=b -i sh -e\n", 0o644)
        programs = [("/bin/true", count), (compile("pie", HELLO), count), (script, count // 10)]
        for cc in "gcc", "clang":
            programs.append((compile("fuzz-asan-" + cc, HELLO, "-fsanitize=address", cc=cc),
                             count // 100))
        for program, times in programs:
            status, out, err = output_of([judge, program, str(times), seed])
            self.assertEqual(status, 0, "%s %d %s: %s %s" % (program, times, seed, out, err))


def quoted(*folders):
    """The options by which a compiler finds what is included from these folders."""
    return [word for folder in folders for word in ("-iquote", "%s/%s" % (ROOT, folder))]


if __name__ == "__main__":
    main()
