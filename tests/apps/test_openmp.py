#!/usr/bin/python3
"""test_openmp -- an OpenMP program on libgomp, which waits in futexes of its own"""
from app import *

needs("gcc")
THREADS = 4

# Regions, barriers, a critical section, tasks, an ordered loop: libgomp's ways to wait.
SOURCE = r"""
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static long fib(int n)
{
	long a, b;

	if (n < 16)
		return n < 2 ? n : fib(n - 1) + fib(n - 2);
#pragma omp task shared(a)
	a = fib(n - 1);
#pragma omp task shared(b)
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static double integrate(long steps)
{
	double sum = 0;

#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 1000)
	for (long i = 0; i < steps; i++) {
		double x = (i + 0.5) / steps;

		sum += 4 / (1 + x * x);
	}
	return sum / steps;
}

static long barriers(int rounds)
{
	long table[64] = { 0 }, wrong = 0;

#pragma omp parallel reduction(+ : wrong)
	{
		int me = omp_get_thread_num(), all = omp_get_num_threads();

		for (int r = 1; r <= rounds; r++) {
			table[me] = r;
#pragma omp barrier
			wrong += table[(me + 1) % all] != r;
#pragma omp barrier
		}
	}
	return wrong;
}

int main(int argc, char **argv)
{
	int rounds = atoi(argv[1]);
	long count = 0, order = 0, next = 0, f;
	int team = 0;

#pragma omp parallel
#pragma omp single
	team = omp_get_num_threads();
#pragma omp parallel
	for (int i = 0; i < rounds; i++) {
#pragma omp critical
		count++;
	}
#pragma omp parallel for ordered schedule(static, 1)
	for (int i = 0; i < rounds; i++) {
#pragma omp ordered
		order += i == next++;
	}
#pragma omp parallel
#pragma omp single
	f = fib(24);
	printf("team %d critical %ld ordered %ld tasks %ld ", team, count, order, f);
	printf("barriers %ld pi %.9f\n", barriers(rounds / 10), integrate(rounds * 1000L));
	return 0;
}
"""
PROGRAM = compile("openmp", SOURCE, "-fopenmp", "-lm")


def compute(hubs, rounds, **options):
    result = run([PROGRAM, rounds], hubs, threads=THREADS - 1,
                 env={"OMP_NUM_THREADS": str(THREADS)}, **options)
    expected = "team %d critical %d ordered %d tasks 46368 barriers 0 pi 3.141592654\n" % (
        THREADS, THREADS * rounds, rounds)
    check(result.out.decode() == expected, "printed", result.out.decode(), "not", expected)
    return result.wall


@each_way
def every_construct_gives_the_right_numbers(hubs):
    compute(hubs, 20000, blocked=BLOCKED, cpus=server_cpus(hubs))


@each_way
def threads_that_spin_make_way(hubs):
    """They wait by turns of a loop (OMP_WAIT_POLICY=active), four on so few CPUs, and it ends."""
    env = {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "100000"}
    result = run([PROGRAM, 200], hubs, threads=THREADS - 1, env=env, cpus=server_cpus(hubs))
    check(b"barriers 0 pi 3.14" in result.out, result.out)


@each_hubs
def computing_takes_no_longer(hubs):
    wall_time(hubs, lambda way, cpus: compute(way, 20000, cpus=cpus))


main()
