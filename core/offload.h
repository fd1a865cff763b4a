/* offload.h -- kernel threads that block in a task's place
 *
 * For calls that have no form that does not wait: the task parks, a worker makes the call. The pool grows as calls come (they
 * may wait for one another) and shrinks when workers have stood idle. Workers run with all signals blocked.
 *
 * A call that was begun is never cut short: its buffers are in use. A bound task makes the call itself; -ERESTARTSYS: a signal for
 * it has ended that. Threads: from tasks. Errors: the call's own; -EAGAIN from
 * offload_start when no worker can be had (then the caller makes the call itself, natively).
 */
#ifndef CORE_OFFLOAD_H
#define CORE_OFFLOAD_H

#include "task.h"

/* offload_call -- make a system call in the pool and park until it is done. Its result. */
long offload_call(struct task *t, long nr, long a, long b, long c, long d, long e, long f);

/* offload_watch -- make a system call in the pool that takes nothing and writes nothing, and park until it is done or a signal is
 * due. Tasks that want the same call wait for one worker; one that all have left goes on, for those that come.
 *
 * Returns its result or -ERESTARTSYS; -ENOMEM when it could not be made.
 */
long offload_watch(struct task *t, enum park_reason why, long nr, long a, long b, long c, long d, long e);
/* offload_ask -- carrier_ask of the workers. One that is in a call makes the change after it: what a call may do is settled when it
 * begins. */
bool offload_ask(uint32_t change, bool poke);

#endif
