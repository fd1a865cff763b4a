/* test_sched.c -- parking and waking: each wake counts once, whoever comes first, on one hub and on two */
#include "world.h"

static void each_body_runs_once(struct task *t, void *arg)
{
	(void)t;
	add_relaxed((uint32_t *)arg, 1);
}

static void a_thousand_tasks_run_and_end(void **state)
{
	uint32_t ran = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++)
			world_task(each_body_runs_once, &ran);
		world_join();
	}
	assert_int_equal(ran, 3000);
}

static struct pair {
	struct task *task[2];
	uint32_t turn, rounds[2];
} pair;

static void play(struct task *t, void *arg)
{
	struct pair *p = &pair;
	uint32_t me = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++) {
		sched_arm(t, PARK_FUTEX);
		if (load_seq(&p->turn) == me)
			sched_disarm(t);
		else
			sched_park(t, FOREVER);
		if (load_seq(&p->turn) != me) {	/* a wake that was meant for an earlier wait */
			i--;
			continue;
		}
		p->rounds[me]++;
		store_seq(&p->turn, !me);
		ready_wake(sched_hub(t), p->task[!me], WAKE_EVENT);
	}
}

static void two_tasks_take_turns_without_a_lost_wake(void **state)
{
	(void)state;
	pair = (struct pair){.turn = 2};
	for (uintptr_t i = 0; i < 2; i++)
		pair.task[i] = world_task(play, (void *)i);
	store_seq(&pair.turn, 0);
	ready_wake(sched_hub(world_main), pair.task[0], WAKE_EVENT);
	world_join();
	assert_int_equal(pair.rounds[0], 20000);
	assert_int_equal(pair.rounds[1], 20000);
}

static enum wake slept;
static int64_t slept_ns;

static void sleeper(struct task *t, void *arg)
{
	int64_t began = clock_now();

	sched_arm(t, PARK_SLEEP);
	slept = sched_park(t, began + *(int64_t *)arg);
	slept_ns = clock_now() - began;
}

static void a_deadline_ends_a_wait_when_it_has_passed(void **state)
{
	int64_t ns = 30 * MS;

	(void)state;
	world_task(sleeper, &ns);
	world_join();
	assert_int_equal(slept, WAKE_TIMEOUT);
	assert_true(slept_ns >= ns);
	ns = -1;
	world_task(sleeper, &ns);
	world_join();
	assert_int_equal(slept, WAKE_TIMEOUT);
}

static void a_wake_ends_a_wait_before_its_deadline(void **state)
{
	int64_t ns = 20000 * MS;
	struct task *t = world_task(sleeper, &ns);

	(void)state;
	world_sleep(world_main, 5 * MS);
	assert_true(ready_wake(sched_hub(world_main), t, WAKE_EVENT));
	world_join();
	assert_int_equal(slept, WAKE_EVENT);
	assert_true(slept_ns < ns);
}

static void held(struct task *t, void *arg)
{
	sched_arm_held(t, PARK_OFFLOAD);
	*(enum wake *)arg = sched_park(t, FOREVER);
}

static void a_signal_does_not_end_a_held_wait(void **state)
{
	enum wake why = WAKE_NONE;
	struct task *t = world_task(held, &why);

	(void)state;
	world_sleep(world_main, 5 * MS);
	assert_false(ready_wake(sched_hub(world_main), t, WAKE_SIGNAL));
	assert_true(ready_wake(sched_hub(world_main), t, WAKE_EVENT));
	world_join();
	assert_int_equal(why, WAKE_EVENT);
}

enum { CROWD = 64 };
static struct task *crowd[CROWD];
static uint32_t claims, parks, stop;

static void wait_often(struct task *t, void *arg)
{
	(void)arg;
	while (!load_relaxed(&stop)) {
		sched_arm(t, PARK_FUTEX);
		if (load_relaxed(&stop)) {
			sched_disarm(t);
			break;
		}
		if (sched_park(t, clock_now() + MS) == WAKE_EVENT)
			add_relaxed(&parks, 1);
	}
}

