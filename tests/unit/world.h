/* world.h -- tasks without libc: a scheduler and bodies that run on it, for unit tests
 *
 * The calling kernel thread becomes the first task. A body runs on a stack and a thread control block made here, which libc
 * does not know: it may use core and plain memory, not libc, and leaves its findings for the first task to assert.
 */
#ifndef WORLD_H
#define WORLD_H

#include "unit.h"
#include <sys/auxv.h>
#include <sys/wait.h>
#include "clock.h"
#include "mem.h"
#include "sched.h"
#include "stack.h"

#define WORLD_STACK 65536ul
#define MS	    1000000ll

struct body {
	struct task *task;
	void (*fn)(struct task *t, void *arg);
	void *arg;
	void *tcb;
};

static struct task *world_main;
static uint32_t world_alive;	/* bodies that have not ended; atomic */
static unsigned world_hubs;

/* On the loop's stack, after a body has left its own for ever. */
static void world_ended(struct hub *h, struct task *t)
{
	mem_put((char *)t->fs - PAGE, 2 * PAGE);
	stack_put((void *)t->stack_lo, t->stack_size);
	task_free(t);
	if (add_relaxed(&world_alive, -1) == 0)
		ready_wake(h, world_main, WAKE_EVENT);
}

static void world_enter(void *arg)
{
	struct body b = *(struct body *)arg;

	mem_put(arg, sizeof b);
	sched_started();
	b.fn(b.task, b.arg);
	sched_exit(b.task);
}

static inline void world_start(unsigned n)
{
	struct task *t = task_new((uint32_t)sys_gettid());

	arch_has_fsgsbase = (getauxval(AT_HWCAP2) & 2) != 0;
	t->fs = arch_tcb();
	arch_tcb_set_task(t->fs, t);
	sched_on_exit = world_ended;
	if (sched_start(t, n) < 0)
		abort();
	for (unsigned i = 1; i < n; i++)
		sched_grow(t);
	world_main = t;
	world_hubs = n;
}

/* A new task that is ready to run fn(task, arg). */
static inline struct task *world_task(void (*fn)(struct task *, void *), void *arg)
{
	struct task *t = task_new(0);
	struct body *b = mem_get(sizeof *b);
	char *stack = stack_get(WORLD_STACK), *tcb = (char *)mem_get(2 * PAGE) + PAGE;

	((void **)tcb)[2] = tcb;
	arch_tcb_set_task((uintptr_t)tcb, t);
	*b = (struct body){t, fn, arg, tcb};
	t->fs = (uintptr_t)tcb;
	t->stack_lo = (uintptr_t)stack;
	t->stack_size = WORLD_STACK;
	t->hub = world_main->hub;
	t->sp = arch_prepare(stack + WORLD_STACK, world_enter, b);
	add_relaxed(&world_alive, 1);
	ready_put(sched_hub(world_main), t);
	return t;
}

/* The first task parks until all bodies have ended. */
static inline void world_join(void)
{
	sched_arm(world_main, PARK_FUTEX);
	if (load_seq(&world_alive) == 0)
		sched_disarm(world_main);
	else
		sched_park(world_main, FOREVER);
}

/* Let the others run for a while, from a body or the first task. */
static inline void world_sleep(struct task *t, int64_t ns)
{
	sched_arm(t, PARK_SLEEP);
	sched_park(t, clock_now() + ns);
}

/* world_run -- the group in a process of its own with one hub, then with two. Returns the number of failed tests. */
static inline int world_run(int (*group)(void))
{
	int failed = 0, status;

	for (unsigned n = 1; n <= 2; n++) {
		fflush(NULL);
		if (fork() == 0) {
			world_start(n);
			exit(group());
		}
		wait(&status);
		failed += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	return failed;
}

#endif
