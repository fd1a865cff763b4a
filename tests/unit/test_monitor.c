/* test_monitor.c -- a hub goes on while its carrier blocks, and a task that computes is told to stop when others are due */
#include "world.h"
#include <signal.h>
#include <time.h>
#include "conf.h"
#include "monitor.h"

static uint32_t told, strangers;	/* signals of the monitor; others of that number */

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	add_relaxed((uintptr_t)info->si_value.sival_ptr == CARRIER_PREEMPT ? &told : &strangers, 1);
}

static void block(struct task *t, void *arg)
{
	struct __kernel_timespec ts = {1, 0};

	sched_native_begin(t);
	SYS(__NR_nanosleep, &ts, NULL);
	sched_native_end(t);
	*(int64_t *)arg = clock_now();
}

static void sleep_often(struct task *t, void *arg)
{
	for (int i = 0; i < 10; i++)
		world_sleep(t, 5 * MS);
	*(int64_t *)arg = clock_now();
}

static void others_go_on_while_a_task_blocks_in_the_kernel(void **state)
{
	enum { N = 8 };
	int64_t blocked[N] = {0}, slept = 0;

	(void)state;
	for (int i = 0; i < N; i++)	/* each hub's carrier blocks, several times over */
		world_task(block, &blocked[i]);
	world_task(sleep_often, &slept);
	world_join();
	for (int i = 0; i < N; i++)
		assert_true(slept < blocked[i]);
	assert_true(stat_page->count[STAT_HUBS][STAT_handoffs] >= world_hubs);
}

static void compute(struct task *t, void *arg)
{
	sched_native_begin(t);		/* as the program's own code runs: not in Weft */
	for (int64_t end = clock_now() + 300 * MS; clock_now() < end && load_relaxed(&told) < 3;)
		;
	sched_native_end(t);
	(void)arg;
}

static void a_task_that_computes_is_told_while_others_are_due(void **state)
{
	int64_t slept = 0;

	(void)state;
	told = 0;
	for (unsigned i = 0; i < world_hubs; i++)
		world_task(compute, NULL);
	world_task(sleep_often, &slept);
	world_join();
	assert_true(told >= 3);
	assert_int_equal(strangers, 0);
}

static void a_task_that_computes_alone_is_left_in_peace(void **state)
{
	(void)state;
	if (world_hubs > 1)
		return;			/* the first task's own wait is on the other hub then */
	told = 0;
	world_task(compute, NULL);
	world_join();
	assert_int_equal(told, 0);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_go_on_while_a_task_blocks_in_the_kernel),
		cmocka_unit_test(a_task_that_computes_is_told_while_others_are_due),
		cmocka_unit_test(a_task_that_computes_alone_is_left_in_peace),
	};
	struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	sigaction(CARRIER_SIGNAL, &act, NULL);
	monitor_start();
	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
