/* test_join.c -- weft_join and weft_put, as <weft/task.h> promises them
 *
 * threads: 21
 * flags: -Wno-unused-parameter
 */
#include "check.h"

static void join_takes_no_result_as_well(void)
{
	struct weft_task *task = spawn(identity, NULL);

	check(weft_join(task, NULL, WEFT_FOREVER) == 0);
	weft_put(task);
}

static void join_again_gives_the_same(void)
{
	struct weft_task *task = spawn(identity, &task);

	join(task, &task);
	join(task, &task);
	check(weft_join(task, NULL, WEFT_NOW) == 0);
	weft_put(task);
}

static void *join_other(void *task)
{
	void *result;

	check(weft_join(task, &result, WEFT_FOREVER) == 0);
	return result;
}

static void joiners_at_once_have_the_same(void)
{
	struct weft_task *task, *joiner[20];
	struct gate g;

	gate_init(&g);
	task = spawn(wait_at_gate, &g);
	for (int i = 0; i < 20; i++)
		joiner[i] = spawn(join_other, task);
	sem_take(&g.running);
	sem_post(&g.go);
	for (int i = 0; i < 20; i++) {
		join(joiner[i], &g);
		weft_put(joiner[i]);
	}
	weft_put(task);
}

static void join_past_its_deadline_times_out(void)
{
	void *result = &result;
	struct weft_task *task;
	int64_t deadline;
	struct gate g;

	gate_init(&g);
	task = spawn(wait_at_gate, &g);
	check(weft_join(task, &result, WEFT_NOW) == -ETIMEDOUT);
	check(weft_join(task, &result, -1) == -ETIMEDOUT);
	check(weft_join(task, &result, weft_now() - 1) == -ETIMEDOUT);
	deadline = WEFT_IN_MS(20);
	check(weft_join(task, &result, deadline) == -ETIMEDOUT);
	check(weft_now() >= deadline);
	check(result == &result);
	sem_post(&g.go);
	join(task, &g);
	weft_put(task);
}

static void *join_self(void *p)
{
	check(weft_join(weft_self(), NULL, WEFT_FOREVER) == -EDEADLK);
	return p;
}

static void join_of_oneself_is_refused(void)
{
	struct weft_task *task = spawn(join_self, NULL);

	join(task, NULL);
	weft_put(task);
}

static void join_of_what_was_not_spawned_is_refused(void)
{
	check(weft_join(NULL, NULL, WEFT_FOREVER) == -EINVAL);
	check(weft_join(weft_self(), NULL, WEFT_FOREVER) == -EINVAL);
}

static pthread_key_t late_key;
static int destructors;
extern int __cxa_thread_atexit_impl(void (*fn)(void *), void *arg, void *dso);
extern void *__dso_handle __attribute__((visibility("hidden")));

static void count_key(void *rounds)
{
	destructors++;
	if (--*(int *)rounds > 0)
		pthread_setspecific(late_key, rounds);
}

static void count_thread_local(void *p)
{
	destructors++;
}

static void *use_thread_locals(void *p)
{
	static int rounds = 3;

	pthread_setspecific(late_key, &rounds);
	__cxa_thread_atexit_impl(count_thread_local, NULL, &__dso_handle);
	return NULL;
}

static void destructors_run_before_the_joiner_wakes(void)
{
	struct weft_task *task;

	check(pthread_key_create(&late_key, count_key) == 0);
	task = spawn(use_thread_locals, NULL);
	join(task, NULL);
	check(destructors == 4);
	weft_put(task);
	pthread_key_delete(late_key);
}

struct joiner {
	struct gate gate;
	struct weft_task *joined;
};

static void *join_under_signals(void *p)
{
	struct joiner *j = p;

	j->gate.thread = pthread_self();
	sem_post(&j->gate.running);
	join(j->joined, p);
	return NULL;
}

static void *wait_and_return(void *p)
{
	sem_take(&((struct gate *)p)->go);
	return p;
}

static void signals_do_not_end_a_join(void)
{
	struct weft_task *task;
	struct joiner j;

	gate_init(&j.gate);
	catch_signal(&j.gate);
	j.joined = spawn(wait_and_return, &j);
	task = spawn(join_under_signals, &j);
	sem_take(&j.gate.running);
	while (__atomic_load_n(&j.gate.signals, __ATOMIC_SEQ_CST) < 20) {
		check(pthread_kill(j.gate.thread, SIGUSR1) == 0);
		weft_sleep(WEFT_MS(1));
	}
	check(weft_join(task, NULL, WEFT_NOW) == -ETIMEDOUT);
	sem_post(&j.gate.go);
	join(task, NULL);
	weft_put(task);
	weft_put(j.joined);
}

static void *wait_then_tell(void *p)
{
	struct gate *g = p;

	sem_take(&g->go);
	sem_post(&g->running);
	return NULL;
}

static void put_takes_null(void)
{
	weft_put(NULL);
}

static void put_before_the_end_lets_the_task_run_on(void)
{
	static struct gate g;	/* nobody waits for the task's end */

	gate_init(&g);
	weft_put(spawn(wait_then_tell, &g));
	sem_post(&g.go);
	sem_take(&g.running);
}

TESTS(
	TEST(join_takes_no_result_as_well),
	TEST(join_again_gives_the_same),
	TEST(joiners_at_once_have_the_same),
	TEST(join_past_its_deadline_times_out),
	TEST(join_of_oneself_is_refused),
	TEST(join_of_what_was_not_spawned_is_refused),
	TEST(destructors_run_before_the_joiner_wakes),
	TEST(signals_do_not_end_a_join),
	TEST(put_takes_null),
	TEST(put_before_the_end_lets_the_task_run_on)
)
