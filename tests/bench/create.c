/* create.c -- pthread_create and pthread_join of a thread that does nothing
 *
 *   create [THREADS]
 *
 * One after another, default attributes. Prints the process's processor time for one, and by how
 * much the resident memory grew between the end of the warm-up and the last thread.
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
	long count = bench_arg(argc, argv, 1, 40000), resident;
	int64_t from, took;

	create_and_join(WARM);
	resident = bench_field("/proc/self/status", "VmRSS:");
	from = bench_cpu();
	create_and_join(count);
	took = bench_cpu() - from;
	resident = bench_field("/proc/self/status", "VmRSS:") - resident;
	bench_print("create_join", (double)took / count, "ns");
	bench_print("resident_growth", resident * 1024.0, "B");
	return 0;
}
