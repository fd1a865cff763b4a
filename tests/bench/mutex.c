/* mutex.c -- hand-over of a contended pthread mutex between two threads
 *
 *   mutex [TIMES]
 *
 * Three mutexes stand in a ring. A thread holds one, locks the next and unlocks the one behind, so
 * that of two threads on the ring each can only go on when the other has: every lock waits for an
 * unlock, and nobody can barge in. Prints the process's processor time for one lock that waited and
 * the unlock that ended the wait. Each thread checks that the other one had the mutex before it.
 * Creation, activation and warm-up are not timed.
 */
#include "bench.h"
#include <pthread.h>

#define WARM 1000
#define RING 3

static pthread_mutex_t ring[RING] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
				     PTHREAD_MUTEX_INITIALIZER};
static int last[RING]; /* who held it last, by its mutex */
static pthread_barrier_t start;
static long times;

/* `me' holds the mutex `at'. Returns the one that it holds after so many steps. */
static int walk(int me, int at, long steps)
{
	while (steps--) {
		int next = (at + 1) % RING;

		bench_check(pthread_mutex_lock(&ring[next]), "pthread_mutex_lock");
		bench_check(last[next] == me ? EDEADLK : 0, "mutex: the other was not there");
		last[next] = me;
		bench_check(pthread_mutex_unlock(&ring[at]), "pthread_mutex_unlock");
		at = next;
	}
	return at;
}

static void *other(void *unused)
{
	pthread_mutex_lock(&ring[1]);
	last[1] = 1;
	pthread_barrier_wait(&start);
	pthread_mutex_unlock(&ring[walk(1, 1, WARM + times)]);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int64_t from;
	int at;

	times = bench_arg(argc, argv, 1, 200000);
	pthread_barrier_init(&start, NULL, 2);
	pthread_mutex_lock(&ring[0]);
	bench_check(pthread_create(&thread, NULL, other, NULL), "pthread_create");
	pthread_barrier_wait(&start);
	at = walk(0, 0, WARM);
	from = bench_cpu();
	at = walk(0, at, times);
	bench_print("mutex", (double)(bench_cpu() - from) / (2 * times), "ns");
	pthread_mutex_unlock(&ring[at]);
	return pthread_join(thread, NULL);
}
