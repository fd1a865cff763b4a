/* monitor.h -- the kernel thread that sees to it that a hub never stands still
 *
 * Asleep while all is well; every 2 ms while a hub is busy, every 8 while its tasks follow one another quickly (a look costs them
 * 20 us, and part of their cache), it looks for one whose task has had the CPU for conf.preempt ms while something else is due
 * there: a queued task, a deadline, an event. Did the carrier's CPU clock advance, then the task computes: it is preempted by
 * signal, or at the gate's exit where the signal finds it in Weft (carrier.h: owed). Did it stand still, or work in a system call
 * that a signal could cut short, then the hub is given to a spare carrier and the old one, detached, runs on until its next gate
 * entry.
 *
 *	monitor: retake = 1; membarrier; depth == 0 and still the same turn? take : retake = 0
 *	gate:    depth = 1; compiler barrier; if (retake) look, under the carrier's lock
 *
 * The membarrier makes the gate's plain store visible or the monitor's retake: without a fence on the fast path.
 */
#ifndef CORE_MONITOR_H
#define CORE_MONITOR_H

#include "hub.h"

/* monitor_start -- make the thread; once, in the child of a fork once more. Returns 0 or -errno. */
int monitor_start(void);

/* monitor_ask -- carrier_ask of the monitor's thread. */
bool monitor_ask(uint32_t change, bool poke);

/* monitor_watch -- the calling thread, which is no task, is about to end. The kernel will clear this word then, and wake whom it
 * knows: the monitor wakes those in our table. None is lost: without memory the thread waits for the one record kept for that. */
void monitor_watch(uint32_t *word);

/* Looks at waits that are old, about every 100 ms while the monitor is up. Returns whether it must be called once more. Set by
 * the layer that registers the program's descriptors. */
extern bool (*monitor_on_sweep)(void);

/* monitor_stop -- end it for good: from a process of one task that leaves Weft. Comes back when its kernel thread has ended. */
void monitor_stop(void);

#endif
