/* fork.c -- what core does around a fork */
#include "fork.h"
#include "mem.h"
#include "own.h"
#include "pages.h"
#include "sched.h"
#include "stack.h"
#include "stat.h"

void fork_before(const struct task *t, struct task *saved)
{
	own_hold();		/* first: who moves them may want memory */
	lock_take(&task_lock);
	stack_lock();
	mem_lock_all();
	*saved = *t;
}

void fork_parent(void)
{
	mem_unlock_all();
	stack_unlock();
	lock_drop(&task_lock);
	own_drop();
}

void fork_child(struct task *t, const struct task *saved)
{
	pages_child();
	stat_fork();
	task_child(t, saved);
	sched_child(t);
}
