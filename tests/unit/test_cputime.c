/* test_cputime.c -- a task is charged for what it uses, from samples before anybody asks and exactly from then on */
#include "world.h"
#include "fork.h"
#include "cputime.h"
#include "monitor.h"

static void burn(int64_t ns)
{
	int64_t until = clock_own_ns() + ns;

	while (clock_own_ns() < until)
		;
}

static int64_t time_of(struct task *t)
{
	int64_t ns;

	while ((ns = cputime_of(t)) == -EAGAIN)
		;
	return ns;
}

struct use {
	struct task *task;
	int64_t burns, before, after, others;
	struct task *looks_at;
};

static void burn_sampled(struct task *t, void *arg)
{
	struct use *u = arg;

	burn(u->burns / 2);
	t->carrier->sample = 1;		/* as the monitor does */
	burn(u->burns / 2);
	world_sleep(t, MS);
	u->after = t->cpu_ns;
}

static void a_sample_charges_what_went_by_since_the_last_one(void **state)
{
	struct use u = {.burns = 10 * MS};

	(void)state;
	assert_int_equal(cputime_exact, 0);
	u.task = world_task(burn_sampled, &u);
	world_join();
	assert_true(u.after >= u.burns);
	assert_int_equal(cputime_exact, 0);
}

static void leave_often(struct task *t, void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		world_sleep(t, MS / 10);
}

/* Nobody runs as the monitor here. */
static void switches_read_no_clock_until_somebody_asks(void **state)
{
	uint32_t stamps[2];

	(void)state;
	for (unsigned i = 0; i < world_hubs; i++)
		stamps[i] = hubs[i].carrier->stamps;
	for (int i = 0; i < 2; i++)
		world_task(leave_often, NULL);
	world_join();
	for (unsigned i = 0; i < world_hubs; i++)
		assert_int_equal(hubs[i].carrier->stamps, stamps[i]);
}

static void burn_in_turns(struct task *t, void *arg)
{
	struct use *u = arg;

	u->before = time_of(t);
	for (int i = 0; i < 10; i++) {
		burn(u->burns / 10);
		sched_yield_task(t);
	}
	u->after = time_of(t);
}

static void each_has_what_it_used(void **state)
{
	struct use use[4] = {{.burns = 5 * MS}, {.burns = 10 * MS}, {.burns = 20 * MS}, {.burns = 0}};
	int64_t began = clock_ns(CLOCK_PROCESS_CPUTIME_ID), all = 0;

	(void)state;
	cputime_ask();
	for (int i = 0; i < 4; i++)
		use[i].task = world_task(burn_in_turns, &use[i]);
	world_join();
	for (int i = 0; i < 4; i++) {
		assert_true(use[i].after - use[i].before >= use[i].burns);
		all += use[i].after;
	}
	assert_true(use[3].after < 5 * MS);
	assert_true(all <= clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began);
}

static void wait_a_while(struct task *t, void *arg)
{
	struct use *u = arg;

	u->before = time_of(t);
	world_sleep(t, 30 * MS);
	u->after = time_of(t);
}

static void who_waits_is_charged_nothing(void **state)
{
	struct use u = {0};

	(void)state;
	cputime_ask();
	u.task = world_task(wait_a_while, &u);
	world_join();
	assert_true(u.after - u.before < 5 * MS);
}

static void look_at_other(struct task *t, void *arg)
{
	struct use *u = arg;

	u->before = time_of(u->looks_at);
	for (int i = 0; i < 2000 || u->before < 5 * MS; i++) {
		int64_t now = time_of(u->looks_at);

		if (now < u->before)
			u->others++;
		u->before = now;
		if (i % 10 == 0)
			sched_yield_task(t);
	}
}

static uint32_t over;

static void turn_until_over(struct task *t, void *arg)
{
	(void)arg;
	while (!load_relaxed(&over)) {
		burn(MS / 10);
		sched_yield_task(t);
	}
}

static void see_it_off(struct task *t, void *arg)
{
	look_at_other(t, arg);
	store_relaxed(&over, 1);
}

static void what_others_see_never_goes_back(void **state)
{
	struct use u = {0};

	(void)state;
	cputime_ask();
	over = 0;
	u.looks_at = world_task(turn_until_over, NULL);
	u.task = world_task(see_it_off, &u);
	world_join();
	assert_int_equal(u.others, 0);
	assert_true(u.before > 0);
}

static void a_child_begins_with_nothing(void **state)
{
	struct task saved;
	int status;

	(void)state;
	burn(20 * MS);
	cputime_ask();
	assert_true(time_of(world_main) >= 20 * MS);
	fork_before(world_main, &saved);
	pid_t child = fork();

	if (child == 0) {
		fork_child(world_main, &saved);
		if (cputime_exact)
			_exit(4);
		cputime_ask();
		_exit(time_of(world_main) < 15 * MS && cputime_exact ? 3 : 5);
	}
	fork_parent();
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 3);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_charges_what_went_by_since_the_last_one),
		cmocka_unit_test(switches_read_no_clock_until_somebody_asks),
		cmocka_unit_test(each_has_what_it_used),
		cmocka_unit_test(who_waits_is_charged_nothing),
		cmocka_unit_test(what_others_see_never_goes_back),
		cmocka_unit_test(a_child_begins_with_nothing),
	};

	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
