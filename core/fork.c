/* fork.c -- what core does around a fork */
#include "fork.h"
#include "conf.h"
#include "futex.h"
#include "mem.h"
#include "monitor.h"
#include "offload.h"
#include "own.h"
#include "sched.h"
#include "stack.h"
#include "stat.h"

void fork_before(void)
{
	own_hold();		/* first: who moves them may want memory */
	lock_take(&task_lock);
	stack_lock();
	mem_lock_all();
}

void fork_parent(void)
{
	mem_unlock_all();
	stack_unlock();
	lock_drop(&task_lock);
	own_drop();
}

void fork_child(struct task *t)
{
	fork_parent();
	t->tid = (uint32_t)sys_gettid();
	futex_forget();
	offload_forget();
	monitor_forget();
	stat_fork();
	sched_fork_child(t);
	task_forget_others(t);
}
