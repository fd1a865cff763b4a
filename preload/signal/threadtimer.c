/* threadtimer.c -- timers that signal one thread
 *
 * A record keeps its place, for the kernel may still hold a signal that names it: a signal carries the record's number, and the
 * record says which of the kernel's timers it belongs to now. Records that fired are pushed onto a stack by the signal handler, and
 * popped by whoever hands out signals, who holds task_lock.
 *
 * What may happen in between:
 *  - a timer is deleted while its record is on the stack: the record is free then, and skipped when it is popped; one that is used
 *    again meanwhile is not pushed twice;
 *  - the process forks: the child has no timers, and forgets all records.
 */
#include "signal/threadtimer.h"
#include "mem.h"
#include "monitor.h"
#include "pages.h"
#include "gate/user.h"

#define CHUNK	256u		/* records that are made at a time */
#define CHUNKS	4096u		/* the kernel's own limit, RLIMIT_SIGPENDING, is lower unless it is raised */
#define BUCKETS 1024u

enum state {
	FREE,
	IDLE,
	FIRED,		/* the kernel's signal came */
	DUE,		/* its task has been told */
};

static struct timer {
	uint32_t state;		/* atomic, enum state */
	uint32_t number;	/* its own, from 1 on */
	uint32_t tid;
	int sig, id;		/* id: the kernel's, atomic */
	int overrun, taken;	/* expirations not taken, atomic; what the last signal taken told of them */
	uint32_t chain;		/* lock: the next free record, or the next one of the bucket; 0: none */
	uint32_t below;		/* the next one on the stack; 0: none */
	uint32_t stacked;	/* atomic: it is on the stack */
	union sigval value;
} *chunks[CHUNKS] SPARSE;	/* atomic pointers; never freed */

static struct lock lock;	/* of the free records and the buckets */
static uint32_t free_first;	/* lock */
static uint32_t buckets[BUCKETS] SPARSE;	/* lock: records by the kernel's id */
static uint32_t used;		/* atomic, only grows: records of higher numbers do not exist */
static uint32_t stack;		/* atomic: the record on top; 0: none fired */

static struct timer *record(uint64_t number)
{
	if (number - 1 >= load_acquire(&used))
		return NULL;
	return &load_acquire(&chunks[(number - 1) / CHUNK])[(number - 1) % CHUNK];
}

/* With the lock: a record that never was. NULL: no memory. */
static struct timer *extend(void)
{
	uint32_t n = used;
	struct timer **chunk = n / CHUNK < CHUNKS ? &chunks[n / CHUNK] : NULL;

	if (chunk && !*chunk)
		store_release(chunk, mem_get(CHUNK * sizeof **chunk));
	if (!chunk || !*chunk)
		return NULL;
	(*chunk)[n % CHUNK].number = n + 1;
	store_release(&used, n + 1);
	return &(*chunk)[n % CHUNK];
}

static struct timer *timer_get(void)
{
	struct timer *r;

	lock_take(&lock);
	r = free_first ? record(free_first) : extend();
	if (r) {
		if (free_first)
			free_first = r->chain;
		r->id = -1;
		r->overrun = r->taken = 0;
		store_release(&r->state, IDLE);
	}
	lock_drop(&lock);
	return r;
}

static void timer_put(struct timer *r)
{
	lock_take(&lock);
	store_release(&r->state, FREE);
	r->chain = free_first;
	free_first = r->number;
	lock_drop(&lock);
}

static void timer_name(struct timer *r, int id)
{
	uint32_t *bucket = &buckets[(unsigned)id % BUCKETS];

	lock_take(&lock);
	store_release(&r->id, id);
	r->chain = *bucket;
	*bucket = r->number;
	lock_drop(&lock);
}

/* The link that leads to the record of this id, or to 0. With the lock. */
static uint32_t *link_to(int id)
{
	uint32_t *link = &buckets[(unsigned)id % BUCKETS];

	while (*link && record(*link)->id != id)
		link = &record(*link)->chain;
	return link;
}

