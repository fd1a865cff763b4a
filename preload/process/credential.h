/* credential.h -- ids and groups of the process, on every kernel thread of ours
 *
 * The kernel keeps credentials per thread; libc makes a change for the process by asking every thread it knows, by a signal
 * (SIGSETXID), and by making the call itself when all have answered. The threads that it knows are tasks: none answers, and the
 * call comes to our handler, which does the asking among kernel threads. When it returns all of these have the change:
 *
 *	carriers	a kick; its handler makes the change wherever the thread stands, also in Weft
 *	spares, idle workers of the pool, the monitor
 *			block all signals; they are woken, and make it before they stand again
 *	workers in a call
 *			make it after that: the kernel settles what a call may do when it begins, and this one began before
 *
 * Who is born meanwhile: a new thread has its maker's credentials, whichever these were, and makes the change before it runs
 * anything. It is known before it lives, and its maker is asked as well; so one look at all that finds nobody behind may have
 * missed it, and a second one cannot. Who is in the middle of a call that cannot be interrupted (a disk, a parent of vfork) is
 * waited for, as libc waits natively. A fork in the middle: the child has what its thread had, and numbers begin anew there.
 *
 * All threads but those of bound tasks have the same credentials, always: who changes its own is bound (bound.h). So what is kept
 * is the resulting state, and a thread that is behind takes on that, however many changes it has missed. A bound task's thread has
 * credentials of its own and makes the same call as the caller, as natively; it is never more than one change behind. Where the
 * caller is bound, the first of the others that answers makes the call and notes the state. A thread that cannot follow ends the
 * process, as natively: it would have rights that the program believes to be gone.
 *
 * A call from elsewhere than libc, or by its syscall(), is meant for one thread alone.
 *
 * Rejected: a log of the changes that each thread works off at its next gate entry. Calls without a handler never come to the
 * gate, and a log has an end.
 */
#ifndef PRELOAD_CREDENTIAL_H
#define PRELOAD_CREDENTIAL_H

#include "gate/gate.h"

void credential_init(void);

gate_handler credential_change;

#endif
