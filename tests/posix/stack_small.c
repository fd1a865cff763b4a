/* stack_small.c -- threads with the smallest stacks compute, are interrupted wherever they are, and
 * compute right
 *
 * More threads than CPUs compute all the time; another sleeps in small steps beside them and must
 * not starve.
 *
 * args: 2000
 * threads: 7
 */
#include "check.h"
#include <limits.h>

enum { THREADS = 6, STEPS = 2000 };

static int64_t end_ms;
static volatile int over;

/* Keeps many integer and vector registers busy; always the same result for the same start. */
__attribute__((noinline)) static double compute(unsigned start, uint64_t *hash)
{
	double a = start + 1, b = 0.5, c = 0.25, d = start;
	float f[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint64_t h = start, g = ~h;

	for (int i = 0; i < STEPS; i++) {
		a = a * 1.0000001 + b;
		b = b + c / (a + 1);
		c = c * 0.999 + d / 3;
		d = d * 0.5 + a / 7;
		for (int k = 0; k < 8; k++)
			f[k] = f[k] * 1.0001f + (float)i;
		h = (h ^ g) * UINT64_C(0x9e3779b97f4a7c15);
		g += h >> 7;
	}
	for (int k = 0; k < 8; k++)
		a += f[k];
	*hash = h ^ g;
	return a + b + c + d;
}

static void *compute_on(void *arg)
{
	unsigned start = (unsigned)(intptr_t)arg;
	uint64_t hash, again;
	double value = compute(start, &hash);
	long rounds = 0;

	while (!over) {
		double other = compute(start, &again);

		CHECK(memcmp(&value, &other, sizeof(value)) == 0);
		CHECK(again == hash);
		rounds++;
	}
	CHECK(rounds > 0);
	return NULL;
}

static void *sleep_beside(void *arg)
{
	struct timespec t = timespec_ms(5);
	long rounds = 0;

	while (now_ms() < end_ms) {
		CHECK(nanosleep(&t, NULL) == 0);
		rounds++;
	}
	over = 1;
	*(long *)arg = rounds;
	return NULL;
}

static void small_stacks_survive_interruption(void)
{
	pthread_t threads[THREADS], sleeper;
	pthread_attr_t attr;
	long rounds = 0, total_ms = end_ms - now_ms();

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN));
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK_OK(pthread_create(&threads[i], &attr, compute_on, (void *)i));
	CHECK_OK(pthread_create(&sleeper, &attr, sleep_beside, &rounds));
	thread_join(sleeper);
	threads_join(threads, THREADS);
	CHECK_OK(pthread_attr_destroy(&attr));
	/* Alone it would make total / 5 rounds; natively about as many. */
	CHECK(rounds >= total_ms / 100);
}

int main(int argc, char **argv)
{
	check_begin();
	end_ms = now_ms() + (argc > 1 ? atoi(argv[1]) : 1000);
	RUN(small_stacks_survive_interruption);
	return check_done();
}
