/* signal.h -- signals of the program: virtual dispositions, masks, pending sets, alternate stacks
 *
 * From activation on these are ours; what the kernel knows of the actions, action.h says. A signal that every task blocks is
 * blocked in every carrier, so that it stays pending where others can see it. Pending sets are the process's (caught here, not
 * yet given to a task) and each task's. A broken pipe is the writer's from the start.
 *
 * A handler runs as the task the signal was sent to (one that does not block it, the first task where it can), on that task's
 * stack: as a call on the way out of the gate, or, when the task was interrupted outside Weft, by rewriting the interrupted
 * context so that it enters the handler and comes back through a restorer of ours. From either it may park, throw, or longjmp.
 * A parked task is woken with WAKE_SIGNAL; its call then returns -ERESTARTSYS or -EINTR as signal(7) says.
 *
 * catch_signal takes no lock of these: it may have interrupted a holder. It notes the signal and leaves the choice to the next
 * task that leaves the gate or to the next loop of a hub.
 */
#ifndef PRELOAD_SIGNAL_H
#define PRELOAD_SIGNAL_H

#include "gate/gate.h"

/* signal_init -- take over from the kernel what was set before activation. */
void signal_init(struct task *t);

/* signal_due -- look before leaving the gate: a load or two. */
static inline bool signal_due(const struct task *t)
{
	return unlikely(load_relaxed(&t->attention)) || unlikely(hub_signals_due());
}

/* signal_deliver -- run the handlers that are due for the calling task.
 *
 * result  of the call it is in; -ERESTARTSYS becomes -EINTR when a handler without SA_RESTART ran
 * Returns true when the call is to be made again.
 */
bool signal_deliver(struct task *t, struct arch_frame *f, long *result);

/* signal_hand_out -- give the process's pending signals to tasks; for hub_on_signal. */
void signal_hand_out(struct hub *h);

/* signal_take -- a pending signal of the set, the task's own or the process's, for a task that waits for it. 0: none. */
int signal_take(struct task *t, uint64_t set, siginfo_t *info);

/* signal_send -- to a task, as tgkill does. */
void signal_send(struct hub *me, struct task *t, int sig);

/* signal_mask_changed -- after every change of task.sigmask: what it lets through must get through to it, what nobody lets through
 * stays in the kernel. */
void signal_mask_changed(struct task *t);

/* signal_mask_enter, signal_mask_leave -- the mask that ppoll and its kin hold while they wait. */
long signal_mask_enter(struct task *t, const uint64_t *mask, size_t size);
void signal_mask_leave(struct task *t, long result);

/* signal_task_started, signal_task_ended -- keep the counts of who blocks what. */
void signal_task_started(struct task *t, const struct task *parent);
void signal_task_ended(struct task *t);

/* signal_expose -- put the task's own mask into the kernel, for a child that shares memory, or an exec; signal_cover undoes it. */
void signal_expose(struct task *t);
void signal_cover(void);

void signal_child(struct task *t);

/* signal_give_back -- handlers, stack and mask become the kernel's again: all is left to it from here on. */
void signal_give_back(struct task *t);

gate_handler signal_rt_sigaction, signal_rt_sigprocmask, signal_sigaltstack, signal_rt_sigpending, signal_rt_sigsuspend, signal_pause,
	signal_tgkill, signal_tkill;

#endif
