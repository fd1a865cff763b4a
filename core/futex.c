/* futex.c -- wait queues keyed by address */
#include "futex.h"
#include "pages.h"
#include "sched.h"
#include "sys.h"

#define BUCKETS 16384u	/* a power of two */

struct waiter {
	struct waiter *next, **prev;	/* in the bucket; prev NULL: not linked. Under the bucket's lock */
	struct bucket *bucket;		/* changes under the locks of both */
	uint32_t *addr;
	uint32_t bits;
	struct task *task;
	struct futex_foreign *foreign;
};

struct bucket {
	struct lock lock;
	struct waiter *first, **end;
};
static struct bucket buckets[BUCKETS] ANEW;	/* pages that no queue has used cost nothing, and none can be missing */

static inline struct bucket *bucket_of(const uint32_t *addr)
{
	uint64_t h = ((uintptr_t)addr >> 2) * 0x9e3779b97f4a7c15ull;

	return &buckets[h >> 50 & (BUCKETS - 1)];
}

/* Each waiter is where its predecessor says, and knows its bucket. */
static void __attribute__((unused)) bucket_walk(const struct bucket *b)
{
	struct waiter *const *at = &b->first;

	for (; *at; at = &(*at)->next)
		INVARIANT((*at)->prev == (struct waiter **)at && (*at)->bucket == b);
	INVARIANT(!b->first || b->end == (struct waiter **)at);
}

static void waiter_link(struct bucket *b, struct waiter *w)
{
	if (!b->first)
		b->end = &b->first;
	w->next = NULL;
	w->prev = b->end;
	w->bucket = b;
	*b->end = w;
	b->end = &w->next;
	WALK(bucket_walk(b));
}

static void waiter_unlink(struct waiter *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		w->bucket->end = w->prev;
	w->prev = NULL;
	WALK(bucket_walk(w->bucket));
}

/* Take the waiter out of whatever bucket it was requeued to. */
static void leave(struct waiter *w)
{
	for (;;) {
		struct bucket *b = load_acquire(&w->bucket);

		lock_take(&b->lock);
		if (b == w->bucket) {
			if (w->prev)
				waiter_unlink(w);
			lock_drop(&b->lock);
			return;
		}
		lock_drop(&b->lock);
	}
}

static long wait_task(struct task *t, struct bucket *b, int64_t deadline_ns, struct waiter *w)
{
	lock_drop(&b->lock);
	STAT_ADD(sched_hub(t), futex_waits, 1);
	enum wake why = sched_park(t, deadline_ns);

	if (why == WAKE_EVENT)
		return 0;	/* the waker unlinked us */
	leave(w);
	return why == WAKE_TIMEOUT ? -ETIMEDOUT : -EINTR;
}

static long wait_foreign(struct futex_foreign *f, struct bucket *b, int64_t deadline_ns, struct waiter *w)
{
	struct __kernel_timespec ts = {deadline_ns / NSEC, deadline_ns % NSEC};
	long r = 0;

	lock_drop(&b->lock);
	while (load_acquire(&f->word) && r != -ETIMEDOUT && r != -EINTR)
		r = sys_futex(&f->word, FUTEX_WAIT_BITSET_PRIVATE, 1, deadline_ns == FOREVER ? NULL : &ts, NULL, ~0u);
	if (!load_acquire(&f->word))
		return 0;
	leave(w);
	return load_acquire(&f->word) ? r : 0;
}

/* A page that another thread has yet to provide is waited for here, where the hub can be handed on, and not under a lock. */
static long look_first(struct task *t, uint32_t *addr, uint32_t expected)
{
	uint32_t value;

	if (likely(t != NULL))
		sched_native_begin(t);
	long r = arch_user_load(addr, &value);

	if (likely(t != NULL))
		sched_native_end(t);
	return r < 0 ? r : value == expected ? 0 : -EAGAIN;
}

long futex_wait(struct task *t, struct futex_foreign *foreign, uint32_t *addr, uint32_t expected, uint32_t bits,
		int64_t deadline_ns)
{
	struct bucket *b = bucket_of(addr);
	uint32_t value;
	long r = look_first(t, addr, expected);

	if (r < 0)
		return r;
	struct waiter w = {.addr = addr, .bits = bits, .task = t, .foreign = foreign};

	if (t)
		sched_arm(t, PARK_FUTEX);
	else
		store_relaxed(&foreign->word, 1);
	lock_take(&b->lock);	/* seen by whoever stores to *addr after our look, as futex_wake does */
	r = arch_user_load(addr, &value);
	if (r < 0 || value != expected) {
		lock_drop(&b->lock);
		if (t && sched_disarm(t) == WAKE_SIGNAL)
			return -EINTR;
		return r < 0 ? r : -EAGAIN;
	}
	waiter_link(b, &w);
	return t ? wait_task(t, b, deadline_ns, &w) : wait_foreign(foreign, b, deadline_ns, &w);
}

