/* task.h -- a green thread
 *
 * A task is its registers (on its own stack while it does not run), a thread pointer, and what the kernel would keep of a
 * thread: its id, its signal mask, its robust list. The thread control block that libc built names it (ARCH_TCB_TASK).
 *
 * Fields are owned by the task itself while it runs, by whoever took it from a run queue before that, unless said otherwise.
 * Threads: task_new, task_free, task_by_tid, task_each from any. Errors: NULL.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "lock.h"
#include "uapi.h"

struct hub;
struct carrier;

enum park_reason {
#define PARK(name, text) PARK_##name,
#include "park.def"
#undef PARK
	PARK_COUNT
};

/* Values of task.wake. A source of wakes claims a parked task by turning ARMED into its own value; one wins. */
enum wake {
	WAKE_NONE,	/* runs, or is in a run queue */
	WAKE_ARMED,	/* waits, or is about to */
	WAKE_HELD,	/* the same, and signals must not end it */
	WAKE_EVENT,	/* what it waited for happened */
	WAKE_TIMEOUT,
	WAKE_SIGNAL,
};

#define TASK_TID_FIRST	(1u << 23)	/* above PID_MAX_LIMIT, so that no kernel thread has such an id */
#define TASK_INDEX_BITS 22
#define TASK_NO_INDEX	UINT32_MAX
#define TASK_CPUS	1024	/* bytes of a set of CPUs: the kernel is built for 8192 at most */
#define TASK_REAL_POLICY 255

struct task {
	/* Two lines of the cache are touched by every wait; the rest lies behind them. */
	void *sp;			/* saved stack pointer while it does not run */
	uintptr_t fs;			/* thread pointer */
	uintptr_t stack_lo, stack_size;
	struct carrier *carrier;	/* runs it; stale while it does not run */
	struct hub *hub;		/* where it ran last and is readied */
	struct task *next;		/* in a run queue or an inbox */
	uint32_t wake;			/* atomic, enum wake */
	uint32_t on_cpu;		/* atomic: its stack is in use; who takes it from a queue waits for zero */
	struct arch_frame *frame;	/* of the system call it is in; NULL outside */
	uint64_t sigpending;		/* atomic: sent to this task and not yet delivered */
	uint64_t sigmask;		/* virtual mask */
	uint64_t sigwait;		/* what sigtimedwait waits for */
	uint32_t attention;		/* atomic: look at signals before leaving the gate */
	uint16_t park;			/* enum park_reason */
	bool in_create;			/* inside pthread_create: MAP_STACK is answered */
	uint8_t hog;			/* so many more times it is queued as one that was preempted */
	bool vfork;			/* a child may be using this stack and thread pointer */
	bool apart;			/* bound, and most of its calls are left to the kernel (bound.h) */
	bool bound;			/* it owns its carrier; changes under task_lock, by the task itself (sched.h) */
	bool sharers;			/* it made a process that shares its memory and thread pointer */
	uint16_t reach;			/* its wake is for so many bytes above the call's frame, as a rule */
	uint32_t timer;			/* heap index; under timer_hub's timer lock */
	struct hub *timer_hub;		/* whose heap its deadline is in */
	uint64_t gs;			/* its GS base while it does not run */

	uint32_t index;			/* in the table of tasks */
	uint32_t tid;
	uint32_t pkru;			/* its rights by protection keys while it does not run */
	int *clear_tid;
	void *robust;			/* struct robust_list_head of libc */
	uint64_t sigcounted;		/* as it stands in the counts of blockers (signal.c) */
	siginfo_t *siginfo;		/* of a signal that came to the process */
	uint64_t sigsaved;		/* mask to go back to after the handlers, when sigrestore */
	bool sigrestore;
	bool left;			/* it is not counted any more (task_leave) */
	uint8_t policy;			/* SCHED_OTHER, SCHED_BATCH or SCHED_IDLE: kept and told; TASK_REAL_POLICY: the carrier's */
	uintptr_t sigalt_sp, sigalt_size;
	void *preempt;			/* buffer for the kernel's frame, once it was preempted */
	uintptr_t elsewhere;		/* 64 KiB region outside its stack that was found to be its own */
	void *exec;			/* memory for an exec that it or its child of vfork makes (preload/process/exec.c) */
	uint64_t *affinity;		/* as the program set it, task_affinity_size bytes; NULL: never */
	int64_t cpu_ns;			/* CPU time until it left its last carrier; written by that before on_cpu is cleared */
	char name[16];
};

extern uint32_t task_affinity_size;	/* as many bytes of a set as the kernel uses; set before there is a second task */

/* task_new -- a task with an id, not yet ready. tid 0: a new one, else that kernel thread's, for the first task of a process. */
struct task *task_new(uint32_t tid);
void task_free(struct task *t);

/* task_leave -- the task is about to end and counts as living no more. Returns whether it was the last: of several that leave at
 * once exactly one is. */
bool task_leave(struct task *t);

/* task_by_tid -- NULL when no living task has it. The task may end at any moment unless the caller knows better:
 * hold the table's lock around use. */
struct task *task_by_tid(uint32_t tid);

extern uint32_t task_count;	/* atomic: how many live and do not leave */
extern struct lock task_lock;	/* the table of tasks; task_by_tid and task_each want it held */

/* task_each -- call fn for all living tasks until it returns true; returns that task. */
struct task *task_each(bool (*fn)(struct task *, void *), void *arg);

/* task_child -- in the child of a fork: only `t' is left, as it was when `saved' was copied from it. */
void task_child(struct task *t, const struct task *saved);

static inline struct task *task_self(void)
{
	return arch_tcb_task();
}

static inline bool task_on_own_stack(const struct task *t, uintptr_t sp)
{
	return sp - t->stack_lo < t->stack_size;
}

#endif
