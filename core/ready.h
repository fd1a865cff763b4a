/* ready.h -- making tasks run again
 *
 * A parked task has many who may wake it; one of them claims it (task.wake) and queues it. sched.h has the whole protocol.
 * Threads: any. Locks: none.
 */
#ifndef CORE_READY_H
#define CORE_READY_H

#include "hub.h"

/* ready_wake -- claim and queue a parked task. `me': the hub whose carrier calls, NULL elsewhere. True if this call won. */
bool ready_wake(struct hub *me, struct task *t, enum wake why);

/* ready_put -- queue a task that runs nowhere: on its last hub, or one that sleeps when that has something else to run. */
void ready_put(struct hub *me, struct task *t);

#endif
