/* condition.c -- one switch between two pthreads that take turns by a mutex and a condition
 *
 *   condition [ROUNDS]
 *
 * A round is two switches: there and back. Prints the process's processor time for one of them:
 * lock, wait for the turn, give it to the other, signal, unlock. Creation, activation and a
 * thousand rounds of warm-up are not timed.
 */
#include "bench.h"
#include <pthread.h>

#define WARM 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long rounds;

static void hand_over(int me)
{
	pthread_mutex_lock(&mutex);
	while (turn != me)
		pthread_cond_wait(&changed, &mutex);
	turn = !me;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
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
	bench_print("condition", (double)(bench_cpu() - from) / (2 * rounds), "ns");
	return pthread_join(thread, NULL);
}
