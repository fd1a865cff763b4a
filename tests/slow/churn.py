#!/usr/bin/python3
"""churn -- tests/slow/churn.c in all ways with fresh seeds, the other CPU idle and busy

The seeds are drawn from WEFT_TEST_SEED, which is printed; giving it replays every choice.
"""
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness
from harness import BUILD, CPUS, ROOT, check, run, test

WORKERS = 16
MODULE = """
#include <unistd.h>
static __thread int counter;
int module_count(void) { return ++counter; }
long module_echo(int in, int out, char c)
{
	char got = (char)~c;
	if (write(out, &c, 1) != 1 || read(in, &got, 1) != 1)
		return -1;
	return (unsigned char)got;
}
/* System calls of its own text, too. */
long module_pid(void) { long r; __asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) : : "rcx", "r11"); return r; }
"""
BURN = "import os\nwhile os.getppid() == %d: sum(range(100000))" % os.getpid()

choice = random.Random(harness.SEED)
scratch = tempfile.TemporaryDirectory(prefix="weft-churn.")


def modules():
    """Four copies of one module: the loader takes them for different ones."""
    paths = [os.path.join(scratch.name, "module%d.so" % i) for i in range(4)]
    for number, path in enumerate(paths):
        if not os.path.exists(path):
            done = subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", path,
                                   "-Wl,-soname,module%d" % number], input=MODULE, text=True)
            check(done.returncode == 0, "the module does not compile")
    return paths


def churn(hubs, runs, rounds):
    for number in range(runs):
        seed = choice.randrange(1, 1 << 31)
        print("     churn %d %d %d, %s" % (seed, rounds, WORKERS, harness.way_name(hubs)), end="", flush=True)
        result = run([os.path.join(BUILD, "tests/slow/churn"), seed, rounds, WORKERS] + modules(), hubs, timeout=120,
            threads=WORKERS, kthreads=None)
        print(": %.1f s, %s" % (result.wall, result.samples.text() if hubs else "no hub"), flush=True)


@test
def everything_comes_and_goes_natively():
    churn(None, 2, 1000)


@test
def everything_comes_and_goes_with_one_hub():
    churn(1, 4, 1000)


@test
def everything_comes_and_goes_with_two_hubs():
    churn(2, 4, 1000)


@test
def everything_comes_and_goes_beside_a_busy_cpu():
    cpu = str(CPUS[-1])
    burner = subprocess.Popen(["taskset", "-c", cpu, "/usr/bin/python3", "-c", BURN])
    try:
        churn(2, 3, 1000)
        churn(1, 2, 1000)
    finally:
        burner.kill()
        burner.wait()


os.chdir(ROOT)
if __name__ == "__main__":
    harness.main()
