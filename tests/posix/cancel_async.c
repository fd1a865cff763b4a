/* cancel_async.c -- asynchronous cancellation ends a thread that only computes
 *
 * threads: 1
 */
#include "check.h"

static int cleaned, computing;

static void clean(void *arg)
{
	*(int *)arg += 1;
}

static void *compute(void *arg)
{
	volatile unsigned long n = 0;

	pthread_cleanup_push(clean, &cleaned);
	CHECK_OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	__atomic_store_n(&computing, 1, __ATOMIC_SEQ_CST);
	for (;;)
		n = n + 1;
	pthread_cleanup_pop(0);
	return arg;
}

static void a_computing_thread_is_cancelled(void)
{
	for (int i = 0; i < 10; i++) {
		pthread_t thread;

		cleaned = 0;
		computing = 0;
		thread = thread_start(compute, NULL);
		while (!__atomic_load_n(&computing, __ATOMIC_SEQ_CST))
			sched_yield();
		CHECK_OK(pthread_cancel(thread));
		CHECK(thread_join(thread) == PTHREAD_CANCELED);
		CHECK_EQ(cleaned, 1);
	}
}

int main(void)
{
	check_begin();
	RUN(a_computing_thread_is_cancelled);
	return check_done();
}
