/* test_task.c -- weft_spawn, weft_self, weft_name and fork, as <weft/task.h> promises them
 *
 * threads: 2
 * flags: -Wno-unused-parameter
 */
#include "check.h"

#include <sys/wait.h>

static void spawn_passes_argument_and_result(void)
{
	struct weft_task *task = spawn(identity, (void *)0x1234);

	join(task, (void *)0x1234);
	weft_put(task);
}

static void spawn_without_function_is_refused(void)
{
	struct weft_task *task = (struct weft_task *)8;

	check(weft_spawn(&task, NULL, NULL) == -EINVAL);
	check(task == (struct weft_task *)8);
}

static void spawn_without_handle_runs(void)
{
	static struct gate g;	/* nobody waits for the task's end */

	gate_init(&g);
	check(weft_spawn(NULL, wait_at_gate, &g) == 0);
	sem_take(&g.running);
	sem_post(&g.go);
}

static void spawn_never_makes_a_kernel_thread_instead(void)
{
	struct weft_task *task;
	int status;
	pid_t pid;

	if (getenv("WEFT_DISABLE")) {
		check(weft_spawn(&task, identity, NULL) == -ENOTSUP);
		return;
	}
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		setenv("WEFT_DISABLE", "1", 1);
		execl("/proc/self/exe", "test_task", __func__, (char *)NULL);
		_exit(127);
	}
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *record_mask(void *mask)
{
	check(pthread_sigmask(SIG_BLOCK, NULL, mask) == 0);
	return NULL;
}

static void spawn_inherits_the_signal_mask(void)
{
	struct weft_task *task;
	sigset_t set, old, seen;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	task = spawn(record_mask, &seen);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	join(task, NULL);
	weft_put(task);
	check(sigismember(&seen, SIGUSR2));
}

static void *stack_size(void *size)
{
	pthread_attr_t attr;
	void *lowest;

	check(pthread_getattr_np(pthread_self(), &attr) == 0);
	check(pthread_attr_getstack(&attr, &lowest, size) == 0);
	check((char *)&attr > (char *)lowest && (char *)&attr < (char *)lowest + *(size_t *)size);
	pthread_attr_destroy(&attr);
	return NULL;
}

static void spawn_gives_a_stack_of_256_kib(void)
{
	size_t size = 0;
	struct weft_task *task = spawn(stack_size, &size);

	join(task, NULL);
	weft_put(task);
	check(size == 256 * 1024);
}

static void pthread_join_and_detach_are_refused(void)
{
	struct weft_task *task;
	struct gate g;

	gate_init(&g);
	task = spawn(wait_at_gate, &g);
	sem_take(&g.running);
	check(pthread_join(g.thread, NULL) == EINVAL);
	check(pthread_detach(g.thread) == EINVAL);
	sem_post(&g.go);
	join(task, &g);
	weft_put(task);
}

static void *exit_deeper(void *p)
{
	pthread_exit(p);
}

static void pthread_exit_gives_the_result(void)
{
	struct weft_task *task = spawn(exit_deeper, (void *)0x77);

	join(task, (void *)0x77);
	weft_put(task);
}

static void *sleep_long(void *p)
{
	struct gate *g = p;

	g->thread = pthread_self();
	sem_post(&g->running);
	weft_sleep(WEFT_MS(3600000));
	return NULL;
}

static void pthread_cancel_ends_a_sleep(void)
{
	struct weft_task *task;
	struct gate g;

	gate_init(&g);
	task = spawn(sleep_long, &g);
	sem_take(&g.running);
	check(pthread_cancel(g.thread) == 0);
	join(task, PTHREAD_CANCELED);
	weft_put(task);
}

#define ORDERED 100
static struct {
	int next;
	int order[ORDERED];
} started;

static void *note_order(void *p)
{
	started.order[__atomic_fetch_add(&started.next, 1, __ATOMIC_RELAXED)] = (int)(intptr_t)p;
	return NULL;
}

static bool is_set(const char *variable, const char *value)
{
	return getenv(variable) && !strcmp(getenv(variable), value);
}

/* With one hub and nothing preempted the order can be seen. */
static void tasks_start_in_order_and_none_at_once(void)
{
	struct weft_task *task[ORDERED];

	if (!is_set("WEFT_HUBS", "1") || !is_set("WEFT_PREEMPT", "0") ||
	    !is_set("WEFT_REQUIRE", "1"))
		return;
	for (int i = 0; i < ORDERED; i++)
		task[i] = spawn(note_order, (void *)(intptr_t)i);
	check(started.next == 0);
	for (int i = 0; i < ORDERED; i++) {
		join(task[i], NULL);
		weft_put(task[i]);
		check(started.order[i] == i);
	}
}

static void *give_self(void *p)
{
	check(weft_self() == weft_self());
	return weft_self();
}

