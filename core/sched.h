/* sched.h -- park, ready, switch
 *
 * To wait, a task arms itself, makes itself known to whatever may wake it (a futex queue, a descriptor's list), looks once more
 * at its condition, and parks. Each source of wakes claims it by turning `wake' from WAKE_ARMED into its own value; exactly one
 * wins and queues it. A source is left (under its own lock) before the task waits anew, so no claim can come late.
 *
 *	sched_arm(t);  publish;  if (condition holds) sched_disarm(t);  else why = sched_park(t, …);  unpublish;
 *
 * A task may be claimed and taken by another hub while it is still running towards its park. `on_cpu' says that its stack is
 * in use; it is cleared by the context that follows on that carrier, and who took the task waits for that: a few instructions.
 * (Rejected: keeping the wait queue's lock until the successor has left the stack, as the design page has it. It serves one
 * source only, while time-outs, signals and preemption need the same answer, and it holds a lock across the idle wait.)
 *
 * A parking task switches straight to the next ready one. The carrier's loop, on a stack of its own, runs when there is none,
 * and every HUB_BUDGET turns: it alone looks at inbox, timers and events.
 *
 * After a park a task may be on another carrier: hold the task, never its hub.
 *
 * A *bound* task owns a kernel thread, because what it asked for belongs to one and is inherited by what that one makes. Its
 * carrier has no hub (sched_hub is NULL) and never gets one; it parks by sleeping on a word of the carrier's, and its deadline is
 * the kernel's. Who claims it wakes that word instead of queueing it; descriptors are watched by the hub it ran on last. Nobody
 * preempts it: the kernel does. Tasks that it makes are bound to kernel threads made by its own, so they inherit as natively.
 * All other kernel threads of ours are made by those that serve hubs, by the monitor, or at a moment before a task is bound: never
 * by a bound one, whose restrictions they would inherit. In the child of a fork its task is the only one, and an ordinary one:
 * all that is made there inherits from that thread.
 *
 * Who may wake a bound task must not believe it unbound: `bound' is set under task_lock, which senders of signals hold; all other
 * sources have been left when it is set.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "ready.h"

static inline struct hub *sched_hub(const struct task *t)
{
	return t->carrier->hub;
}

/* sched_helper -- a hub that does for the task what only hubs do: its own; the one it ran on last when it is bound. */
static inline struct hub *sched_helper(const struct task *t)
{
	struct hub *h = sched_hub(t);

	return likely(h != NULL) ? h : t->hub;
}

/* sched_bind -- the calling task keeps its carrier from now on, and the hub goes to another. Returns 0 or -errno.
 * sched_start_bound -- run a new task, which is not yet ready, on a kernel thread of its own, made by the calling one,
 * which is `maker'. */
int sched_bind(struct task *t);
int sched_start_bound(const struct carrier *maker, struct task *t);

static inline void sched_arm(struct task *t, enum park_reason why)
{
	t->park = (uint16_t)why;
	store_seq(&t->wake, WAKE_ARMED);
}

static inline void sched_arm_held(struct task *t, enum park_reason why)
{
	t->park = (uint16_t)why;
	store_seq(&t->wake, WAKE_HELD);
}

/* sched_save_registers -- the task leaves its carrier, or its child begins with what it has: note the registers that no frame
 * holds. */
static inline void sched_save_registers(struct carrier *c, struct task *t)
{
	if (likely(arch_has_fsgsbase))
		t->gs = c->gs = arch_gs_base();
	if (unlikely(load_relaxed(&arch_uses_pkru)))
		t->pkru = c->pkru = arch_pkru();
}

/* sched_park -- wait until woken or deadline_ns (FOREVER: none). Returns the enum wake that won. */
enum wake sched_park(struct task *t, int64_t deadline_ns);

/* sched_disarm -- it need not wait after all. Returns what won when it was too late (then it has parked for a moment). */
enum wake sched_disarm(struct task *t);

/* sched_yield_task -- to the end of the queue. */
void sched_yield_task(struct task *t);

/* sched_give_way -- as if it had been preempted here: behind all others, after a look at what else is due. */
void sched_give_way(struct task *t);

/* sched_exit -- leave for ever; the loop then calls sched_on_exit(task), off its stack. */
void sched_exit(struct task *t) __attribute__((noreturn));
extern void (*sched_on_exit)(struct hub *h, struct task *t);

/* sched_preempted -- from a signal handler on the carrier's signal stack: leave it; t->sp is ready to be switched to. */
void sched_preempted(struct carrier *c, struct task *t) __attribute__((noreturn));

/* sched_loop -- what a carrier does for ever. */
void sched_loop(void *carrier);

/* sched_start -- the calling kernel thread, running as task `t', becomes the first carrier with hub 0. */
int sched_start(struct task *t, unsigned wanted);

/* sched_dismiss -- end all carriers but the caller's. They hold no task, and no task will be made again. */
void sched_dismiss(const struct carrier *me);

/* sched_grow -- make another hub run while there are tasks for it. */
void sched_grow(struct task *t);

/* Around a call that may block in the kernel without our knowing: the monitor may give the hub to another carrier
 * meanwhile; then `end' waits in a queue for its turn. */
static inline void sched_native_begin(struct task *t)
{
	barrier();
	store_relaxed(&t->carrier->depth, 0);
}

void sched_reattach(struct task *t);
void sched_await_signal(struct carrier *c);

static inline void sched_native_end(struct task *t)
{
	struct carrier *c = t->carrier;

	store_relaxed(&c->depth, 1);
	barrier();
	if (unlikely(load_relaxed(&c->retake)))
		sched_reattach(t);
}

/* Around a system call that the kernel may cut short, or end with EINTR, because of any signal at all. Between the two the
 * monitor sends no signal: it notes a debt, and if the call lasts it gives the hub to another carrier.
 *
 *	inside = 1; compiler barrier; signalled? wait for it	the carrier
 *	signalled = 1; membarrier; inside? owe : send		the monitor
 */
static inline void sched_inside_begin(struct task *t)
{
	struct carrier *c = t->carrier;

	store_relaxed(&c->inside, 1);
	barrier();
	if (unlikely(load_acquire(&c->signalled)))
		sched_await_signal(c);
	sched_native_begin(t);
}

static inline void sched_inside_end(struct task *t)
{
	store_relaxed(&t->carrier->inside, 0);
	sched_native_end(t);
}

/* sched_child -- in the child of a fork: one hub, one carrier, this task. */
void sched_child(struct task *t);

#endif
