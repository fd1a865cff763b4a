/* futexcall.c -- the futex system call, on tasks and on foreign threads
 *
 * Operations are ours on all memory but what other processes may share; there they are the kernel's, and a waiter blocks its
 * carrier, which is handed on.
 *
 * Priority inheritance: owner words hold task ids that the kernel does not know, so these are ours too: first come first
 * served, without inheriting, since tasks have no priorities. Who acquires after a wait leaves FUTEX_WAITERS set.
 */
#include "futexcall.h"
#include "clock.h"
#include "futex.h"
#include "mem.h"
#include "shared.h"

/* An absolute deadline on `clock', as ours. */
static int64_t absolute(const struct __kernel_timespec *ts, int clock)
{
	int64_t ns;

	if (!ts)
		return FOREVER;
	if (!user_readable(ts, sizeof *ts))
		return -EFAULT;
	ns = clock_from(ts);
	if (clock == CLOCK_MONOTONIC || ns < 0 || ns == FOREVER)
		return ns;
	ns -= clock_ns(clock);
	return ns > 0 ? clock_deadline(ns) : 0;
}

static int64_t relative(const struct __kernel_timespec *ts)
{
	return user_deadline(ts);
}

static bool bad_address(const uint32_t *addr)
{
	return (uintptr_t)addr & 3 || (uintptr_t)addr < 65536;
}

static long lock_pi(struct task *t, uint32_t *addr, int64_t deadline)
{
	bool waited = false;

	for (;;) {
		uint32_t word = load_seq(addr), owner = word & FUTEX_TID_MASK;

		if (owner == 0) {
			if (cas(addr, word, (word & FUTEX_OWNER_DIED) | t->tid | (waited ? FUTEX_WAITERS : 0)))
				return 0;
			continue;
		}
		if (owner == t->tid)
			return -EDEADLK;
		if (!(word & FUTEX_WAITERS) && !cas(addr, word, word | FUTEX_WAITERS))
			continue;
		long r = futex_wait(t, NULL, addr, word | FUTEX_WAITERS, ~0u, deadline);

		waited = true;
		if (r == -ETIMEDOUT)
			return r;
		if (r == -EINTR)
			return -ERESTARTSYS;
	}
}

static long trylock_pi(struct task *t, uint32_t *addr)
{
	uint32_t word = load_seq(addr);

	if ((word & FUTEX_TID_MASK) == t->tid)
		return -EDEADLK;
	return !(word & FUTEX_TID_MASK) && cas(addr, word, (word & FUTEX_OWNER_DIED) | t->tid) ? 0 : -EAGAIN;
}

static long unlock_pi(struct task *t, uint32_t *addr)
{
	if ((load_seq(addr) & FUTEX_TID_MASK) != t->tid)
		return -EPERM;
	store_seq(addr, 0);
	futex_wake(sched_hub(t), addr, 1, ~0u);
	return 0;
}

static long wait(struct task *t, struct futex_foreign *foreign, struct arch_frame *f, uint32_t bits, int64_t deadline)
{
	long r;

	if (deadline < 0)
		return deadline;
	if (!bits)
		return -EINVAL;
	r = futex_wait(t, foreign, (uint32_t *)ARG1(f), (uint32_t)ARG3(f), bits, deadline);
	/* A wait with a time-out is not restarted behind a handler. */
	return r == -EINTR && deadline == FOREVER ? -ERESTARTSYS : r;
}

