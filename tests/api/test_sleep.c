/* test_sleep.c -- time: weft_sleep, weft_sleep_until, weft_yield and <weft/base.h>
 *
 * threads: 50
 * flags: -Wno-unused-parameter
 */
#include "check.h"

static void version_of_header_and_library_agree(void)
{
	check(!strcmp(weft_version(), WEFT_VERSION));
}

static void now_is_the_monotonic_clock(void)
{
	struct timespec ts;
	int64_t before, now, after;

	before = weft_now();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	after = weft_now();
	now = ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
	check(before <= now && now <= after);
}

static void milliseconds_are_whole_or_floating(void)
{
	int64_t in;

	check(WEFT_MS(5) == 5000000);
	check(WEFT_MS(0.5) == 500000);
	check(WEFT_MS(1 + 1) == 2000000);
	check(WEFT_MS(10000000) == INT64_C(10000000000000));
	check(WEFT_NOW < weft_now() && weft_now() < WEFT_FOREVER);
	in = WEFT_IN_MS(1000);
	check(in > weft_now() && in <= weft_now() + WEFT_MS(1000));
}

static void *set_flag(void *flag)
{
	__atomic_store_n((int *)flag, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void yield_lets_others_run(void)
{
	struct weft_task *task;
	int flag = 0;

	task = spawn(set_flag, &flag);
	while (!__atomic_load_n(&flag, __ATOMIC_SEQ_CST))
		weft_yield();
	join(task, NULL);
	weft_put(task);
}

static void sleep_lasts_as_long_as_it_should(void)
{
	int64_t start = weft_now();

	check(weft_sleep(WEFT_MS(30)) == 0);
	check(weft_now() - start >= WEFT_MS(30));
	check(weft_sleep(0) == 0);
	check(weft_sleep(1) == 0);
	check(weft_sleep(-1) == -EINVAL);
}

static void sleep_until_ends_at_its_deadline(void)
{
	int64_t deadline = WEFT_IN_MS(30), start;

	check(weft_sleep_until(deadline) == 0);
	check(weft_now() >= deadline);
	start = weft_now();
	check(weft_sleep_until(deadline) == 0);
	check(weft_sleep_until(WEFT_NOW) == 0);
	check(weft_sleep_until(-WEFT_MS(3600000)) == 0);
	check(weft_now() - start < WEFT_MS(1000));
}

static void set_outcome(struct gate *g, int outcome)
{
	__atomic_store_n(&g->outcome, outcome, __ATOMIC_SEQ_CST);
}

static void *sleep_interrupted(void *p)
{
	struct gate *g = p;

	g->thread = pthread_self();
	sem_post(&g->running);
	set_outcome(g, weft_sleep(INT64_MAX));
	sem_take(&g->go);
	return NULL;
}

static void *sleep_until_interrupted(void *p)
{
	struct gate *g = p;

	g->thread = pthread_self();
	sem_post(&g->running);
	set_outcome(g, weft_sleep_until(WEFT_FOREVER));
	sem_take(&g->go);
	return NULL;
}

static void interrupt(void *(*fn)(void *))
{
	struct weft_task *task;
	struct gate g;

	gate_init(&g);
	catch_signal(&g);
	g.outcome = 1;
	task = spawn(fn, &g);
	sem_take(&g.running);
	while (__atomic_load_n(&g.outcome, __ATOMIC_SEQ_CST) == 1) {
		check(pthread_kill(g.thread, SIGUSR1) == 0);
		weft_sleep(WEFT_MS(1));
	}
	check(g.outcome == -EINTR);
	sem_post(&g.go);
	join(task, NULL);
	weft_put(task);
}

static void a_signal_handler_ends_a_sleep(void)
{
	interrupt(sleep_interrupted);
	interrupt(sleep_until_interrupted);
}

static void *sleep_100_ms(void *p)
{
	check(weft_sleep(WEFT_MS(100)) == 0);
	return NULL;
}

static void sleeps_overlap(void)
{
	struct weft_task *task[50];
	int64_t start = weft_now();

	for (int i = 0; i < 50; i++)
		task[i] = spawn(sleep_100_ms, NULL);
	for (int i = 0; i < 50; i++) {
		join(task[i], NULL);
		weft_put(task[i]);
	}
	check(weft_now() - start < WEFT_MS(2500));
}

TESTS(
	TEST(version_of_header_and_library_agree),
	TEST(now_is_the_monotonic_clock),
	TEST(milliseconds_are_whole_or_floating),
	TEST(yield_lets_others_run),
	TEST(sleep_lasts_as_long_as_it_should),
	TEST(sleep_until_ends_at_its_deadline),
	TEST(a_signal_handler_ends_a_sleep),
	TEST(sleeps_overlap)
)
