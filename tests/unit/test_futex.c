/* test_futex.c -- wait queues by address: tasks and foreign threads, wakes, time-outs, requeues, all counted */
#include "world.h"
#include <pthread.h>
#include "futex.h"

struct waiting {
	uint32_t *addr, expected, bits;
	int64_t deadline;
	long result;
};

static void wait_body(struct task *t, void *arg)
{
	struct waiting *w = arg;

	w->result = futex_wait(t, NULL, w->addr, w->expected, w->bits, w->deadline);
}

/* Tasks that wait; the first task goes on when all of them are in the queue. */
static void park_all(struct waiting *w, int n)
{
	for (int i = 0; i < n; i++) {
		w[i].result = 1;
		world_task(wait_body, &w[i]);
	}
	world_sleep(world_main, 5 * MS);
}

static int ended(const struct waiting *w, int n, long with)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += w[i].result == with;
	return count;
}

static struct hub *me(void)
{
	return sched_hub(world_main);
}

static void a_changed_word_is_not_waited_on(void **state)
{
	uint32_t word = 2;
	struct waiting w = {&word, 1, ~0u, FOREVER, 1};

	(void)state;
	world_task(wait_body, &w);
	world_join();
	assert_int_equal(w.result, -EAGAIN);
	assert_int_equal(futex_wake(me(), &word, 1, ~0u), 0);
}

static void wakes_are_counted_and_first_come_first_served(void **state)
{
	uint32_t word = 0;
	struct waiting w[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		w[i] = (struct waiting){&word, 0, ~0u, FOREVER, 1};
		park_all(&w[i], 1);
	}
	assert_int_equal(futex_wake(me(), &word, 2, ~0u), 2);
	world_sleep(world_main, 5 * MS);
	assert_int_equal(ended(w, 2, 0), 2);
	assert_int_equal(ended(w + 2, 3, 1), 3);
	assert_int_equal(futex_wake(me(), &word, 100, ~0u), 3);
	assert_int_equal(futex_wake(me(), &word, 100, ~0u), 0);
	world_join();
	assert_int_equal(ended(w, 5, 0), 5);
}

static void only_matching_bits_are_woken(void **state)
{
	uint32_t word = 0;
	struct waiting w[2] = {{&word, 0, 1, FOREVER, 1}, {&word, 0, 2, FOREVER, 1}};

	(void)state;
	park_all(w, 2);
	assert_int_equal(futex_wake(me(), &word, 10, 4), 0);
	assert_int_equal(futex_wake(me(), &word, 10, 2), 1);
	world_sleep(world_main, 5 * MS);
	assert_int_equal(w[0].result, 1);
	assert_int_equal(w[1].result, 0);
	assert_int_equal(futex_wake(me(), &word, 10, 3), 1);
	world_join();
}

static void a_wait_past_its_deadline_times_out_and_leaves_the_queue(void **state)
{
	uint32_t word = 0;
	struct waiting w = {&word, 0, ~0u, clock_now() + 20 * MS, 1};

	(void)state;
	park_all(&w, 1);
	world_join();
	assert_int_equal(w.result, -ETIMEDOUT);
	assert_true(clock_now() >= w.deadline);
	assert_int_equal(futex_wake(me(), &word, 1, ~0u), 0);
}

