/* yield.c -- sched_yield by two pthreads that have nothing else to do
 *
 *   yield [TIMES]
 *
 * The second thread yields until the first one has done so TIMES. Prints the process's processor
 * time for one call of either. Where the scheduler leaves the caller running it was no switch, and
 * natively that is for the kernel to say. Creation, activation and warm-up are not timed.
 */
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define WARM 1000

static atomic_int ended;
static atomic_long others;

static void *other(void *unused)
{
	while (!atomic_load_explicit(&ended, memory_order_relaxed)) {
		sched_yield();
		atomic_store_explicit(&others, others + 1, memory_order_relaxed);
	}
	return unused;
}

int main(int argc, char **argv)
{
	long times = bench_arg(argc, argv, 1, 400000), before;
	pthread_t thread;
	int64_t from;

	bench_check(pthread_create(&thread, NULL, other, NULL), "pthread_create");
	for (long i = 0; i < WARM || !atomic_load(&others); i++)
		sched_yield();
	before = atomic_load(&others);
	from = bench_cpu();
	for (long i = 0; i < times; i++)
		sched_yield();
	from = bench_cpu() - from;
	bench_print("yield", (double)from / (times + atomic_load(&others) - before), "ns");
	atomic_store(&ended, 1);
	return pthread_join(thread, NULL);
}
