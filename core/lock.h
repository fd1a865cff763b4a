/* lock.h -- a spin lock for a few instructions
 *
 * Never held across a park, a switch or a call that can wait. Preemption does not reach code of ours, so the holder runs on
 * unless the kernel takes its CPU; then the waiter gives its own away.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "sys.h"

struct lock {
	uint32_t held;
};

static inline bool lock_try(struct lock *l)
{
	return !load_relaxed(&l->held) && !__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE);
}

/* lock_pause -- between two looks, the nth one. */
static inline void lock_pause(unsigned n)
{
	arch_pause();
	if (n % 128 == 127)
		SYS(__NR_sched_yield);
}

/* lock_take -- after it, loads see what was stored before any later look at `held' by others: on this processor the exchange is a
 * full barrier (futex.c leans on it). */
static inline void lock_take(struct lock *l)
{
	for (unsigned n = 0; unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_SEQ_CST)); n++)
		lock_pause(n);
}

static inline void lock_drop(struct lock *l)
{
	WALK(INVARIANT(load_relaxed(&l->held)));
	store_release(&l->held, 0);
}

#endif