static void waiters_move_to_another_address(void **state)
{
	uint32_t from = 0, to = 0, wrong = 1;
	struct waiting w[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		w[i] = (struct waiting){&from, 0, ~0u, FOREVER, 1};
	park_all(w, 6);
	assert_int_equal(futex_requeue(me(), &from, 1, &to, 2, &wrong), -EAGAIN);
	assert_int_equal(futex_requeue(me(), &from, 1, &to, 2, &(uint32_t){0}), 3);
	assert_int_equal(futex_requeue(me(), &from, 1, &to, 1, NULL), 2);	/* as the kernel counts: moved ones too */
	assert_int_equal(futex_wake(me(), &from, 10, ~0u), 1);
	assert_int_equal(futex_wake(me(), &to, 10, ~0u), 3);
	world_join();
	assert_int_equal(ended(w, 6, 0), 6);
}

static void a_moved_waiter_still_times_out(void **state)
{
	uint32_t from = 0, to = 0;
	struct waiting w = {&from, 0, ~0u, clock_now() + 30 * MS, 1};

	(void)state;
	park_all(&w, 1);
	assert_int_equal(futex_requeue(me(), &from, 0, &to, 1, NULL), 1);
	world_join();
	assert_int_equal(w.result, -ETIMEDOUT);
	assert_int_equal(futex_wake(me(), &to, 1, ~0u), 0);
}

static void wake_op_changes_the_second_word_and_wakes_by_its_old_value(void **state)
{
	static const struct {
		int op, arg, cmp, cmparg;
		uint32_t before, after;
		int second;	/* are waiters of the second word woken? */
	} cases[] = {
		{FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 3, 3, 5, 1},	 {FUTEX_OP_ADD, -2, FUTEX_OP_CMP_LT, 0, 1, ~0u, 0},
		{FUTEX_OP_OR, 6, FUTEX_OP_CMP_NE, 1, 1, 7, 0},	 {FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_GE, 3, 3, 2, 1},
		{FUTEX_OP_XOR, 3, FUTEX_OP_CMP_GT, -1, 1, 2, 1}, {FUTEX_OP_SET, 0, FUTEX_OP_CMP_LE, -1, ~0u, 0, 1},
		{FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_EQ, 0, 0, 16, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t one = 0, two = cases[i].before;
		struct waiting w[2] = {{&one, 0, ~0u, FOREVER, 1}, {&two, two, ~0u, FOREVER, 1}};

		park_all(w, 2);
		long woken = futex_wake_op(me(), &one, 9, &two, 9,
					   (uint32_t)FUTEX_OP(cases[i].op, cases[i].arg, cases[i].cmp, cases[i].cmparg));

		assert_int_equal(woken, 1 + cases[i].second);
		assert_int_equal(two, cases[i].after);
		futex_wake(me(), &two, 9, ~0u);
		world_join();
	}
	assert_int_equal(futex_wake_op(me(), &(uint32_t){0}, 1, &(uint32_t){0}, 1, 7u << 28), -ENOSYS);
}

/* Foreign threads: pthreads of libc, which no hub knows. */
struct foreigner {
	struct futex_foreign node;
	struct waiting w;
};

static void *foreign_main(void *arg)
{
	struct foreigner *f = arg;

	f->w.result = futex_wait(NULL, &f->node, f->w.addr, f->w.expected, f->w.bits, f->w.deadline);
	return NULL;
}

static void foreign_threads_and_tasks_share_a_queue(void **state)
{
	uint32_t word = 0;
	struct waiting task = {&word, 0, ~0u, FOREVER, 1};
	struct foreigner f = {.w = {&word, 0, ~0u, FOREVER, 1}}, late = {.w = {&word, 0, ~0u, 0, 1}};
	pthread_t thread;

	(void)state;
	park_all(&task, 1);
	pthread_create(&thread, NULL, foreign_main, &f);
	long woken = 0;

	while (woken < 2) {		/* until the thread is in the queue as well */
		woken += futex_wake(me(), &word, 2, ~0u);
		world_sleep(world_main, MS);
	}
	pthread_join(thread, NULL);
	world_join();
	assert_int_equal(task.result, 0);
	assert_int_equal(f.w.result, 0);
	late.w.deadline = clock_now() + 10 * MS;
	pthread_create(&thread, NULL, foreign_main, &late);
	pthread_join(thread, NULL);
	assert_int_equal(late.w.result, -ETIMEDOUT);
	assert_int_equal(futex_wake(me(), &word, 1, ~0u), 0);
}

/* A lock as libc's: 0 free, 1 held, 2 held and waited for. */
static uint32_t lock_word;
static long counter;

static void count_up(struct task *t, void *arg)
{
	for (int i = 0; i < 3000; i++) {
		if (!cas(&lock_word, 0, 1))
			while (exchange(&lock_word, 2) != 0)
				futex_wait(t, NULL, &lock_word, 2, ~0u, i % 3 ? FOREVER : clock_now() + MS / 10);
		long seen = counter;

		if (i % 8 == 0)
			sched_yield_task(t);
		counter = seen + 1;
		if (exchange(&lock_word, 0) == 2)
			futex_wake(sched_hub(t), &lock_word, 1, ~0u);
	}
	(void)arg;
}

static void a_lock_made_of_it_excludes(void **state)
{
	(void)state;
	counter = 0;
	for (int i = 0; i < 20; i++)
		world_task(count_up, NULL);
	world_join();
	assert_int_equal(counter, 20 * 3000);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_word_is_not_waited_on),
		cmocka_unit_test(wakes_are_counted_and_first_come_first_served),
		cmocka_unit_test(only_matching_bits_are_woken),
		cmocka_unit_test(a_wait_past_its_deadline_times_out_and_leaves_the_queue),
		cmocka_unit_test(waiters_move_to_another_address),
		cmocka_unit_test(a_moved_waiter_still_times_out),
		cmocka_unit_test(wake_op_changes_the_second_word_and_wakes_by_its_old_value),
		cmocka_unit_test(foreign_threads_and_tasks_share_a_queue),
		cmocka_unit_test(a_lock_made_of_it_excludes),
	};

	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
