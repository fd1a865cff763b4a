/* cputime.h -- how much CPU time each task has had
 *
 * A task's CPU time is what its carriers' clocks advanced by while it ran. Reading such a clock is a system call, twice the
 * price of a switch, so nothing is read at switches until somebody asks. Until then time is sampled: at each look at a busy hub
 * the monitor asks the carrier to read its clock when the next task leaves it; that task is charged with all that went by since
 * the reading before. Who computes for milliseconds is charged what it used, the others get their share on average, and nothing
 * is lost. From the first question on the clock is read at every switch, and answers are exact.
 *
 * (Rejected: the time stamp counter at each switch. It is dear as well, 8 ns, and counts the time in which the kernel ran
 * others or the carrier slept in a call.)
 *
 * Who asks about a task that runs on another carrier adds what that carrier's clock says now. So that answers never go back,
 * `stamps' is odd from before a carrier reads its clock until the charge is made, and a question that saw it change is asked
 * again. The first question meets carriers that do not yet read their clocks: a leaving task is not `current' any more before
 * its carrier looks whether it must, so after a membarrier it either does, or is seen to leave.
 *
 * All of it is anew in the child of a fork, as its clocks are.
 *
 * Threads: cputime_of from any, with task_lock held unless the task is the caller; the rest from the carrier.
 */
#ifndef CORE_CPUTIME_H
#define CORE_CPUTIME_H

#include "carrier.h"

extern uint32_t cputime_exact;	/* atomic: carriers read their clocks at every switch */

/* cputime_start -- the carrier's time before this moment is the task's own. */
void cputime_start(struct carrier *c, struct task *t);

void cputime_charge(struct carrier *c, struct task *t);
void cputime_skip(struct carrier *c);

/* cputime_leave -- the task is leaving its carrier, and is not its current one any more. */
static inline void cputime_leave(struct carrier *c, struct task *t)
{
	barrier();
	if (unlikely(load_relaxed(&c->sample) | load_relaxed(&cputime_exact)))
		cputime_charge(c, t);
}

/* cputime_enter -- a task is about to run after the loop: what the loop used is nobody's. */
static inline void cputime_enter(struct carrier *c)
{
	if (unlikely(load_relaxed(&cputime_exact)))
		cputime_skip(c);
}

/* cputime_ask -- before the first cputime_of of a question. */
void cputime_ask(void);

/* cputime_of -- nanoseconds the task has used; -EAGAIN while it is between two states: let go of the lock, and ask again. */
int64_t cputime_of(const struct task *t);

/* cputime_own -- of the calling task; `now' is what its carrier's clock says. */
int64_t cputime_own(const struct task *t, int64_t now);

#endif
