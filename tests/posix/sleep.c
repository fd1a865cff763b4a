/* sleep.c -- sleeping takes its time, not less, and does not keep others from running
 *
 * threads: 200
 */
#include "check.h"
#include <sys/select.h>

enum { SLEEPERS = 200 };

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
static struct step arrived = STEP_INIT;

/* The ways to sleep for 10 ms; each by itself checks that it was no less. */
static void sleep_10ms(int way)
{
	struct timespec t = timespec_ms(10), until;
	struct timeval tv = {0, 10000};
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	clockid_t clock = clocks[way % 4];

	switch (way % 10) {
	case 0:
		CHECK(nanosleep(&t, NULL) == 0);
		break;
	case 1:
		CHECK(usleep(10000) == 0);
		break;
	case 2:
		CHECK_EQ(poll(NULL, 0, 10), 0);
		break;
	case 3:
		CHECK_EQ(ppoll(NULL, 0, &t, NULL), 0);
		break;
	case 4:
		CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
		break;
	case 5:
		CHECK_EQ(pselect(0, NULL, NULL, NULL, &t, NULL), 0);
		break;
	case 6:
		CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL), 0);
		break;
	case 7:
		CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &t, &t), 0);
		break;
	default:
		until = deadline(clock, 10);
		CHECK_EQ(clock_nanosleep(clock, TIMER_ABSTIME, &until, NULL), 0);
		CHECK(is_past(clock, &until));
		return;
	}
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 10000000);
}

static void every_way_of_sleeping_takes_its_time(void)
{
	for (int way = 0; way < 20; way++)
		sleep_10ms(way);
}

static void *sleeper(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, SLEEPERS);
	for (int i = 0; i < 5; i++)
		sleep_10ms((int)(intptr_t)arg + i);
	return NULL;
}

/* 200 threads that sleep 50 ms each need 10 s one after the other. */
static void sleepers_sleep_side_by_side(void)
{
	pthread_t threads[SLEEPERS];
	int64_t start = now_ms();

	threads_start(threads, SLEEPERS, sleeper);
	threads_join(threads, SLEEPERS);
	CHECK(now_ms() - start >= 50);
	CHECK(now_ms() - start < 5000);
}

static void *sleep_for(void *arg)
{
	struct timespec t = timespec_ms((intptr_t)arg);
	int64_t start = clock_ns(CLOCK_MONOTONIC);

	CHECK(nanosleep(&t, NULL) == 0);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= (intptr_t)arg * 1000000);
	return NULL;
}

static void a_short_sleep_ends_before_a_long_one(void)
{
	pthread_t late = thread_start(sleep_for, (void *)250),
		  soon = thread_start(sleep_for, (void *)10);

	thread_join(soon);
	CHECK_EQ(pthread_tryjoin_np(late, NULL), EBUSY);
	thread_join(late);
}

static void a_past_time_returns_at_once(void)
{
	int64_t start = now_ms();

	for (int i = 0; i < 4; i++) {
		struct timespec until = deadline(clocks[i], -1000), zero = {0, 0};

		CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &until, NULL), 0);
		CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &zero, NULL), 0);
		CHECK(nanosleep(&zero, NULL) == 0);
	}
	CHECK_EQ(sleep(0), 0);
	CHECK(usleep(0) == 0);
	CHECK(now_ms() - start < 2000);
}

static void *bad_times(void *arg)
{
	struct timespec over = {0, 1000000000}, negative = {0, -1}, before = {-1, 0}, ok = {0, 1};

	CHECK_ERR(nanosleep(&over, NULL), EINVAL);
	CHECK_ERR(nanosleep(&negative, NULL), EINVAL);
	CHECK_ERR(nanosleep(&before, NULL), EINVAL);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(clock_nanosleep(clocks[i], 0, &over, NULL), EINVAL);
		CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &negative, NULL), EINVAL);
		CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &before, NULL), EINVAL);
	}
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ok, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(99, 0, &ok, NULL), EINVAL);
	CHECK_ERR(nanosleep(bad_address(), NULL), EFAULT);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, bad_address(), NULL), EFAULT);
	return arg;
}

static void a_bad_time_is_refused(void)
{
	bad_times(NULL);
	thread_join(thread_start(bad_times, NULL));
}

static void *sleep_a_second(void *arg)
{
	CHECK_EQ(sleep(1), 0);
	return arg;
}

static void sleep_of_a_second_takes_a_second(void)
{
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	pthread_t threads[10];

	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(sleep_a_second, NULL);
	threads_join(threads, 10);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 1000000000);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start < INT64_C(3000000000));
}

int main(void)
{
	check_begin();
	RUN(every_way_of_sleeping_takes_its_time);
	RUN(sleepers_sleep_side_by_side);
	RUN(every_way_of_sleeping_takes_its_time);
	RUN(a_short_sleep_ends_before_a_long_one);
	RUN(a_past_time_returns_at_once);
	RUN(a_bad_time_is_refused);
	RUN(sleep_of_a_second_takes_a_second);
	return check_done();
}
