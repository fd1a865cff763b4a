/* create_join.c -- threads come and go: what they return, and that nothing of them stays
 *
 * args: 2000
 * args: 40000
 * threads: 16
 */
#include "check.h"
#include <malloc.h>

static long rounds;

static long rss_kb(void)
{
	char line[256];
	long kb = -1;
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Rss: %ld kB", &kb) == 1)
			break;
	fclose(file);
	CHECK(kb > 0);
	return kb;
}

static void *twice(void *arg)
{
	char frame[2048];

	memset(frame, (int)(intptr_t)arg, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
	return (void *)((intptr_t)arg * 2);
}

static void a_thread_returns_what_it_computed(void)
{
	for (intptr_t i = 0; i < 100; i++)
		CHECK(thread_join(thread_start(twice, (void *)i)) == (void *)(i * 2));
}

static struct step arrived = STEP_INIT;

static void *meet(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, 16);
	return arg;
}

static void sixteen_threads_are_alive_together(void)
{
	pthread_t threads[16];

	threads_start(threads, 16, meet);
	for (int i = 15; i >= 0; i--)
		CHECK(thread_join(threads[i]) == (void *)(intptr_t)i);
}

static void memory_is_flat_over_many_threads(void)
{
	for (intptr_t i = 0; i < 200; i++)
		thread_join(thread_start(twice, (void *)i));
	malloc_trim(0);

	long before = rss_kb();

	for (intptr_t i = 0; i < rounds; i++)
		CHECK(thread_join(thread_start(twice, (void *)i)) == (void *)(i * 2));
	malloc_trim(0);

	long grown = rss_kb() - before;

	if (grown > 2048)
		check_fail(__FILE__, __LINE__, 0, "RSS grew by %ld kB over %ld threads", grown,
			   rounds);
}

static void *nested(void *arg)
{
	intptr_t depth = (intptr_t)arg;

	if (depth == 0)
		return (void *)(intptr_t)1;
	return (void *)((intptr_t)thread_join(thread_start(nested, (void *)(depth - 1))) + 1);
}

static void threads_make_threads(void)
{
	CHECK_EQ((intptr_t)thread_join(thread_start(nested, (void *)(intptr_t)20)), 21);
}

int main(int argc, char **argv)
{
	rounds = argc > 1 ? atol(argv[1]) : 2000;
	check_begin();
	RUN(a_thread_returns_what_it_computed);
	RUN(sixteen_threads_are_alive_together);
	RUN(threads_make_threads);
	RUN(memory_is_flat_over_many_threads);
	return check_done();
}
