/* futex.h -- wait queues keyed by address
 *
 * With these, libc's own mutexes, conditions, semaphores, barriers, rwlocks, once, join, stdio locks and the loader's lock
 * park tasks. A waiter is a node on the parked task's stack; queues are found by hashing the address, so an idle lock costs
 * no memory. A foreign thread (one that is no task) waits in the same queues, on a word in a struct of its own, because a task
 * may be the one to wake it.
 *
 * Who else may touch a queue: wakers and requeuers of any hub, the waiter's own time-out and signals, foreign threads. All of
 * them unlink under the bucket's lock; a waiter that was claimed by its time-out first is passed over and not counted.
 *
 * Threads: any function, on a task or a foreign thread.
 * Errors:  0 or -errno.    Memory: the table, once.    Locks: one per bucket, never held across a park.
 */
#ifndef CORE_FUTEX_H
#define CORE_FUTEX_H

#include "hub.h"

/* A thread that is no task, while it waits. Its memory outlives the wait: the waker touches it after unlocking. */
struct futex_foreign {
	uint32_t word;		/* atomic, and a kernel futex: 1 while it waits */
};

/* futex_wait -- park while *addr == expected, until woken or deadline_ns.
 *
 * t            the calling task; NULL on a foreign thread, which then gives `foreign'
 * bits         which wakes are meant for us; not zero
 * deadline_ns  absolute, CLOCK_MONOTONIC; FOREVER for none
 * Returns 0 when woken (check your condition again), -EAGAIN if *addr differed, -ETIMEDOUT, -EINTR (a signal).
 */
long futex_wait(struct task *t, struct futex_foreign *foreign, uint32_t *addr, uint32_t expected, uint32_t bits,
		int64_t deadline_ns);

/* futex_wake -- wake up to n waiters whose bits meet `bits', first in first out. Returns how many. */
long futex_wake(struct hub *me, uint32_t *addr, int n, uint32_t bits);

/* futex_requeue -- wake up to n waiters of addr and move up to `move' more to addr2.
 *
 * expected  NULL, or what *addr must hold; else -EAGAIN
 * Returns how many were woken and moved.
 */
long futex_requeue(struct hub *me, uint32_t *addr, int n, uint32_t *addr2, int move, const uint32_t *expected);

/* futex_wake_op -- FUTEX_WAKE_OP: change *addr2, wake waiters of addr, and of addr2 if its old value compares so. */
long futex_wake_op(struct hub *me, uint32_t *addr, int n, uint32_t *addr2, int n2, uint32_t op);


#endif
