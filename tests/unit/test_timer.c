/* test_timer.c -- deadlines fire in order and once, and one that is taken out does not fire */
#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include "heap.c"
#include "timer.c"

enum { N = 300 };
static struct task tasks[N];
static struct timer_late late[N];

static int reset(void **state)
{
	struct hub *h = &hubs[0];

	(void)state;
	memset(tasks, 0, sizeof tasks);
	*h = (struct hub){.queue_end = &h->queue, .hogs_end = &h->hogs, .count = stat_page->count[0], .timer_first = FOREVER};
	for (int i = 0; i < N; i++) {
		tasks[i].hub = h;
		tasks[i].timer = HEAP_NONE;
		tasks[i].wake = WAKE_ARMED;
	}
	return 0;
}

static void deadlines_that_have_passed_fire_in_their_order(void **state)
{
	struct hub *h = &hubs[0];
	int64_t now = clock_now();

	(void)state;
	for (int i = 0; i < N; i++)
		timer_add(h, &tasks[i], now - (int64_t)((unsigned)i * 7919u % N), &late[i]);
	timer_fire(h);
	int64_t last = -N;
	struct task *t;
	int n = 0;

	while ((t = hub_dequeue(h))) {
		int64_t key = -(int64_t)((unsigned)(t - tasks) * 7919u % N);

		assert_true(key >= last);
		assert_int_equal(t->wake, WAKE_TIMEOUT);
		assert_int_equal(t->timer, HEAP_NONE);
		last = key;
		n++;
	}
	assert_int_equal(n, N);
	assert_true(h->timer_first == FOREVER);
}

static void a_deadline_to_come_does_not_fire(void **state)
{
	struct hub *h = &hubs[0];
	int64_t soon = clock_now() + 3600 * NSEC;

	(void)state;
	timer_add(h, &tasks[0], soon, &late[0]);
	timer_add(h, &tasks[1], soon + 1, &late[1]);
	timer_add(h, &tasks[2], 0, &late[2]);
	timer_fire(h);
	assert_ptr_equal(hub_dequeue(h), &tasks[2]);
	assert_null(hub_dequeue(h));
	assert_true(h->timer_first == soon);
}

static void a_deadline_that_is_taken_out_does_not_fire(void **state)
{
	struct hub *h = &hubs[0];

	(void)state;
	timer_add(h, &tasks[0], 1, &late[0]);
	timer_add(h, &tasks[1], 2, &late[1]);
	timer_cancel(&tasks[0], &late[0]);
	assert_int_equal(h->timer_first, 2);
	timer_fire(h);
	assert_ptr_equal(hub_dequeue(h), &tasks[1]);
	assert_null(hub_dequeue(h));
	timer_cancel(&tasks[1], &late[1]);	/* after it fired: nothing to do */
}

static void a_task_that_was_woken_otherwise_is_queued_once(void **state)
{
	struct hub *h = &hubs[0];

	(void)state;
	timer_add(h, &tasks[0], 1, &late[0]);
	assert_true(ready_wake(h, &tasks[0], WAKE_EVENT));
	timer_fire(h);
	assert_ptr_equal(hub_dequeue(h), &tasks[0]);
	assert_null(hub_dequeue(h));
	assert_int_equal(tasks[0].wake, WAKE_EVENT);
}

static void add_without_memory(struct hub *h, int i, int64_t deadline_ns)
{
	fail_nr = FAIL_MEM;
	fail_calls = 0;
	fail_at = 1;
	timer_add(h, &tasks[i], deadline_ns, &late[i]);
	fail_at = 0;
}

static void without_memory_a_deadline_holds_all_the_same(void **state)
{
	struct hub *h = &hubs[0];
	int64_t soon = clock_now() + 3600 * NSEC;

	(void)state;
	for (int i = 0; i < N; i++)
		add_without_memory(h, i, i % 3 ? soon + i : 1 + i);
	assert_null(hub_dequeue(h));
	assert_int_equal(h->timer_first, 1);
	timer_cancel(&tasks[0], &late[0]);
	assert_int_equal(h->timer_first, 4);
	assert_true(ready_wake(h, &tasks[3], WAKE_EVENT));
	timer_fire(h);
	for (int i = 0; i < N; i++)
		assert_int_equal(tasks[i].wake, i == 0 || i % 3 ? WAKE_ARMED : i == 3 ? WAKE_EVENT : WAKE_TIMEOUT);
	int n = 0;

	while (hub_dequeue(h))
		n++;
	assert_int_equal(n, N / 3 - 1);
	assert_true(h->timer_first == soon + 1);
	for (int i = 0; i < N; i++)
		timer_cancel(&tasks[i], &late[i]);
	assert_true(h->timer_first == FOREVER && !h->late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_memory_a_deadline_holds_all_the_same, reset),
		cmocka_unit_test_setup(deadlines_that_have_passed_fire_in_their_order, reset),
		cmocka_unit_test_setup(a_deadline_to_come_does_not_fire, reset),
		cmocka_unit_test_setup(a_deadline_that_is_taken_out_does_not_fire, reset),
		cmocka_unit_test_setup(a_task_that_was_woken_otherwise_is_queued_once, reset),
	};

	return RUN_GROUP(tests);
}
