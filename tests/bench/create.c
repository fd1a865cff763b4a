/* create.c -- pthread_create and pthread_join of a thread that does nothing
 *
 *   create [THREADS]
 *
 * One after another, default attributes. Prints the process's processor time for one.
 */
#include "bench.h"
#include <pthread.h>

#define WARM 1000

static void *nothing(void *unused)
{
	return unused;
}

static void create_and_join(long count)
{
	for (long i = 0; i < count; i++) {
		pthread_t thread;

		bench_check(pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
		bench_check(pthread_join(thread, NULL), "pthread_join");
	}
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1, 40000);
	int64_t from;

	create_and_join(WARM);
	from = bench_cpu();
	create_and_join(count);
	bench_print("create_join", (double)(bench_cpu() - from) / count, "ns");
	return 0;
}
