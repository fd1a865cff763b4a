/* futexcall.c -- the futex system call, on tasks and on foreign threads
 *
 * Operations are ours on all memory but what other processes may share; there they are the kernel's, and a waiter blocks its
 * carrier, which is handed on.
 *
 * Priority inheritance: owner words hold task ids that the kernel does not know, so these are ours too: first come first
 * served, without inheriting, since tasks have no priorities. Who acquires after a wait leaves FUTEX_WAITERS set.
 */
#include "thread/futexcall.h"
#include "clock.h"
#include "futex.h"
#include "mem.h"
#include "process/shared.h"
#include "gate/user.h"

/* An absolute deadline on `clock', as ours. */
static int64_t absolute(struct task *t, const struct __kernel_timespec *ts, int clock)
{
	int64_t ns;

	if (!ts)
		return FOREVER;
	ns = user_duration(t, ts);
	if (clock == CLOCK_MONOTONIC || ns < 0 || ns == FOREVER)
		return ns;
	ns -= clock_ns(clock);
	return ns > 0 ? clock_deadline(ns) : 0;
}

static bool bad_address(const uint32_t *addr)
{
	return (uintptr_t)addr & 3 || (uintptr_t)addr < 65536;
}

static long lock_pi(struct task *t, uint32_t *addr, int64_t deadline)
{
	bool waited = false;
	uint32_t word;

	for (;;) {
		long r = user_load(t, addr, &word);
		uint32_t owner = word & FUTEX_TID_MASK, was = word;

		if (r < 0)
			return r;
		if (owner == 0) {
			r = user_cas(t, addr, &was, (word & FUTEX_OWNER_DIED) | t->tid | (waited ? FUTEX_WAITERS : 0));
			if (r < 0 || was == word)
				return r;
			continue;
		}
		if (owner == t->tid)
			return -EDEADLK;
		if (!(word & FUTEX_WAITERS) && ((r = user_cas(t, addr, &was, word | FUTEX_WAITERS)) < 0 || was != word)) {
			if (r < 0)
				return r;
			continue;
		}
		r = futex_wait(t, NULL, addr, word | FUTEX_WAITERS, ~0u, deadline);

		waited = true;
		if (r == -ETIMEDOUT || r == -EFAULT)
			return r;
		if (r == -EINTR)
			return -ERESTARTSYS;
	}
}

static long trylock_pi(struct task *t, uint32_t *addr)
{
	uint32_t word, was;
	long r = user_load(t, addr, &word);

	if (r < 0)
		return r;
	if ((word & FUTEX_TID_MASK) == t->tid)
		return -EDEADLK;
	was = word;
	if (!(word & FUTEX_TID_MASK))
		r = user_cas(t, addr, &was, (word & FUTEX_OWNER_DIED) | t->tid);
	return r < 0 ? r : !(word & FUTEX_TID_MASK) && was == word ? 0 : -EAGAIN;
}

static long unlock_pi(struct task *t, uint32_t *addr)
{
	uint32_t word;
	long r = user_load(t, addr, &word);

	if (r < 0)
		return r;
	if ((word & FUTEX_TID_MASK) != t->tid)
		return -EPERM;
	for (uint32_t was = word; (r = user_cas(t, addr, &was, 0)) == 0 && was != word;)
		word = was;	/* another has come to wait */
	if (r < 0)
		return r;
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

/* What is looked at under a lock is asked for before, when the page can still be waited for. */
static __attribute__((noinline)) long operate_on_two(struct task *t, struct arch_frame *f, int cmd)
{
	uint32_t *addr = (uint32_t *)ARG1(f), *addr2 = (uint32_t *)ARG5(f), encoded = (uint32_t)ARG6(f), word;
	int most = (int)ARG3(f), most2 = (int)ARG4(f);

	if (cmd != FUTEX_WAKE_OP && (most < 0 || most2 < 0))
		return -EINVAL;
	if (cmd != FUTEX_REQUEUE && user_load(t, cmd == FUTEX_WAKE_OP ? addr2 : addr, &word) < 0)
		return -EFAULT;
	struct hub *me = t ? sched_hub(t) : NULL;

	if (cmd == FUTEX_WAKE_OP)
		return futex_wake_op(me, addr, most, addr2, most2, encoded);
	return futex_requeue(me, addr, most, addr2, most2, cmd == FUTEX_CMP_REQUEUE ? &encoded : NULL);
}

static long operate(struct task *t, struct futex_foreign *foreign, struct arch_frame *f)
{
	uint32_t *addr = (uint32_t *)ARG1(f), val = (uint32_t)ARG3(f), expected = (uint32_t)ARG6(f);
	int op = (int)ARG2(f), clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	struct __kernel_timespec *ts = (void *)ARG4(f);

	if (op & FUTEX_CLOCK_REALTIME && (op & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return wait(t, foreign, f, ~0u, user_deadline(t, ts));
	case FUTEX_WAIT_BITSET:
		return wait(t, foreign, f, expected, absolute(t, ts, clock));
	case FUTEX_WAKE:
		return futex_wake(t ? sched_hub(t) : NULL, addr, (int)val, ~0u);
	case FUTEX_WAKE_BITSET:
		return expected ? futex_wake(t ? sched_hub(t) : NULL, addr, (int)val, expected) : -EINVAL;
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		return operate_on_two(t, f, op & FUTEX_CMD_MASK);
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
	deadline = absolute(t, (void *)ARG4(f), cmd == FUTEX_LOCK_PI || op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC);
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
static inline __attribute__((always_inline)) long operate_everywhere(struct task *t, struct arch_frame *f)
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