static void wake_often(struct task *t, void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		if (ready_wake(sched_hub(t), crowd[seed >> 16 & (CROWD - 1)], WAKE_EVENT))
			add_relaxed(&claims, 1);
		if (i % 16 == 0)
			sched_yield_task(t);
	}
}

static void of_wakes_and_time_outs_at_once_one_wins(void **state)
{
	(void)state;
	claims = parks = stop = 0;
	for (int i = 0; i < CROWD; i++)
		crowd[i] = world_task(wait_often, NULL);
	for (uintptr_t i = 1; i <= 3; i++)
		world_task(wake_often, (void *)i);
	while (load_relaxed(&world_alive) > CROWD)
		world_sleep(world_main, MS);
	store_relaxed(&stop, 1);
	world_join();
	assert_true(claims > 0);
	assert_true(parks <= claims);
	assert_true(claims - parks <= CROWD);	/* the last claim of each may have met `stop' */
}

static void wait_bound(struct task *t, void *arg)
{
	INVARIANT(sched_bind(t) == 0);
	wait_often(t, arg);
}

static void of_wakes_and_time_outs_of_bound_tasks_one_wins(void **state)
{
	(void)state;
	claims = parks = stop = 0;
	for (int i = 0; i < CROWD; i++)
		crowd[i] = world_task(i % 2 ? wait_bound : wait_often, NULL);
	for (uintptr_t i = 1; i <= 3; i++)
		world_task(wake_often, (void *)i);
	while (load_relaxed(&world_alive) > CROWD)
		world_sleep(world_main, MS);
	store_relaxed(&stop, 1);
	world_join();
	assert_true(claims > 0);
	assert_true(parks <= claims);
	assert_true(claims - parks <= CROWD);
}

static void spinner(struct task *t, void *arg)
{
	while (!load_relaxed((uint32_t *)arg))
		sched_yield_task(t);
}

static void a_task_that_only_yields_lets_deadlines_pass(void **state)
{
	uint32_t done = 0;
	int64_t began = clock_now();

	(void)state;
	world_task(spinner, &done);
	world_task(spinner, &done);
	world_sleep(world_main, 20 * MS);
	assert_true(clock_now() - began >= 20 * MS);
	assert_true(clock_now() - began < 2000 * MS);
	store_relaxed(&done, 1);
	world_join();
}

static void floats(struct task *t, void *arg)
{
	uint32_t mode = *(uint32_t *)arg, now;

	__asm__ volatile("ldmxcsr %0" : : "m"(mode));
	for (int i = 0; i < 100; i++)
		sched_yield_task(t);
	__asm__ volatile("stmxcsr %0" : "=m"(now));
	*(uint32_t *)arg = now == mode;
}

static void each_task_keeps_its_rounding_mode(void **state)
{
	uint32_t up = 0x1f80 | 0x4000, down = 0x1f80 | 0x2000;

	(void)state;
	world_task(floats, &up);
	world_task(floats, &down);
	world_join();
	assert_int_equal(up, 1);
	assert_int_equal(down, 1);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_tasks_run_and_end),
		cmocka_unit_test(two_tasks_take_turns_without_a_lost_wake),
		cmocka_unit_test(a_deadline_ends_a_wait_when_it_has_passed),
		cmocka_unit_test(a_wake_ends_a_wait_before_its_deadline),
		cmocka_unit_test(a_signal_does_not_end_a_held_wait),
		cmocka_unit_test(of_wakes_and_time_outs_at_once_one_wins),
		cmocka_unit_test(of_wakes_and_time_outs_of_bound_tasks_one_wins),
		cmocka_unit_test(a_task_that_only_yields_lets_deadlines_pass),
		cmocka_unit_test(each_task_keeps_its_rounding_mode),
	};

	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
