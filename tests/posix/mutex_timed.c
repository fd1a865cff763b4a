/* mutex_timed.c -- waiting for a mutex until a time, on both clocks
 *
 * threads: 6
 */
#include "check.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
static pthread_mutex_t mutex;
static struct step arrived = STEP_INIT, told = STEP_INIT;

static void mutex_make(int type)
{
	pthread_mutexattr_t attr;

	CHECK_OK(pthread_mutexattr_init(&attr));
	CHECK_OK(pthread_mutexattr_settype(&attr, type));
	CHECK_OK(pthread_mutex_init(&mutex, &attr));
	CHECK_OK(pthread_mutexattr_destroy(&attr));
}

static void *hold_until_told(void *arg)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	return arg;
}

static pthread_t holder_start(int type)
{
	pthread_t thread;

	mutex_make(type);
	step_reset(&arrived);
	step_reset(&told);
	thread = thread_start(hold_until_told, NULL);
	step_wait(&arrived, 1);
	return thread;
}

static void holder_end(pthread_t thread)
{
	step_add(&told, 1);
	thread_join(thread);
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void time_out(clockid_t clock, int64_t ms)
{
	struct timespec until = deadline(clock, ms);

	CHECK_EQ(pthread_mutex_clocklock(&mutex, clock, &until), ETIMEDOUT);
	CHECK(is_past(clock, &until));
	if (clock == CLOCK_REALTIME) {
		until = deadline(clock, ms);
		CHECK_EQ(pthread_mutex_timedlock(&mutex, &until), ETIMEDOUT);
		CHECK(is_past(clock, &until));
	}
}

static void a_held_mutex_times_out_and_not_early(void)
{
	static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				    PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};

	for (int t = 0; t < 4; t++) {
		pthread_t holder = holder_start(types[t]);

		for (int i = 0; i < 2; i++) {
			time_out(clocks[i], 5);
			time_out(clocks[i], 0);
			time_out(clocks[i], -1000);
		}
		holder_end(holder);
	}
}

static void a_time_before_the_epoch_is_past(void)
{
	pthread_t holder = holder_start(PTHREAD_MUTEX_NORMAL);
	struct timespec until = {-1, 0}, zero = {0, 0};

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_mutex_clocklock(&mutex, clocks[i], &until), ETIMEDOUT);
		CHECK_EQ(pthread_mutex_clocklock(&mutex, clocks[i], &zero), ETIMEDOUT);
	}
	holder_end(holder);
}

static void a_bad_time_is_refused_only_when_it_matters(void)
{
	struct timespec bad = {1, 1000000000}, negative = {1, -1};
	pthread_t holder = holder_start(PTHREAD_MUTEX_NORMAL);

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_mutex_clocklock(&mutex, clocks[i], &bad), EINVAL);
		CHECK_EQ(pthread_mutex_clocklock(&mutex, clocks[i], &negative), EINVAL);
	}
	CHECK_EQ(pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &bad), EINVAL);
	holder_end(holder);

	mutex_make(PTHREAD_MUTEX_NORMAL);
	CHECK_OK(pthread_mutex_timedlock(&mutex, &bad));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void *lock_within_a_minute(void *arg)
{
	clockid_t clock = clocks[(intptr_t)arg % 2];
	struct timespec until = deadline(clock, 60000);

	step_add(&arrived, 1);
	CHECK_OK(pthread_mutex_clocklock(&mutex, clock, &until));
	CHECK(!is_past(clock, &until));
	sched_yield();
	CHECK_OK(pthread_mutex_unlock(&mutex));
	return NULL;
}

static void an_unlock_in_time_hands_it_over(void)
{
	for (int round = 0; round < 5; round++) {
		pthread_t threads[5], holder = holder_start(PTHREAD_MUTEX_NORMAL);
		int64_t start = now_ms();

		step_reset(&arrived);
		threads_start(threads, 5, lock_within_a_minute);
		step_wait(&arrived, 5);
		if (round == 0)
			let_block();
		step_add(&told, 1);
		threads_join(threads, 5);
		CHECK(now_ms() - start < 20000);
		thread_join(holder);
		CHECK_OK(pthread_mutex_destroy(&mutex));
	}
}

static void the_owner_is_told_by_type(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 5);

	mutex_make(PTHREAD_MUTEX_ERRORCHECK);
	CHECK_OK(pthread_mutex_timedlock(&mutex, &until));
	CHECK_EQ(pthread_mutex_timedlock(&mutex, &until), EDEADLK);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));

	mutex_make(PTHREAD_MUTEX_RECURSIVE);
	CHECK_OK(pthread_mutex_timedlock(&mutex, &until));
	CHECK_OK(pthread_mutex_timedlock(&mutex, &until));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));

	/* A normal mutex locked again by its owner: only the time-out ends it. */
	mutex_make(PTHREAD_MUTEX_NORMAL);
	CHECK_OK(pthread_mutex_lock(&mutex));
	time_out(CLOCK_REALTIME, 5);
	time_out(CLOCK_MONOTONIC, 5);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

int main(void)
{
	check_begin();
	RUN(a_held_mutex_times_out_and_not_early);
	RUN(a_time_before_the_epoch_is_past);
	RUN(a_bad_time_is_refused_only_when_it_matters);
	RUN(an_unlock_in_time_hands_it_over);
	RUN(the_owner_is_told_by_type);
	return check_done();
}
