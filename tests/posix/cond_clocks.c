/* cond_clocks.c -- conditions: signal, broadcast, and time-outs on both clocks
 *
 * threads: 50
 */
#include "check.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond, back;
static int tokens, waiting, turn;

static void cond_make(pthread_cond_t *c, clockid_t clock)
{
	pthread_condattr_t attr;

	CHECK_OK(pthread_condattr_init(&attr));
	CHECK_OK(pthread_condattr_setclock(&attr, clock));
	CHECK_OK(pthread_cond_init(c, &attr));
	CHECK_OK(pthread_condattr_destroy(&attr));
}

static void *lock_is_taken(void *arg)
{
	CHECK_EQ(pthread_mutex_trylock(&lock), EBUSY);
	return arg;
}

/* Nobody signals: only a time-out (or a spurious wake-up, which waits again) ends it. */
static void wait_for_nothing(clockid_t clock, int own_clock, int64_t ms)
{
	struct timespec until = deadline(clock, ms);
	int result;

	CHECK_OK(pthread_mutex_lock(&lock));
	do {
		if (own_clock)
			result = pthread_cond_timedwait(&cond, &lock, &until);
		else
			result = pthread_cond_clockwait(&cond, &lock, clock, &until);
	} while (result == 0);
	CHECK_EQ(result, ETIMEDOUT);
	CHECK(is_past(clock, &until));
	thread_join(thread_start(lock_is_taken, NULL));
	CHECK_OK(pthread_mutex_unlock(&lock));
}

static void a_wait_times_out_not_early_and_holds_the_mutex(void)
{
	for (int i = 0; i < 2; i++) {
		cond_make(&cond, clocks[i]);
		for (int64_t ms = -1000; ms <= 10; ms += 505)
			wait_for_nothing(clocks[i], 1, ms);
		wait_for_nothing(clocks[0], 0, 5);
		wait_for_nothing(clocks[1], 0, 5);
		wait_for_nothing(clocks[i], 1, 10);
		CHECK_OK(pthread_cond_destroy(&cond));
	}
}

static void a_bad_time_is_refused(void)
{
	struct timespec bad = {1, 1000000000};

	cond_make(&cond, CLOCK_MONOTONIC);
	CHECK_OK(pthread_mutex_lock(&lock));
	CHECK_EQ(pthread_cond_timedwait(&cond, &lock, &bad), EINVAL);
	bad.tv_nsec = -1;
	CHECK_EQ(pthread_cond_timedwait(&cond, &lock, &bad), EINVAL);
	CHECK_EQ(pthread_cond_clockwait(&cond, &lock, CLOCK_PROCESS_CPUTIME_ID, &bad), EINVAL);
	CHECK_OK(pthread_mutex_unlock(&lock));
	CHECK_OK(pthread_cond_destroy(&cond));
}

static void *take_token(void *arg)
{
	struct timespec until = deadline(CLOCK_MONOTONIC, 60000);

	CHECK_OK(pthread_mutex_lock(&lock));
	waiting++;
	CHECK_OK(pthread_cond_signal(&back));
	while (tokens == 0) {
		if ((intptr_t)arg % 2)
			CHECK_OK(pthread_cond_wait(&cond, &lock));
		else
			CHECK_OK(pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC, &until));
	}
	tokens--;
	waiting--;
	CHECK_OK(pthread_cond_signal(&back));
	CHECK_OK(pthread_mutex_unlock(&lock));
	return NULL;
}

static void await_waiting(int n)
{
	while (waiting != n)
		CHECK_OK(pthread_cond_wait(&back, &lock));
}

static void hand_out(int by_broadcast)
{
	pthread_t threads[50];

	cond_make(&cond, CLOCK_REALTIME);
	cond_make(&back, CLOCK_REALTIME);
	threads_start(threads, 50, take_token);
	CHECK_OK(pthread_mutex_lock(&lock));
	await_waiting(50);
	if (by_broadcast) {
		tokens = 50;
		CHECK_OK(pthread_cond_broadcast(&cond));
	}
	for (int i = 0; i < 50 && !by_broadcast; i++) {
		tokens++;
		CHECK_OK(pthread_cond_signal(&cond));
		await_waiting(49 - i);
		CHECK_EQ(tokens, 0);
	}
	await_waiting(0);
	CHECK_OK(pthread_mutex_unlock(&lock));
	threads_join(threads, 50);
	CHECK_EQ(tokens, 0);
	CHECK_OK(pthread_cond_destroy(&cond));
	CHECK_OK(pthread_cond_destroy(&back));
}

static void every_signal_wakes_one_who_waits(void)
{
	hand_out(0);
}

static void a_broadcast_wakes_all(void)
{
	hand_out(1);
}

static void *answer(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		CHECK_OK(pthread_mutex_lock(&lock));
		while (turn != 1)
			CHECK_OK(pthread_cond_wait(&cond, &lock));
		turn = 0;
		CHECK_OK(pthread_mutex_unlock(&lock));
		CHECK_OK(pthread_cond_signal(&back));
	}
	return arg;
}

static void two_threads_take_turns(void)
{
	pthread_t thread;

	cond_make(&cond, CLOCK_REALTIME);
	cond_make(&back, CLOCK_REALTIME);
	thread = thread_start(answer, NULL);
	for (int i = 0; i < 2000; i++) {
		CHECK_OK(pthread_mutex_lock(&lock));
		turn = 1;
		CHECK_OK(pthread_cond_signal(&cond));
		while (turn != 0)
			CHECK_OK(pthread_cond_wait(&back, &lock));
		CHECK_OK(pthread_mutex_unlock(&lock));
	}
	thread_join(thread);
	CHECK_OK(pthread_cond_destroy(&cond));
	CHECK_OK(pthread_cond_destroy(&back));
}

/* POSIX: a condition may be destroyed once all who wait have been told, also while they are still
 * leaving. */
static void a_condition_may_be_destroyed_after_its_last_broadcast(void)
{
	for (int i = 0; i < 50; i++) {
		pthread_t threads[4];

		cond_make(&cond, CLOCK_REALTIME);
		cond_make(&back, CLOCK_REALTIME);
		threads_start(threads, 4, take_token);
		CHECK_OK(pthread_mutex_lock(&lock));
		await_waiting(4);
		tokens = 4;
		CHECK_OK(pthread_cond_broadcast(&cond));
		CHECK_OK(pthread_mutex_unlock(&lock));
		CHECK_OK(pthread_cond_destroy(&cond));
		memset(&cond, 0xa5, sizeof(cond));
		threads_join(threads, 4);
		CHECK_OK(pthread_cond_destroy(&back));
	}
}

int main(void)
{
	check_begin();
	RUN(a_wait_times_out_not_early_and_holds_the_mutex);
	RUN(a_bad_time_is_refused);
	RUN(every_signal_wakes_one_who_waits);
	RUN(a_broadcast_wakes_all);
	RUN(two_threads_take_turns);
	RUN(a_condition_may_be_destroyed_after_its_last_broadcast);
	return check_done();
}
