/* dispatch.c -- from a system call number to its handler, for the task that made it
 *
 * Who calls: a task (its thread control block names it, and it stands on its own stack, or its carrier's kernel id is ours); a
 * foreign thread (no such name); a child of vfork, which shares both until it execs. Only tasks meet handlers.
 */
#include <sys/prctl.h>
#include "gate/bound.h"
#include "conf.h"
#include "thread/cpuclock.h"
#include "process/credential.h"
#include "process/exec.h"
#include "fd/fd.h"
#include "thread/futexcall.h"
#include "gate/gate.h"
#include "fd/io.h"
#include "monitor.h"
#include "fd/mq.h"
#include "fd/multiplex.h"
#include "fd/procname.h"
#include "fd/fdtable.h"
#include "process/process.h"
#include "fd/uring.h"
#include "process/shared.h"
#include "signal/signal.h"
#include "fd/sigwait.h"
#include "thread/sleep.h"
#include "fd/sock.h"
#include "fd/splice.h"
#include "thread/thread.h"
#include "signal/threadtimer.h"

#define REGION (~(uintptr_t)0xffff)

struct verdict {
	long rax;
	long ours;
};

gate_handler *gate_table[GATE_CALLS];
uint32_t gate_calls;

static const struct row {
	const char *name;
	gate_handler *handler;
} rows[GATE_CALLS] = {
#define OURS(name, handler) [__NR_##name] = {#name, handler},
#define KERNEL(name, reason) [__NR_##name] = {#name, NULL},
#define NEWER(name, number, reason) [number] = {#name, NULL},
#include "start/calls.def"
#undef OURS
#undef KERNEL
#undef NEWER
};

void gate_init(void)
{
	for (unsigned i = 0; i < GATE_CALLS; i++)
		if (rows[i].handler && !conf_lists(conf.skip, rows[i].name))
			gate_table[i] = rows[i].handler;
}

bool gate_needed(int nr)
{
	return nr < 0 || (nr < GATE_CALLS && rows[nr].handler);
}

/* Somewhere else than on its own stack: coroutines and alternate stacks are a task's as well, threads of raw clone are not. */
static bool elsewhere(struct task *t, uintptr_t sp)
{
	if ((sp & REGION) == t->elsewhere && !t->sharers)
		return true;
	if (!t->carrier || sys_gettid() != t->carrier->tid)
		return false;
	t->elsewhere = sp & REGION;
	return true;
}

static inline bool is_task(struct task *t, uintptr_t sp)
{
	if (unlikely(t->vfork) && process_vfork_child(t))
		return false;
	return likely(task_on_own_stack(t, sp)) || elsewhere(t, sp);
}

static struct verdict foreign(struct task *t, struct arch_frame *f)
{
	stat_shared(calls_foreign, 1);
	if (exec_is(f) && t && t->vfork && !t->sharers)
		return (struct verdict){exec_make(t, f), 1};
	if (f->nr == __NR_futex) {
		long r = futexcall_foreign(f);

		if (r != GATE_NATIVE)
			return (struct verdict){r, 1};
	}
	if (f->nr == __NR_exit && conf.preempt) {
		uint32_t *clear = NULL;

		if (SYS(__NR_prctl, PR_GET_TID_ADDRESS, &clear) == 0 && clear)
			monitor_watch(clear);
	}
	return (struct verdict){(long)f->nr, 0};
}

/* Handlers of signals that are due run now; one that restarts the call has it made again. */
static __attribute__((noinline)) long deliver(struct task *t, struct arch_frame *f, long r)
{
	while (signal_due(t) && r != GATE_NATIVE && signal_deliver(t, f, &r))
		r = gate_table[f->nr](t, f);
	return r;
}

static inline long handle(struct task *t, struct arch_frame *f)
{
	t->frame = f;
	if (unlikely(load_relaxed(&t->carrier->retake)))
		sched_reattach(t);
	STAT_ADD(sched_hub(t), calls, 1);
	if (unlikely(t->apart) && !bound_keeps((int)f->nr))
		return GATE_NATIVE;
	long r = gate_table[f->nr](t, f);

	if (unlikely(signal_due(t)))
		r = deliver(t, f, r);
	return unlikely(r == -ERESTARTSYS) ? -EINTR : r;
}

/* The way out of the gate. From the store to depth on a signal that finds the program's own code acts at once; one that came
 * before is owed: true. (A child of vfork is about to use this stack and this carrier's mask: nothing may move then.) */
static inline bool step_out(struct task *t, const struct arch_frame *f, long r)
{
	struct carrier *c = t->carrier;

	if (r == GATE_NATIVE) {
		c->native_pc = arch_frame_pc(f);
		c->native_nr = f->nr;
	}
	barrier();
	store_relaxed(&c->depth, 0);
	barrier();
	return unlikely(load_relaxed(&c->owed)) && !t->vfork;
}

/* Something could not be done where a signal found the task in Weft, or the monitor saw it there: do it now. */
static __attribute__((noinline)) long settle(struct task *t, struct arch_frame *f, long r)
{
	do {
		struct carrier *c = t->carrier;
		uint32_t owed = exchange(&c->owed, 0);
		bool same = c->hub && c->hub->turns == load_relaxed(&c->owed_turn);

		t->frame = f;
		sched_native_end(t);
		if (owed & CARRIER_OWES_TURN && same && t->carrier == c) {
			stat_shared(preemptions, 1);
			sched_give_way(t);
		}
		if (signal_due(t) && r != GATE_NATIVE)
			signal_deliver(t, f, &r);
		t->frame = NULL;
	} while (step_out(t, f, r));
	return r;
}

struct verdict dispatch(struct arch_frame *f);
struct verdict dispatch(struct arch_frame *f)
{
	struct task *t = task_self();

	/* The vdso's own: Weft may have asked it, from a stack of any kind, on a machine whose clock it cannot read. */
	if (unlikely(f->nr == __NR_clock_gettime) && !cpuclock_is(ARG1(f)))
		return (struct verdict){(long)f->nr, 0};
	if (unlikely(!t) || unlikely(!is_task(t, (uintptr_t)f)))
		return foreign(t, f);
	store_relaxed(&t->carrier->depth, 1);
	barrier();
	long r = handle(t, f);

	t->frame = NULL;
	if (r == GATE_NATIVE)
		STAT_ADD(sched_hub(t), calls_native, 1);
	if (step_out(t, f, r))
		r = settle(t, f, r);
	return r == GATE_NATIVE ? (struct verdict){(long)f->nr, 0} : (struct verdict){r, 1};
}

bool weft_on_task(void)
{
	struct task *t = task_self();

	return t && is_task(t, arch_stack_pointer());
}
