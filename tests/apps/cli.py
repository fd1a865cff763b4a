"""cli -- what the tests of the `weft' command share: a copy of it, programs made for a test, checks

    from cli import *

    class Subject(Case):
        def test_what_a_user_sees(self): ...

    if __name__ == "__main__":
        main()

$WEFT names the command; build/weft by default. It is copied beside its library, or beside an empty
one where none is built: what the library does is not the subject of these tests.
"""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
WEFT = os.environ.get("WEFT", os.path.join(BUILD, "weft"))
LIMIT = 30                  # seconds for one command
tmp = tempfile.mkdtemp(prefix="weft-cli.")
weft = os.path.join(tmp, "bin/weft")                # a copy of the command
library = os.path.join(tmp, "bin/libweft.so")       # beside it
_built = os.path.join(os.path.dirname(os.path.abspath(WEFT)), "libweft.so")
real = os.path.exists(_built)                       # the library is the one that was built
_creator = os.getpid()


def install():
    """Copies the command, and the library or an empty one, where other users can reach them."""
    os.chmod(tmp, 0o755)
    os.mkdir(path("bin"))
    shutil.copy(WEFT, weft)
    if real:
        shutil.copy(_built, library)
    else:
        compile("bin/libweft.so", "int weft_nothing;\n", "-shared", "-fPIC")


def main():
    """Runs the tests of the script that calls this; the last line counts them."""
    install()
    program = unittest.main(module="__main__", exit=False, verbosity=1)
    result = program.result
    failed = len({str(test).split(" [")[0] for test, _ in result.failures + result.errors})
    print("%d passed, %d failed" % (result.testsRun - failed - len(result.skipped), failed),
          flush=True)
    sys.exit(1 if failed or not result.testsRun else 0)


@atexit.register
def _clean():
    if os.getpid() == _creator:
        shutil.rmtree(tmp, True)


def path(name):
    return os.path.join(tmp, name)


def write(name, text, mode=0o755):
    with open(path(name), "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path(name), mode)
    return path(name)


def _compile(cc, name, *flags):
    """Makes the program from name.c. Returns what the compiler says, or nothing where it succeeds."""
    done = subprocess.run([cc, "-o", path(name), path(name + ".c"), *flags], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode and (done.stdout or "status %d" % done.returncode)


def compile(name, source, *flags, cc="gcc"):
    """The path of a program; skips the test where the compiler can make none of that kind, not even an empty one."""
    if os.path.exists(path(name)):
        return path(name)
    if not shutil.which(cc):
        raise unittest.SkipTest("%s is not installed" % cc)
    write(name + ".c", source, 0o644)
    why = _compile(cc, name, *flags)
    if why:
        write("empty.c", "int main(void) { return 0; }\n", 0o644)
        kind = unittest.SkipTest if _compile(cc, "empty", *flags) else AssertionError
        raise kind("%s cannot make %s: %s" % (cc, name, why[-300:]))
    return path(name)


def environment(**more):
    """A small one, so that nothing of the machine's is in it."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "LANG": "C"}
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


def output_of(argv, env=None, **more):
    """Runs a command to its end: (status, stdout, stderr).

    In a folder of its own: a shell that is given a damaged program may make files.
    """
    more.setdefault("cwd", path(""))
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace", timeout=LIMIT,
                          **more)
    return done.returncode, done.stdout, done.stderr


class Case(unittest.TestCase):
    def command(self, *argv, env=None, **more):
        """Runs the command; returns (status, out, err)."""
        return output_of([weft, *argv], env or environment(), **more)

    def run_weft(self, *argv, **more):
        return self.command("run", *argv, **more)

    def check_fails(self, status, words, *argv, **more):
        """The command fails with this status and prints one line, which has these words."""
        got, out, err = self.command(*argv, **more)
        self.assertEqual((got, out), (status, ""), err)
        self.assertRegex(err, r"\Aweft: [^\n]*\n\Z")
        self.assertIn(words, err)

    def variables(self, *argv, **more):
        """What `env' finds in its environment when it is run with these options."""
        status, out, err = self.run_weft(*argv, "env", "-0", **more)
        self.assertEqual((status, err), (0, ""))
        return dict(entry.split("=", 1) for entry in out.split("\0") if entry)
