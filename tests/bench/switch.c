/* switch.c -- one switch between two pthreads that hand over on a raw futex
 *
 *   switch [ROUNDS]
 *
 * The first thread and a second one wake each other in turn. A round is two switches: there and
 * back. Prints the process's processor time for one of them, wake and wait included. Creation,
 * activation and a thousand rounds of warm-up are not timed.
 */
#include "bench.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define WARM 1000

static atomic_int turn;
static long rounds;

static void hand_over(int me)
{
	while (atomic_load(&turn) != me)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !me, NULL, NULL, 0);
	atomic_store(&turn, !me);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other(void *unused)
{
	for (long i = 0; i < WARM + rounds; i++)
		hand_over(1);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int64_t from;

	rounds = bench_arg(argc, argv, 1, 200000);
	bench_check(pthread_create(&thread, NULL, other, NULL), "pthread_create");
	for (long i = 0; i < WARM; i++)
		hand_over(0);
	from = bench_cpu();
	for (long i = 0; i < rounds; i++)
		hand_over(0);
	bench_print("switch", (double)(bench_cpu() - from) / (2 * rounds), "ns");
	return pthread_join(thread, NULL);
}
