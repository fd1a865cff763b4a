/* gate.h -- how a system call of the program reaches a handler
 *
 * A handler gets the calling task and the frame of its registers, and returns the call's result (>= 0 or -errno) or GATE_NATIVE:
 * then the program's own `syscall' instruction makes the call, with nothing of ours on the stack. It may park; afterwards it may
 * be on another carrier, so it holds the task, never its hub. -ERESTARTSYS asks to be called again after a signal handler with
 * SA_RESTART, else it becomes -EINTR.
 */
#ifndef PRELOAD_GATE_H
#define PRELOAD_GATE_H

#include "sched.h"
#include "sys.h"

static inline uint64_t signal_bit(int sig)
{
	return 1ull << (sig - 1);
}

#define GATE_NATIVE (-5000l)
#define GATE_CALLS  463		/* one more than the highest number that has a row */

typedef long gate_handler(struct task *t, struct arch_frame *f);

extern gate_handler *gate_table[GATE_CALLS];
extern uint32_t gate_calls;	/* GATE_CALLS; zero sends every call to the kernel */

extern char gate_entry[], weft_slots[], weft_slots_end[];

/* gate_init -- fill the table from calls.def, less what WEFT_SKIP names. */
void gate_init(void);

/* gate_needed -- must a site with this number (-1: unknown) be redirected for tasks to work at all? */
bool gate_needed(int nr);

/* weft_on_task -- is the calling thread a task? For the API. */
bool weft_on_task(void);

/* gate_blocking -- make a call that may block in the kernel, or work there for long; the hub may be handed on meanwhile. A signal
 * that came for another task does not end it, and preemption does not cut its result short; with a signal for this task it is
 * -ERESTARTSYS. */
static inline long gate_blocking(struct task *t, long nr, long a, long b, long c, long d, long e, long f)
{
	long r;

	sched_inside_begin(t);
	do
		r = arch_syscall(nr, a, b, c, d, e, f);
	while (unlikely(r == -EINTR) && !load_relaxed(&t->attention) && !hub_signals_due());
	sched_inside_end(t);
	return r == -EINTR ? -ERESTARTSYS : r;
}

/* gate_again -- the frame's own call, unchanged, made here. */
static inline long gate_again(struct task *t, struct arch_frame *f)
{
	return gate_blocking(t, (long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)ARG5(f),
			     (long)ARG6(f));
}

extern int process_id;		/* of the process these tasks live in (process.c) */

/* gate_once -- make a call that does not wait, but reads or writes the program's memory: a page of it may be one that another
 * thread has yet to provide, and the hub may be handed on meanwhile. */
static inline long gate_once(struct task *t, long nr, long a, long b, long c, long d, long e, long f)
{
	sched_native_begin(t);
	long r = arch_syscall(nr, a, b, c, d, e, f);

	sched_native_end(t);
	return r;
}

/* gate_same -- the frame's own call, which does not wait, made here. */
static inline long gate_same(struct task *t, struct arch_frame *f)
{
	return gate_once(t, (long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)ARG5(f), (long)ARG6(f));
}

#endif
