/* memory_limit.c -- threads in a process that may have only so much address space
 *
 * threads: 20
 */
#include "check.h"
#include <malloc.h>
#include <sys/resource.h>

enum { THREADS = 20 };

static struct step arrived = STEP_INIT;

static void *use_memory(void *arg)
{
	char *data = (char *)malloc(100000);

	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	CHECK(data);
	memset(data, (int)(intptr_t)arg, 100000);
	sched_yield();
	CHECK_EQ(data[99999], (char)(intptr_t)arg);
	free(data);
	return NULL;
}

static void threads_run_within_the_limit(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, 256 << 10));
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK_OK(pthread_create(&threads[i], &attr, use_memory, (void *)i));
	threads_join(threads, THREADS);
	CHECK_OK(pthread_attr_destroy(&attr));
}

static void *end_at_once(void *arg)
{
	return arg;
}

/* What cannot be had is refused, and what was had before goes on. */
static void a_stack_beyond_the_limit_is_refused(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, 1 << 30));
	CHECK_EQ(pthread_create(&thread, &attr, end_at_once, NULL), EAGAIN);
	CHECK_OK(pthread_attr_destroy(&attr));
	thread_join(thread_start(end_at_once, NULL));
}

int main(void)
{
	struct rlimit limit;

	check_begin();
	/* glibc would set aside 64 MiB of addresses for each thread that allocates. */
	CHECK_EQ(mallopt(M_ARENA_MAX, 1), 1);
	CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = 200 << 20;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	RUN(threads_run_within_the_limit);
	RUN(a_stack_beyond_the_limit_is_refused);
	return check_done();
}