static struct timer *timer_find(int id)
{
	lock_take(&lock);
	struct timer *r = record(*link_to(id));

	lock_drop(&lock);
	return r;
}

/* The record of this id has no name any more. NULL: there is none. */
static struct timer *timer_unname(int id)
{
	lock_take(&lock);
	uint32_t *link = link_to(id);
	struct timer *r = record(*link);

	if (r)
		*link = r->chain;
	lock_drop(&lock);
	return r;
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
	int id;

	if (!ARG2(f) || user_copy(t, &ev, (void *)ARG2(f), sizeof ev) < 0 || ev.sigev_notify != SIGEV_THREAD_ID ||
	    ev.sigev_signo < 1 || ev.sigev_signo >= _NSIG || !is_task((uint32_t)ev._sigev_un._tid))
		return GATE_NATIVE;
	struct timer *r = timer_get();

	if (!r)
		return -EAGAIN;
	struct sigevent ours = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = CARRIER_SIGNAL, .sigev_value.sival_ptr = (void *)(uintptr_t)r->number};

	r->tid = (uint32_t)ev._sigev_un._tid;
	r->sig = ev.sigev_signo;
	r->value = ev.sigev_value;
	long result = SYS(f->nr, ARG1(f), &ours, &id);

	if (result == 0 && user_copy(t, (void *)ARG3(f), &id, sizeof id) < 0) {
		SYS(__NR_timer_delete, id);
		result = -EFAULT;
	}
	if (result == 0)
		timer_name(r, id);
	else
		timer_put(r);
	return result;
}

long threadtimer_delete(struct task *t, struct arch_frame *f)
{
	struct timer *r = timer_unname((int)ARG1(f));	/* before the kernel may give the id to another timer */

	if (!r)
		return GATE_NATIVE;
	long result = SYS(f->nr, ARG1(f));

	timer_put(r);
	return result;
}

long threadtimer_getoverrun(struct task *t, struct arch_frame *f)
{
	struct timer *r = timer_find((int)ARG1(f));

	return r ? r->taken : GATE_NATIVE;
}

bool threadtimer_fired(const siginfo_t *info)
{
	struct timer *r = info->si_code == SI_TIMER ? record((uintptr_t)info->si_value.sival_ptr) : NULL;

	if (!r || load_acquire(&r->id) != info->si_timerid)
		return false;
	add_relaxed(&r->overrun, info->si_overrun + 1);
	if ((cas(&r->state, IDLE, FIRED) || cas(&r->state, DUE, FIRED)) && !exchange(&r->stacked, 1))
		do
			r->below = load_seq(&stack);
		while (!cas(&stack, r->below, r->number));
	return true;
}

bool threadtimer_waits(void)
{
	return load_seq(&stack);
}

struct task *threadtimer_due(int *sig)
{
	uint32_t top;

	while (unlikely(top = load_seq(&stack))) {
		struct timer *r = record(top);

		if (!cas(&stack, top, r->below))	/* another one fired */
			continue;
		store_seq(&r->stacked, 0);
		if (!cas(&r->state, FIRED, DUE))
			continue;
		struct task *t = task_by_tid(r->tid);

		*sig = r->sig;
		if (t)
			return t;
	}
	return NULL;
}

/* Others of the same signal that are due keep it pending. */
bool threadtimer_information(struct task *t, int sig, siginfo_t *info)
{
	bool found = false;

	for (uint32_t i = 1; i <= load_acquire(&used); i++) {
		struct timer *r = record(i);
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

void threadtimer_fork(void)
{
	for (uint32_t i = 0; i < used; i += CHUNK)
		memset(chunks[i / CHUNK], 0, CHUNK * sizeof *chunks[0]);
	if (used)
		memset(buckets, 0, sizeof buckets);
	used = stack = free_first = 0;
	lock.held = 0;
}