/* Claim and wake one; false when its time-out or a signal was faster. */
static bool wake_one(struct hub *me, struct waiter *w)
{
	struct task *t = w->task;
	struct futex_foreign *f = w->foreign;

	waiter_unlink(w);
	if (t)
		return ready_wake(me, t, WAKE_EVENT);
	store_release(&f->word, 0);
	sys_futex(&f->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return true;
}

static long wake_locked(struct hub *me, struct bucket *b, uint32_t *addr, int n, uint32_t bits)
{
	struct waiter *w, *next;
	long woken = 0;

	for (w = b->first; w && woken < n; w = next) {
		next = w->next;
		if (w->addr == addr && (w->bits & bits))
			woken += wake_one(me, w);
	}
	if (me)
		STAT_ADD(me, futex_wakes, woken);
	return woken;
}

long futex_wake(struct hub *me, uint32_t *addr, int n, uint32_t bits)
{
	struct bucket *b = bucket_of(addr);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the caller's store to *addr before our look at the queue */
	if (!load_acquire(&b->lock.held) && !load_relaxed(&b->first))	/* in this order: a waiter links, then unlocks */
		return 0;
	lock_take(&b->lock);
	long woken = wake_locked(me, b, addr, n, bits);

	lock_drop(&b->lock);
	return woken;
}

static void lock_both(struct bucket *a, struct bucket *b)
{
	lock_take(a < b ? &a->lock : &b->lock);
	if (a != b)
		lock_take(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct bucket *a, struct bucket *b)
{
	lock_drop(&a->lock);
	if (a != b)
		lock_drop(&b->lock);
}

long futex_requeue(struct hub *me, uint32_t *addr, int n, uint32_t *addr2, int move, const uint32_t *expected)
{
	struct bucket *a = bucket_of(addr), *b = bucket_of(addr2);
	struct waiter *w, *next;
	long woken, moved = 0;
	uint32_t value;

	lock_both(a, b);
	long r = expected ? arch_user_load(addr, &value) : 0;

	if (r < 0 || (expected && value != *expected)) {
		unlock_both(a, b);
		return r < 0 ? r : -EAGAIN;
	}
	woken = wake_locked(me, a, addr, n, ~0u);
	for (w = a->first; w && moved < move && addr != addr2; w = next) {
		next = w->next;
		if (w->addr != addr)
			continue;
		waiter_unlink(w);
		w->addr = addr2;
		waiter_link(b, w);
		moved++;
	}
	unlock_both(a, b);
	return woken + moved;
}

static uint32_t result_of(uint32_t op, uint32_t old, uint32_t arg)
{
	switch (op) {
	case FUTEX_OP_SET:
		return arg;
	case FUTEX_OP_ADD:
		return old + arg;
	case FUTEX_OP_OR:
		return old | arg;
	case FUTEX_OP_ANDN:
		return old & ~arg;
	default:
		return old ^ arg;
	}
}

static long apply_op(uint32_t *addr, uint32_t op, uint32_t arg, uint32_t *old)
{
	uint32_t was;
	long r = arch_user_load(addr, old);

	do {
		was = *old;
		r = r < 0 ? r : arch_user_cas(addr, old, result_of(op, was, arg));
	} while (r == 0 && *old != was);
	return r;
}

static bool compare_op(int32_t old, uint32_t cmp, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	default:
		return old >= arg;
	}
}

long futex_wake_op(struct hub *me, uint32_t *addr, int n, uint32_t *addr2, int n2, uint32_t encoded)
{
	struct bucket *a = bucket_of(addr), *b = bucket_of(addr2);
	uint32_t op = encoded >> 28 & 7, cmp = encoded >> 24 & 15;
	int32_t oparg = (int32_t)(encoded << 8) >> 20, cmparg = (int32_t)(encoded << 20) >> 20;
	uint32_t old = 0;

	if (encoded >> 28 & FUTEX_OP_OPARG_SHIFT)
		oparg = (int32_t)(1u << (oparg & 31));
	if (op > FUTEX_OP_XOR || cmp > FUTEX_OP_CMP_GE)
		return -ENOSYS;
	lock_both(a, b);
	long woken = apply_op(addr2, op, (uint32_t)oparg, &old);

	if (woken == 0)
		woken = wake_locked(me, a, addr, n, ~0u);
	if (woken >= 0 && compare_op((int32_t)old, cmp, cmparg))
		woken += wake_locked(me, b, addr2, n2, ~0u);
	unlock_both(a, b);
	return woken;
}