static void self_is_the_spawned_handle(void)
{
	struct weft_task *task = spawn(give_self, NULL);

	join(task, task);
	check(weft_self() != task);
	weft_put(task);
}

static void self_names_plain_pthreads_as_well(void)
{
	pthread_t thread;
	void *result;

	check(weft_self() && weft_self() == weft_self());
	check(pthread_create(&thread, NULL, give_self, NULL) == 0);
	check(pthread_join(thread, &result) == 0);
	check(result && result != weft_self());
}

static void name_is_seen_by_pthread_getname(void)
{
	struct weft_task *task;
	char name[16];
	struct gate g;

	gate_init(&g);
	task = spawn(wait_at_gate, &g);
	sem_take(&g.running);
	check(weft_name(task, "short") == 0);
	check(pthread_getname_np(g.thread, name, sizeof name) == 0);
	check(!strcmp(name, "short"));
	check(weft_name(task, "a name of 31 bytes, just so lon") == 0);
	check(pthread_getname_np(g.thread, name, sizeof name) == 0);
	check(!strcmp(name, "a name of 31 by"));
	check(weft_name(task, "") == 0);
	check(weft_name(task, "a name of 32 bytes is one too lo") == -ENAMETOOLONG);
	check(weft_name(task, NULL) == -EINVAL);
	check(weft_name(NULL, "name") == -EINVAL);
	sem_post(&g.go);
	join(task, &g);
	check(weft_name(task, "late") == -ESRCH);
	weft_put(task);
}

static void *name_self(void *p)
{
	char name[16];

	check(weft_name(weft_self(), "myself") == 0);
	check(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
	check(!strcmp(name, "myself"));
	return NULL;
}

static void a_task_names_itself(void)
{
	struct weft_task *task = spawn(name_self, NULL);
	pthread_t thread;

	join(task, NULL);
	weft_put(task);
	check(pthread_create(&thread, NULL, name_self, NULL) == 0);
	check(pthread_join(thread, NULL) == 0);
}

struct family {
	struct gate gate;
	struct weft_task *sibling, *ended;
};

static void check_in_child(struct family *f)
{
	struct weft_task *own;

	check(weft_join(f->sibling, NULL, WEFT_FOREVER) == -ESRCH);
	check(weft_name(f->sibling, "name") == -ESRCH);
	join(f->ended, f);
	check(weft_join(weft_self(), NULL, WEFT_FOREVER) == -EDEADLK);
	check(weft_name(weft_self(), "child") == 0);
	own = spawn(identity, f);
	join(own, f);
	weft_put(own);
}

static void *fork_in_task(void *p)
{
	int status;
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0) {
		alarm(CHECK_LIMIT_S);
		check_in_child(p);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return NULL;
}

static void a_fork_has_only_its_own_task(void)
{
	struct weft_task *task;
	struct family f;

	gate_init(&f.gate);
	f.ended = spawn(identity, &f);
	join(f.ended, &f);
	f.sibling = spawn(wait_at_gate, &f.gate);
	sem_take(&f.gate.running);
	task = spawn(fork_in_task, &f);
	join(task, NULL);
	weft_put(task);
	sem_post(&f.gate.go);
	join(f.sibling, &f.gate);
	weft_put(f.sibling);
	weft_put(f.ended);
}

static void *sum_to(void *n)
{
	intptr_t sum = 0;

	for (intptr_t i = 1; i <= (intptr_t)n; i++) {
		sum += i;
		if (i % 16 == 0)
			weft_yield();
	}
	return (void *)sum;
}

static void a_thousand_tasks_keep_their_results(void)
{
	static struct weft_task *task[1000];

	for (intptr_t i = 0; i < 1000; i++)
		task[i] = spawn(sum_to, (void *)i);
	for (intptr_t i = 0; i < 1000; i++) {
		join(task[i], (void *)(i * (i + 1) / 2));
		weft_put(task[i]);
	}
}

TESTS(
	TEST(spawn_passes_argument_and_result),
	TEST(spawn_without_function_is_refused),
	TEST(spawn_without_handle_runs),
	TEST(spawn_never_makes_a_kernel_thread_instead),
	TEST(spawn_inherits_the_signal_mask),
	TEST(spawn_gives_a_stack_of_256_kib),
	TEST(pthread_join_and_detach_are_refused),
	TEST(pthread_exit_gives_the_result),
	TEST(pthread_cancel_ends_a_sleep),
	TEST(tasks_start_in_order_and_none_at_once),
	TEST(self_is_the_spawned_handle),
	TEST(self_names_plain_pthreads_as_well),
	TEST(name_is_seen_by_pthread_getname),
	TEST(a_task_names_itself),
	TEST(a_fork_has_only_its_own_task),
	TEST(a_thousand_tasks_keep_their_results)
)
