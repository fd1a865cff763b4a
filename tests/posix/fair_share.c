/* fair_share.c -- two threads that never wait get equal shares of one CPU
 *
 * threads: 2
 */
#include "check.h"

enum { MS = 600, PERCENT = 10 };

static int stop, fds[2];
static long counts[2];
static void (*call)(void);

static void compute(void)
{
	for (volatile int i = 0; i < 1000; i++)
		continue;
}

static void poll_for_nothing(void)
{
	struct pollfd p = {fds[0], POLLIN, 0};

	CHECK_EQ(poll(&p, 1, 0), 0);
}

static void read_the_clock(void)
{
	clock_ns(CLOCK_MONOTONIC);
}

static void open_and_close(void)
{
	CHECK_OK(close(open("/dev/null", O_RDONLY)));
}

static void *loop(void *arg)
{
	long *count = &counts[(intptr_t)arg];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		call();
		++*count;
	}
	return NULL;
}

/* By how many per cent the smaller count is below the larger. */
static long difference(void)
{
	struct timespec t = timespec_ms(MS);
	pthread_t threads[2];
	long less, more;

	stop = 0;
	counts[0] = counts[1] = 0;
	threads_start(threads, 2, loop);
	CHECK(nanosleep(&t, NULL) == 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	threads_join(threads, 2);
	less = counts[counts[0] > counts[1]];
	more = counts[counts[0] <= counts[1]];
	return 100 - 100 * less / more;
}

/* A busy machine may spoil a round, but not the middle one of three. */
static void check_shares(void (*what)(void), const char *name)
{
	int unequal = 0;
	long worst = 0;

	call = what;
	for (int i = 0; i < 3; i++) {
		long d = difference();

		unequal += d > PERCENT;
		worst = d > worst ? d : worst;
	}
	if (unequal > 1)
		check_fail(__FILE__, __LINE__, 0, "%s: shares differ by %ld %%", name, worst);
}

static void threads_that_compute_share_equally(void)
{
	check_shares(compute, "compute");
}

static void threads_that_make_calls_share_equally(void)
{
	check_shares(poll_for_nothing, "poll_for_nothing");
	check_shares(read_the_clock, "read_the_clock");
	check_shares(open_and_close, "open_and_close");
}

int main(void)
{
	cpu_set_t one;

	check_begin();
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_OK(sched_setaffinity(0, sizeof(one), &one));
	CHECK_OK(pipe(fds));
	RUN(threads_that_compute_share_equally);
	RUN(threads_that_make_calls_share_equally);
	return check_done();
}
