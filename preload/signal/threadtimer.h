/* threadtimer.h -- timers that signal one thread, as libc's helper has them for SIGEV_THREAD
 *
 * The kernel does not know the ids of tasks. Such a timer sends the process the signal that preempts, with the number of its
 * record as its value; the handler notes that it fired, and the next hub that hands out signals gives the timer's own signal to
 * the task. While that has not taken it, further expirations are its overrun.
 *
 * Threads: threadtimer_fired in a signal handler on any kernel thread; the rest from tasks and hubs.
 */
#ifndef PRELOAD_THREADTIMER_H
#define PRELOAD_THREADTIMER_H

#include "gate/gate.h"

/* threadtimer_fired -- was this signal sent by such a timer? Then it has been noted. */
bool threadtimer_fired(const siginfo_t *info);

/* threadtimer_due -- a task that is to get this signal because one fired; NULL: no more. With task_lock held. */
struct task *threadtimer_due(int *sig);
bool threadtimer_waits(void);	/* it may have more to tell */

/* threadtimer_information -- the task takes this signal: describe it, if it is a timer's. */
bool threadtimer_information(struct task *t, int sig, siginfo_t *info);

void threadtimer_fork(void);		/* in the child, which has none */

gate_handler threadtimer_create, threadtimer_delete, threadtimer_getoverrun;

#endif
