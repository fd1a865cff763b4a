/* threadtimer.c -- timers that signal one thread */
#include "threadtimer.h"
#include "mem.h"
#include "pages.h"
#include "user.h"

#define FIRST  64u	/* records of the first block; each further block doubles their number */
#define BLOCKS 20	/* 67 million records: more than the kernel has timers for one process */

enum state {
	FREE,
	IDLE,
	FIRED,		/* the kernel's signal came */
	DUE,		/* its task has been told */
};

/* A record keeps its place: the kernel may still hold a signal that names it, by its index. */
struct timer {
	uint32_t state;		/* atomic, enum state */
	uint32_t tid;
	int sig, id;		/* id: the kernel's, atomic */
	int overrun, taken;	/* expirations not taken, atomic; what the last signal taken told of them */
	uint32_t next;		/* of one that is free: the next free one's index, and one; 0: none */
	union sigval value;
};

static struct timer *blocks[BLOCKS] ANEW;	/* atomic pointers, written under lock; never freed */
static struct lock lock ANEW;	/* of the free ones */
static uint32_t free_first ANEW;	/* as a record's next */
static uint32_t used ANEW;	/* atomic, only grows: records from here on were never used */
static uint32_t fired ANEW;	/* atomic: some have */

static unsigned block_of(uint32_t i)
{
	return 31 - (unsigned)__builtin_clz(i / FIRST + 1);
}

/* How many records stand in the blocks before this one. */
static uint32_t before(unsigned block)
{
	return FIRST * ((1u << block) - 1);
}

/* Of a record that is or was used. */
static struct timer *timer_at(uint32_t i)
{
	unsigned b = block_of(i);

	return load_acquire(&blocks[b]) + (i - before(b));
}

/* Under the lock: a record that was never used; NULL: no memory. */
static struct timer *timer_fresh(uint32_t *index)
{
	unsigned b = block_of(used);

	if (b == BLOCKS)
		return NULL;
	if (!blocks[b])
		store_release(&blocks[b], mem_get_anew((FIRST << b) * sizeof(struct timer)));
	if (!blocks[b])
		return NULL;
	*index = used;
	store_release(&used, used + 1);
	return timer_at(*index);
}

static struct timer *timer_get(uint32_t *index)
{
	struct timer *r;

	lock_take(&lock);
	if (free_first) {
		*index = free_first - 1;
		r = timer_at(*index);
		free_first = r->next;
	} else {
		r = timer_fresh(index);
	}
	if (r) {
		store_relaxed(&r->id, -1);
		r->overrun = r->taken = 0;
		store_release(&r->state, IDLE);
	}
	lock_drop(&lock);
	return r;
}

static void timer_put(struct timer *r, uint32_t index)
{
	lock_take(&lock);
	store_release(&r->state, FREE);
	r->next = free_first;
	free_first = index + 1;
	lock_drop(&lock);
}

static struct timer *timer_find(int id, uint32_t *index)
{
	for (uint32_t i = 0; i < load_acquire(&used); i++) {
		struct timer *r = timer_at(i);

		if (load_relaxed(&r->state) != FREE && load_relaxed(&r->id) == id) {
			*index = i;
			return r;
		}
	}
	return NULL;
}

static bool is_task(uint32_t tid)
{
	lock_take(&task_lock);
	bool found = task_by_tid(tid) != NULL;

	lock_drop(&task_lock);
	return found;
}

long threadtimer_create(struct task *t, struct arch_frame *f)
{
	struct sigevent ev;
	uint32_t index;
	int id;

	if (!ARG2(f) || user_copy(t, &ev, (void *)ARG2(f), sizeof ev) < 0 || ev.sigev_notify != SIGEV_THREAD_ID ||
	    ev.sigev_signo < 1 || ev.sigev_signo >= _NSIG || !is_task((uint32_t)ev._sigev_un._tid))
		return GATE_NATIVE;
	struct timer *r = timer_get(&index);

	if (!r)
		return -EAGAIN;
	struct sigevent ours = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = CARRIER_SIGNAL, .sigev_value.sival_ptr = (void *)(uintptr_t)index};

	r->tid = (uint32_t)ev._sigev_un._tid;
	r->sig = ev.sigev_signo;
	r->value = ev.sigev_value;
	long result = SYS(f->nr, ARG1(f), &ours, &id);

	if (result == 0 && user_copy(t, (void *)ARG3(f), &id, sizeof id) < 0) {
		SYS(__NR_timer_delete, id);
		result = -EFAULT;
	}
	if (result == 0)
		store_release(&r->id, id);
	else
		timer_put(r, index);
	return result;
}

long threadtimer_delete(struct task *t, struct arch_frame *f)
{
	uint32_t index;
	struct timer *r = timer_find((int)ARG1(f), &index);
	long result = r ? SYS(f->nr, ARG1(f)) : GATE_NATIVE;

	if (result == 0)
		timer_put(r, index);
	return result;
}

long threadtimer_getoverrun(struct task *t, struct arch_frame *f)
{
	uint32_t index;
	struct timer *r = timer_find((int)ARG1(f), &index);

	return r ? r->taken : GATE_NATIVE;
}

bool threadtimer_fired(const siginfo_t *info)
{
	uintptr_t index = (uintptr_t)info->si_value.sival_ptr;

	if (info->si_code != SI_TIMER || index >= load_acquire(&used))
		return false;
	struct timer *r = timer_at((uint32_t)index);

	if (load_acquire(&r->id) != info->si_timerid)
		return false;
	add_relaxed(&r->overrun, info->si_overrun + 1);
	if (!cas(&r->state, IDLE, FIRED))
		cas(&r->state, DUE, FIRED);
	store_seq(&fired, 1);
	return true;
}

bool threadtimer_waits(void)
{
	return load_seq(&fired);
}

struct task *threadtimer_due(int *sig)
{
	if (likely(!load_relaxed(&fired)))
		return NULL;
	store_seq(&fired, 0);
	for (uint32_t i = 0; i < load_acquire(&used); i++) {
		struct timer *r = timer_at(i);

		if (load_relaxed(&r->state) != FIRED || !cas(&r->state, FIRED, DUE))
			continue;
		struct task *t = task_by_tid(r->tid);

		*sig = r->sig;
		store_seq(&fired, 1);	/* there may be more */
		if (t)
			return t;
	}
	return NULL;
}

/* Others of the same signal that are due keep it pending. */
bool threadtimer_information(struct task *t, int sig, siginfo_t *info)
{
	bool found = false;

	for (uint32_t i = 0; i < load_acquire(&used); i++) {
		struct timer *r = timer_at(i);
		uint32_t state = load_relaxed(&r->state);

		if (state < FIRED || r->tid != t->tid || r->sig != sig)
			continue;
		if (found) {
			__atomic_fetch_or(&t->sigpending, signal_bit(sig), __ATOMIC_SEQ_CST);
			store_seq(&t->attention, 1);
			break;
		}
		if (!cas(&r->state, state, IDLE) && !cas(&r->state, FIRED, IDLE))	/* it may fire again just now */
			continue;
		found = true;
		r->taken = exchange(&r->overrun, 0) - 1;
		info->si_signo = sig;
		info->si_code = SI_TIMER;
		info->si_timerid = r->id;
		info->si_overrun = r->taken;
		info->si_value = r->value;
	}
	return found;
}