static long operate(struct task *t, struct futex_foreign *foreign, struct arch_frame *f)
{
	uint32_t *addr = (uint32_t *)ARG1(f), val = (uint32_t)ARG3(f), expected = (uint32_t)ARG6(f);
	int op = (int)ARG2(f), clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	struct __kernel_timespec *ts = (void *)ARG4(f);
	struct hub *me = t ? sched_hub(t) : NULL;

	if (op & FUTEX_CLOCK_REALTIME && (op & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	if (((op & FUTEX_CMD_MASK) == FUTEX_REQUEUE || (op & FUTEX_CMD_MASK) == FUTEX_CMP_REQUEUE) &&
	    ((int)val < 0 || (int)ARG4(f) < 0))
		return -EINVAL;
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return wait(t, foreign, f, ~0u, relative(ts));
	case FUTEX_WAIT_BITSET:
		return wait(t, foreign, f, expected, absolute(ts, clock));
	case FUTEX_WAKE:
		return futex_wake(me, addr, (int)val, ~0u);
	case FUTEX_WAKE_BITSET:
		return expected ? futex_wake(me, addr, (int)val, expected) : -EINVAL;
	case FUTEX_REQUEUE:
		return futex_requeue(me, addr, (int)val, (uint32_t *)ARG5(f), (int)ARG4(f), NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(me, addr, (int)val, (uint32_t *)ARG5(f), (int)ARG4(f), &expected);
	case FUTEX_WAKE_OP:
		return futex_wake_op(me, addr, (int)val, (uint32_t *)ARG5(f), (int)ARG4(f), expected);
	default:
		return GATE_NATIVE;
	}
}

static bool is_pi(int cmd)
{
	return cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_TRYLOCK_PI || cmd == FUTEX_UNLOCK_PI;
}

static long operate_pi(struct task *t, struct arch_frame *f, int op)
{
	uint32_t *addr = (uint32_t *)ARG1(f);
	int cmd = op & FUTEX_CMD_MASK;
	int64_t deadline;

	if (cmd == FUTEX_TRYLOCK_PI)
		return trylock_pi(t, addr);
	if (cmd == FUTEX_UNLOCK_PI)
		return unlock_pi(t, addr);
	deadline = absolute((void *)ARG4(f), cmd == FUTEX_LOCK_PI || op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC);
	return deadline < 0 ? deadline : lock_pi(t, addr, deadline);
}

bool futexcall_unseen;

/* The waiters that our table does not have. */
static long wake_kernel(struct arch_frame *f, long woken)
{
	int cmd = (int)ARG2(f) & FUTEX_CMD_MASK, most = (int)ARG3(f);

	if ((cmd != FUTEX_WAKE && cmd != FUTEX_WAKE_BITSET) || woken < 0 || woken >= most)
		return woken;
	long more = sys_futex((void *)ARG1(f), (int)ARG2(f), (uint32_t)(most - woken), NULL, NULL, (uint32_t)ARG6(f));

	return more > 0 ? woken + more : woken;
}

/* A waiter is in the kernel where the call that it makes could not be redirected. */
static long operate_everywhere(struct task *t, struct arch_frame *f)
{
	long r = operate(t, NULL, f);

	return unlikely(futexcall_unseen || load_relaxed(&shared_guessed)) ? wake_kernel(f, r) : r;
}

long futexcall_futex(struct task *t, struct arch_frame *f)
{
	int op = (int)ARG2(f), cmd = op & FUTEX_CMD_MASK;
	uint32_t *addr = (uint32_t *)ARG1(f);

	if (bad_address(addr))
		return GATE_NATIVE;
	if (is_pi(cmd))
		return operate_pi(t, f, op);
	if (!(op & FUTEX_PRIVATE_FLAG) && shared_memory(addr)) {
		STAT_ADD(sched_hub(t), futex_native, 1);
		return GATE_NATIVE;
	}
	return operate_everywhere(t, f);
}

long futexcall_foreign(struct arch_frame *f)
{
	int op = (int)ARG2(f), cmd = op & FUTEX_CMD_MASK;
	uint32_t *addr = (uint32_t *)ARG1(f);
	struct futex_foreign *foreign;
	long r;

	if (bad_address(addr) || is_pi(cmd))
		return GATE_NATIVE;
	if (!(op & FUTEX_PRIVATE_FLAG) && shared_memory(addr))
		return GATE_NATIVE;
	if (cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET)
		return operate_everywhere(NULL, f);
	foreign = mem_get(sizeof *foreign);	/* never unmapped: a late waker may still look at it */
	if (!foreign)
		return GATE_NATIVE;
	r = operate(NULL, foreign, f);
	mem_put(foreign, sizeof *foreign);
	return r == -ERESTARTSYS ? -EINTR : r;
}
