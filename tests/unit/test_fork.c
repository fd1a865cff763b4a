/* test_fork.c -- the child of a fork has one task, one hub, and everything works in it; the parent goes on as before */
#include "world.h"
#include "fork.h"
#include "futex.h"
#include "offload.h"

static uint32_t never;
static long first;	/* the process that asserts */

static void wait_for_ever(struct task *t, void *arg)
{
	futex_wait(t, NULL, &never, 0, ~0u, FOREVER);
	add_relaxed((uint32_t *)arg, 1);
}

static void do_a_little_of_all(struct task *t, void *arg)
{
	long pid = offload_call(t, __NR_getpid, 0, 0, 0, 0, 0, 0);

	world_sleep(t, MS);
	sched_yield_task(t);
	add_relaxed((uint32_t *)arg, pid == sys_getpid());
}

static bool count_one(struct task *t, void *arg)
{
	(void)t;
	++*(int *)arg;
	return false;
}

/* In the child: 0, or the number of what is wrong. */
static int look_around(void)
{
	uint32_t done = 0;
	int living = 0;

	task_each(count_one, &living);
	if (living != 1 || task_by_tid((uint32_t)sys_gettid()) != world_main)
		return 1;
	if (futex_wake(sched_hub(world_main), &never, 100, ~0u) != 0)
		return 2;
	world_alive = 0;
	for (unsigned i = 1; i < world_hubs; i++)
		sched_grow(world_main);
	for (int i = 0; i < 20; i++)
		world_task(do_a_little_of_all, &done);
	world_join();
	return done == 20 ? 0 : 3;
}

static void fork_and_look(int generations)
{
	struct task saved;
	int status = -1;

	fork_before(world_main, &saved);
	long child = SYS(__NR_fork);

	if (child == 0) {
		fork_child(world_main, &saved);
		int wrong = look_around();

		if (!wrong && generations > 1)
			fork_and_look(generations - 1);	/* ends this process */
		_exit(wrong);
	}
	fork_parent();
	long waited = SYS(__NR_wait4, child, &status, 0, NULL);

	if (sys_getpid() != first)
		_exit(waited != child || status != 0 ? 5 : 0);
	assert_int_equal(waited, child);
	assert_int_equal(status, 0);
}

static void a_child_has_one_task_and_a_world_of_its_own(void **state)
{
	uint32_t woken = 0, done = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		world_task(wait_for_ever, &woken);
	world_sleep(world_main, 5 * MS);
	for (int i = 0; i < 5; i++)
		fork_and_look(1);
	fork_and_look(2);
	assert_int_equal(futex_wake(sched_hub(world_main), &never, 100, ~0u), 10);
	for (int i = 0; i < 20; i++)
		world_task(do_a_little_of_all, &done);
	world_join();
	assert_int_equal(woken, 10);
	assert_int_equal(done, 20);
}

static void allocate(struct task *t, void *arg)
{
	while (!load_relaxed((uint32_t *)arg)) {
		void *p = mem_get(200);
		struct task *other = task_new(0);

		task_free(other);
		mem_put(p, 200);
		sched_yield_task(t);
	}
}

static void a_child_finds_memory_whole_while_others_allocate(void **state)
{
	uint32_t stop = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		world_task(allocate, &stop);
	for (int i = 0; i < 30; i++)
		fork_and_look(1);
	store_relaxed(&stop, 1);
	world_join();
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_has_one_task_and_a_world_of_its_own),
		cmocka_unit_test(a_child_finds_memory_whole_while_others_allocate),
	};

	first = sys_getpid();
	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
