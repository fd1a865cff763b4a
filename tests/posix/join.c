/* join.c -- waiting for a thread's end: with time-outs, from several places, and what is refused
 *
 * threads: 20
 */
#include "check.h"

static struct step told = STEP_INIT;

static void *end_when_told(void *arg)
{
	step_wait(&told, 1);
	return arg;
}

static void *join_the_other(void *arg)
{
	return thread_join(*(pthread_t *)arg);
}

static void tryjoin_and_timed_joins_leave_a_running_thread(void)
{
	struct timespec until;
	pthread_t thread;
	void *result;

	step_reset(&told);
	thread = thread_start(end_when_told, &thread);
	CHECK_EQ(pthread_tryjoin_np(thread, &result), EBUSY);
	for (int64_t ms = -500; ms <= 10; ms += 255) {
		until = deadline(CLOCK_REALTIME, ms);
		CHECK_EQ(pthread_timedjoin_np(thread, &result, &until), ETIMEDOUT);
		CHECK(is_past(CLOCK_REALTIME, &until));
		until = deadline(CLOCK_MONOTONIC, ms);
		CHECK_EQ(pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &until), ETIMEDOUT);
		CHECK(is_past(CLOCK_MONOTONIC, &until));
	}
	step_add(&told, 1);
	until = deadline(CLOCK_REALTIME, 60000);
	CHECK_OK(pthread_timedjoin_np(thread, &result, &until));
	CHECK(result == &thread);
}

static void a_chain_of_joins_hands_the_result_through(void)
{
	pthread_t chain[20];

	step_reset(&told);
	chain[0] = thread_start(end_when_told, &told);
	for (int i = 1; i < 20; i++)
		chain[i] = thread_start(join_the_other, &chain[i - 1]);
	step_add(&told, 1);
	CHECK(thread_join(chain[19]) == &told);
}

static void mistakes_are_refused(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_join(pthread_self(), NULL), EDEADLK);
	step_reset(&told);
	thread = thread_start(end_when_told, &told);
	CHECK(!pthread_equal(thread, pthread_self()));
	CHECK_OK(pthread_kill(thread, 0));
	CHECK_EQ(pthread_kill(thread, 12345), EINVAL);
	step_add(&told, 1);
	CHECK(thread_join(thread) == &told);
}

static void *self(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return arg;
}

static void the_id_handed_out_is_the_threads_own(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t inside, thread = thread_start(self, &inside);

		thread_join(thread);
		CHECK(pthread_equal(inside, thread));
	}
}

int main(void)
{
	check_begin();
	RUN(tryjoin_and_timed_joins_leave_a_running_thread);
	RUN(a_chain_of_joins_hands_the_result_through);
	RUN(mistakes_are_refused);
	RUN(the_id_handed_out_is_the_threads_own);
	return check_done();
}
