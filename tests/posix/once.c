/* once.c -- pthread_once and call_once run their routine once, and everybody waits for its end
 *
 * threads: 30
 */
#include "check.h"
#include <threads.h>

static pthread_once_t once, slow_once, inner_once, cancelled_once;
static once_flag flag = ONCE_FLAG_INIT;
static int runs, slow_done, inner_runs, flag_runs, cancelled_runs;
static struct step arrived = STEP_INIT;

static void count_slowly(void)
{
	struct timespec t = timespec_ms(5);

	__atomic_add_fetch(&runs, 1, __ATOMIC_RELAXED);
	nanosleep(&t, NULL);
	sched_yield();
	slow_done = 1;
}

static void count_flag(void)
{
	flag_runs++;
	sched_yield();
}

static void *meet_once(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, 30);
	CHECK_OK(pthread_once(&once, count_slowly));
	CHECK_EQ(slow_done, 1);
	call_once(&flag, count_flag);
	CHECK_EQ(flag_runs, 1);
	(void)arg;
	return NULL;
}

static void the_routine_runs_once_and_all_wait_for_it(void)
{
	pthread_t threads[30];

	for (int i = 0; i < 10; i++) {
		once = PTHREAD_ONCE_INIT;
		flag = (once_flag)ONCE_FLAG_INIT;
		runs = slow_done = flag_runs = 0;
		step_reset(&arrived);
		threads_start(threads, 30, meet_once);
		threads_join(threads, 30);
		CHECK_EQ(runs, 1);
	}
}

static void inner(void)
{
	inner_runs++;
}

static void outer(void)
{
	CHECK_OK(pthread_once(&inner_once, inner));
	CHECK_OK(pthread_once(&inner_once, inner));
}

static void one_once_may_use_another(void)
{
	slow_once = inner_once = PTHREAD_ONCE_INIT;
	CHECK_OK(pthread_once(&slow_once, outer));
	CHECK_OK(pthread_once(&slow_once, outer));
	CHECK_EQ(inner_runs, 1);
}

static void wait_for_cancel(void)
{
	if (__atomic_add_fetch(&cancelled_runs, 1, __ATOMIC_SEQ_CST) > 1)
		return;
	step_add(&arrived, 1);
	for (;;)
		pause();
}

static void *be_cancelled(void *arg)
{
	CHECK_OK(pthread_once(&cancelled_once, wait_for_cancel));
	return arg;
}

/* POSIX: a routine that is cancelled has not run; another thread, waiting already or later, runs
 * it. */
static void a_cancelled_routine_is_run_by_another(void)
{
	pthread_t first, second;

	cancelled_once = PTHREAD_ONCE_INIT;
	step_reset(&arrived);
	first = thread_start(be_cancelled, NULL);
	step_wait(&arrived, 1);
	second = thread_start(be_cancelled, NULL);
	let_block();
	CHECK_OK(pthread_cancel(first));
	CHECK(thread_join(first) == PTHREAD_CANCELED);
	CHECK(thread_join(second) == NULL);
	CHECK_EQ(cancelled_runs, 2);
}

int main(void)
{
	check_begin();
	RUN(the_routine_runs_once_and_all_wait_for_it);
	RUN(one_once_may_use_another);
	RUN(a_cancelled_routine_is_run_by_another);
	return check_done();
}
