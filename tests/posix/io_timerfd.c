/* io_timerfd.c -- timerfds: once, again and again, absolute and relative, read by several threads
 *
 * threads: 50
 */
#include "check.h"
#include <sys/timerfd.h>

enum { THREADS = 50 };

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
static int fd;
static struct step arrived = STEP_INIT;

static void set(int timer, int64_t first_ms, int64_t every_ms)
{
	struct itimerspec t;

	t.it_value = timespec_ms(first_ms);
	t.it_interval = timespec_ms(every_ms);
	CHECK(timerfd_settime(timer, 0, &t, NULL) == 0);
}

static uint64_t take(int timer)
{
	uint64_t count = 0;

	CHECK_EQ(read(timer, &count, sizeof(count)), sizeof(count));
	CHECK(count > 0);
	return count;
}

static void *own_timer(void *arg)
{
	clockid_t clock = clocks[(intptr_t)arg % 3];
	int timer = timerfd_create(clock, TFD_CLOEXEC);
	struct itimerspec t;
	int64_t start;

	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	start = clock_ns(CLOCK_MONOTONIC);
	CHECK(timer >= 0);
	set(timer, 20, 0);
	CHECK_EQ(take(timer), 1);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 20000000);

	memset(&t, 0, sizeof(t));
	t.it_value = deadline(clock, 20);
	CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL) == 0);
	CHECK_EQ(take(timer), 1);
	CHECK(is_past(clock, &t.it_value));

	start = clock_ns(CLOCK_MONOTONIC);
	set(timer, 5, 5);
	for (uint64_t sum = 0; sum < 6;)
		sum += take(timer);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 30000000);
	CHECK(close(timer) == 0);
	return NULL;
}

/* 70 ms in each of 50 threads are 3.5 s one after the other. */
static void many_threads_wait_for_their_timers(void)
{
	pthread_t threads[THREADS];
	int64_t start = now_ms();

	threads_start(threads, THREADS, own_timer);
	threads_join(threads, THREADS);
	CHECK(now_ms() - start < 3000);
}

static uint64_t taken;

static void *share_timer(void *arg)
{
	uint64_t n = take(fd);

	__atomic_add_fetch(&taken, n, __ATOMIC_SEQ_CST);
	(void)arg;
	return NULL;
}

static void several_readers_share_one_timer(void)
{
	pthread_t threads[4];

	CHECK((fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
	threads_start(threads, 4, share_timer);
	set(fd, 5, 5);
	threads_join(threads, 4);
	CHECK(taken >= 4);
	CHECK(close(fd) == 0);
}

static void *wait_for_timer(void *arg)
{
	step_add(&arrived, 1);
	CHECK_EQ(take(fd), 1);
	return arg;
}

/* Set to far away, a reader waits; set anew to soon, the same reader is woken. */
static void setting_it_anew_moves_a_blocked_reader(void)
{
	pthread_t thread;
	struct itimerspec t;

	step_reset(&arrived);
	CHECK((fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
	set(fd, 1000000, 0);
	thread = thread_start(wait_for_timer, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(timerfd_gettime(fd, &t) == 0);
	CHECK(t.it_value.tv_sec > 900 && t.it_value.tv_sec <= 1000);
	set(fd, 1, 0);
	thread_join(thread);
	CHECK(timerfd_gettime(fd, &t) == 0);
	CHECK(t.it_value.tv_sec == 0 && t.it_value.tv_nsec == 0);
	CHECK(close(fd) == 0);
}

static void *mistakes(void *arg)
{
	uint64_t count;

	CHECK_ERR(timerfd_create(99, 0), EINVAL);
	CHECK((fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
	CHECK_ERR(read(fd, &count, 8), EAGAIN);
	CHECK_ERR(read(fd, &count, 4), EINVAL);
	CHECK_ERR(write(fd, &count, 8), EINVAL);
	CHECK(close(fd) == 0);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(void)
{
	check_begin();
	RUN(many_threads_wait_for_their_timers);
	RUN(several_readers_share_one_timer);
	RUN(setting_it_anew_moves_a_blocked_reader);
	RUN(mistakes_get_their_errno);
	return check_done();
}
