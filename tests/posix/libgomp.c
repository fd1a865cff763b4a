/* libgomp.c -- OpenMP: the compiler's own threads, which wait in system calls of their own
 *
 * flags: -fopenmp
 * threads: 3
 */
#include "check.h"
#include <omp.h>

enum { TEAM = 4, SIZE = 100000 };

static double data[SIZE];

static void a_sum_is_made_in_parts(void)
{
	double sum = 0;
	int team = 0;

	for (int round = 0; round < 50; round++) {
		sum = 0;
#pragma omp parallel for num_threads(TEAM) reduction(+ : sum)
		for (int i = 0; i < SIZE; i++) {
			data[i] = i + round;
			sum += data[i];
		}
		CHECK(sum == (double)SIZE * (SIZE - 1) / 2 + (double)SIZE * round);
	}
#pragma omp parallel num_threads(TEAM)
	{
#pragma omp single
		team = omp_get_num_threads();
	}
	CHECK_EQ(team, TEAM);
}

static void barriers_and_critical_parts_hold(void)
{
	int in[TEAM] = {0}, total = 0;

#pragma omp parallel num_threads(TEAM)
	{
		int me = omp_get_thread_num();

		for (int round = 1; round <= 200; round++) {
			in[me] = round;
#pragma omp barrier
			for (int i = 0; i < TEAM; i++)
				CHECK_EQ(in[i], round);
#pragma omp barrier
#pragma omp critical
			total++;
		}
	}
	CHECK_EQ(total, TEAM * 200);
}

static void locks_and_atomics_count_right(void)
{
	omp_lock_t lock;
	long locked = 0, atomic = 0;

	omp_init_lock(&lock);
#pragma omp parallel num_threads(TEAM)
	for (int i = 0; i < 1000; i++) {
		omp_set_lock(&lock);
		locked++;
		omp_unset_lock(&lock);
#pragma omp atomic
		atomic++;
	}
	omp_destroy_lock(&lock);
	CHECK_EQ(locked, TEAM * 1000);
	CHECK_EQ(atomic, TEAM * 1000);
}

static long fibonacci(int n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a) if (n > 12)
	a = fibonacci(n - 1);
	b = fibonacci(n - 2);
#pragma omp taskwait
	return a + b;
}

static void tasks_are_waited_for(void)
{
	long result = 0;

#pragma omp parallel num_threads(TEAM)
#pragma omp single
	result = fibonacci(20);
	CHECK_EQ(result, 6765);
}

static void *team_of_a_thread(void *arg)
{
	long sum = 0;

	for (int round = 0; round < 20; round++) {
#pragma omp parallel for num_threads(2) reduction(+ : sum) schedule(dynamic, 10)
		for (int i = 0; i < 1000; i++)
			sum += i;
	}
	CHECK_EQ(sum, 20 * 499500);
	(void)arg;
	return NULL;
}

static void several_threads_have_teams(void)
{
	pthread_t threads[3];

	threads_start(threads, 3, team_of_a_thread);
	threads_join(threads, 3);
}

int main(void)
{
	check_begin();
	RUN(a_sum_is_made_in_parts);
	RUN(barriers_and_critical_parts_hold);
	RUN(locks_and_atomics_count_right);
	RUN(tasks_are_waited_for);
	RUN(several_threads_have_teams);
	return check_done();
}
