/* catch.h -- contexts that the kernel interrupted: preempt them, or make them enter a signal handler
 *
 * The kernel's frame lies on the carrier's signal stack, where nothing can park. To preempt, the frame (registers and vector
 * state) is copied to a buffer of the task, which is then a parked context like any other and is resumed by rt_sigreturn on
 * whichever carrier takes it. To run a handler, a frame as the kernel would have pushed it is built on the task's own (or
 * alternate) stack, and the interrupted context is rewritten to enter the handler; its return goes through a restorer of ours.
 *
 * Only outside Weft: not in this library's text (with its slots), nor in what that has called (the vdso): the carrier's depth
 * tells. What cannot act where it comes is owed (carrier.h), and paid at the next exit of the gate.
 */
#ifndef PRELOAD_CATCH_H
#define PRELOAD_CATCH_H

#include "gate/gate.h"

void catch_init(void);

/* catch_allowed -- may the interrupted context be taken from its task here? */
bool catch_allowed(struct carrier *c, const void *context);

/* inject -- rewrite the context to enter the program's handler, which was claimed (action.h). */
void inject(struct task *t, void *context, const struct uapi_sigaction *act, const siginfo_t *info);

/* catch_restart -- a call of the program that was left to the kernel came back -EINTR because of a signal that is not for
 * it: put it back. */
void catch_restart(struct carrier *c, void *context);

/* catch_kick -- make the carrier that runs `t' look at its signals. */
void catch_kick(struct task *t);

/* catch_describe -- fill a ucontext with the registers of a task that is in a system call, whose result is known.
 *
 * A call that will be made again stands before its `syscall', as with the kernel: the handler of pthread_cancel asks by the
 * program counter whether the call has had an effect (glibc since 2.41).
 */
void catch_describe(void *context, const struct arch_frame *f, long result);

/* catch_undescribe -- give the registers back, as a handler left them. */
void catch_undescribe(struct arch_frame *f, const void *context);

extern void catch_kernel_restorer(void);	/* rt_sigreturn, for frames that the kernel made */
extern void catch_restorer(void);		/* the return from an injected handler */

/* catch_signal -- the kernel's handler for every signal that the program catches, and for a broken pipe; on the carrier's signal
 * stack. */
void catch_signal(int sig, siginfo_t *info, void *context);
void catch_returned(void *context) __attribute__((noreturn));

/* What signal.c tells: the next one due, and what becomes of one that is caught here. */
void signal_announce(struct carrier *c, void *context);	/* a handler has noted one: hubs are to hand it out */
void signal_for_process(struct carrier *c, int sig, const siginfo_t *info, void *context);
void signal_default(int sig);	/* take the default action, which is the kernel's: now, or when the calling handler returns */
bool signal_held(void);	/* of CARRIER_SIGNAL: all tasks block it */
void signal_information(struct task *t, int sig, siginfo_t *info);
int signal_next(struct task *t, struct uapi_sigaction *act);

#define SIGNAL_MASKABLE (~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)))

/* signal_mask_in -- the mask in the handler of a signal that came under `mask'. */
static inline uint64_t signal_mask_in(uint64_t mask, int sig, const struct uapi_sigaction *act)
{
	return mask | act->mask | (act->flags & SA_NODEFER ? 0 : signal_bit(sig));
}

/* signal_mask_moved -- signal_mask_changed (signal.h) but for the kernel's mask of the calling thread: it returns true when that is
 * to become its carrier's `mask'. */
bool signal_mask_moved(struct task *t);

#endif
