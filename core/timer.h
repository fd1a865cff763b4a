/* timer.h -- deadlines of parked tasks
 *
 * A deadline stands in the heap of the hub on which its task parked. The hub fires it; whoever else wakes the task leaves it
 * there, and the task takes it out itself when it runs again, on whichever hub that is: hence the lock.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "hub.h"

/* timer_add -- wake the task with WAKE_TIMEOUT at deadline_ns. Without memory the task is woken at once. */
void timer_add(struct hub *h, struct task *t, int64_t deadline_ns);

/* timer_cancel -- take the deadline out unless it has fired. */
void timer_cancel(struct task *t);

/* timer_fire -- wake all tasks of the hub whose deadline has passed. */
void timer_fire(struct hub *h);

#endif
