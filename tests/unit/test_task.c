/* test_task.c -- ids are unique among the living and come again late; no memory is a NULL */
#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include "task.c"
#include <sys/wait.h>

enum { MANY = 10000 };
static struct task *tasks[MANY];

static int by_tid(const void *a, const void *b)
{
	uint32_t x = (*(struct task *const *)a)->tid, y = (*(struct task *const *)b)->tid;

	return (x > y) - (x < y);
}

static void living_tasks_have_ids_of_their_own(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++) {
		tasks[i] = task_new(0);
		assert_non_null(tasks[i]);
		assert_true(tasks[i]->tid >= TASK_TID_FIRST && tasks[i]->tid < 1u << 28);
	}
	qsort(tasks, MANY, sizeof *tasks, by_tid);
	for (int i = 0; i < MANY; i++) {
		assert_true(i == 0 || tasks[i]->tid != tasks[i - 1]->tid);
		assert_ptr_equal(task_by_tid(tasks[i]->tid), tasks[i]);
	}
	for (int i = 0; i < MANY; i++) {
		uint32_t tid = tasks[i]->tid;

		task_free(tasks[i]);
		assert_null(task_by_tid(tid));
	}
}

static void an_id_is_not_used_again_soon(void **state)
{
	struct task *t = task_new(0);
	uint32_t first = t->tid;

	(void)state;
	task_free(t);
	for (int i = 0; i < 1000; i++) {
		t = task_new(0);
		assert_int_not_equal(t->tid, first);
		task_free(t);
	}
}

static void a_kernel_thread_keeps_its_id(void **state)
{
	struct task *t = task_new(4711);

	(void)state;
	assert_int_equal(t->tid, 4711);
	assert_ptr_equal(task_by_tid(4711), t);
	task_free(t);
	assert_null(task_by_tid(4711));
	assert_null(task_by_tid(0xffffffffu));
	assert_null(task_by_tid(TASK_TID_FIRST + (1u << TASK_INDEX_BITS) - 1));
}

enum { PROCESSES = 200, EACH = 50 };

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Their process ids are close to one another, as those of a server and its workers. */
static void ids_of_processes_that_share_memory_differ(void **state)
{
	static uint32_t ids[PROCESSES * EACH];
	size_t n = 0;

	(void)state;
	for (uint32_t pid = 32700; pid < 32700 + PROCESSES; pid++) {
		struct task *first = task_new(pid);

		for (int i = 0; i < EACH; i++) {
			tasks[i] = task_new(0);
			ids[n++] = tasks[i]->tid;
			assert_ptr_equal(task_by_tid(tasks[i]->tid), tasks[i]);
			assert_true(tasks[i]->tid >= TASK_TID_FIRST && tasks[i]->tid < 1u << 28);
		}
		for (int i = 0; i < EACH; i++)
			task_free(tasks[i]);
		task_free(first);
	}
	qsort(ids, n, sizeof *ids, by_value);
	for (size_t i = 1; i < n; i++)
		assert_int_not_equal(ids[i], ids[i - 1]);
}

static bool count_one(struct task *t, void *arg)
{
	(void)t;
	++*(int *)arg;
	return false;
}

static void all_living_tasks_are_visited_once(void **state)
{
	int seen = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		tasks[i] = task_new(0);
	for (int i = 0; i < 100; i += 3)
		task_free(tasks[i]);
	assert_null(task_each(count_one, &seen));
	assert_int_equal(seen, 66);
	for (int i = 0; i < 100; i++)
		if (i % 3)
			task_free(tasks[i]);
}

/* In the child: 0, or what is wrong. */
static int look(struct task *mine, const struct task *saved)
{
	struct task *more[200];
	int left = 0;

	pages_child();
	task_child(mine, saved);
	task_each(count_one, &left);
	if (left != 1 || task_by_tid((uint32_t)getpid()) != mine || mine->stack_lo != 4711)
		return 1;
	for (int i = 0; i < 200; i++) {
		more[i] = task_new(0);
		if (!more[i] || more[i] == mine || more[i]->stack_lo)
			return 2;
	}
	task_free(mine);
	for (int i = 0; i < 200; i++)
		task_free(more[i]);
	return task_new(0) ? 0 : 3;
}

static void in_a_child_one_is_left(void **state)
{
	struct task saved;
	int status;

	(void)state;
	for (int i = 0; i < 100; i++)
		tasks[i] = task_new(0);
	tasks[50]->stack_lo = 4711;
	saved = *tasks[50];
	pid_t child = fork();

	if (child == 0)
		_exit(look(tasks[50], &saved));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 100; i++)
		task_free(tasks[i]);
}

static void without_memory_there_is_no_task_and_no_harm(void **state)
{
	static struct task *more[5 * CHUNK];
	int n = 0, refused = 0;

	(void)state;
	fail_nr = FAIL_MEM;
	while (n < (int)(5 * CHUNK)) {
		fail_calls = 0;
		fail_at = 1;
		more[n] = task_new(0);
		fail_at = 0;
		if (more[n])
			n++;
		else if (++refused)
			assert_non_null(more[n++] = task_new(0));
	}
	assert_true(refused > 0);
	for (int i = 0; i < n; i++) {
		assert_ptr_equal(task_by_tid(more[i]->tid), more[i]);
		task_free(more[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(living_tasks_have_ids_of_their_own),
		cmocka_unit_test(an_id_is_not_used_again_soon),
		cmocka_unit_test(a_kernel_thread_keeps_its_id),
		cmocka_unit_test(ids_of_processes_that_share_memory_differ),
		cmocka_unit_test(all_living_tasks_are_visited_once),
		cmocka_unit_test(in_a_child_one_is_left),
		cmocka_unit_test(without_memory_there_is_no_task_and_no_harm),
	};

	return RUN_GROUP(tests);
}
