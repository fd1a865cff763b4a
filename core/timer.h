/* timer.h -- deadlines of parked tasks
 *
 * A deadline stands in the heap of the hub on which its task parked. The hub fires it; whoever else wakes the task leaves it
 * there, and the task takes it out itself when it runs again, on whichever hub that is: hence the lock. Where there is no memory for
 * the heap to grow, a deadline stands in a list instead, on the parked task's own stack: it is never early for that.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "hub.h"

struct timer_late {
	struct timer_late *next, **prev;	/* among those of the hub; prev NULL: in no list. Under the hub's timer_lock */
	struct task *task;
	int64_t deadline_ns;
};

/* timer_add -- wake the task with WAKE_TIMEOUT at deadline_ns. `late' is the caller's, until timer_cancel. */
void timer_add(struct hub *h, struct task *t, int64_t deadline_ns, struct timer_late *late);

/* timer_cancel -- take the deadline out unless it has fired. */
void timer_cancel(struct task *t, struct timer_late *late);

/* timer_fire -- wake all tasks of the hub whose deadline has passed. */
void timer_fire(struct hub *h);

#endif
