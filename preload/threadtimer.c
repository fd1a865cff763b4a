/* threadtimer.c -- timers that signal one thread */
#include "threadtimer.h"
#include "monitor.h"
#include "pages.h"
#include "user.h"

#define MOST 4096

enum state {
	FREE,
	IDLE,
	FIRED,		/* the kernel's signal came */
	DUE,		/* its task has been told */
};

/* A record keeps its place: the kernel may still hold a signal that names it. */
static struct timer {
	uint32_t state;		/* atomic, enum state */
	uint32_t tid;
	int sig, id;		/* id: the kernel's, atomic */
	int overrun, taken;	/* expirations not taken, atomic; what the last signal taken told of them */
	union sigval value;
} timers[MOST] SPARSE;
static struct lock lock;	/* of the free ones */
static uint32_t used;		/* atomic, only grows: records from here on were never used */
static uint32_t fired;		/* atomic: some have */

static struct timer *timer_get(void)
{
	struct timer *found = NULL;

	lock_take(&lock);
	for (uint32_t i = 0; i < MOST && !found; i++)
		if (timers[i].state == FREE) {
			found = &timers[i];
			found->state = IDLE;
			found->id = -1;
			found->overrun = found->taken = 0;
			if (i >= used)
				store_release(&used, i + 1);
		}
	lock_drop(&lock);
	return found;
}

static struct timer *timer_find(int id)
{
	for (uint32_t i = 0; i < load_acquire(&used); i++)
		if (load_relaxed(&timers[i].state) != FREE && load_relaxed(&timers[i].id) == id)
			return &timers[i];
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
	int id;

	if (!ARG2(f) || user_copy(t, &ev, (void *)ARG2(f), sizeof ev) < 0 || ev.sigev_notify != SIGEV_THREAD_ID ||
	    ev.sigev_signo < 1 || ev.sigev_signo >= _NSIG || !is_task((uint32_t)ev._sigev_un._tid))
		return GATE_NATIVE;
	struct timer *r = timer_get();

	if (!r)
		return -EAGAIN;
	struct sigevent ours = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = CARRIER_SIGNAL, .sigev_value.sival_ptr = r};

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
		store_release(&r->state, FREE);
	return result;
}

long threadtimer_delete(struct task *t, struct arch_frame *f)
{
	struct timer *r = timer_find((int)ARG1(f));
	long result = r ? SYS(f->nr, ARG1(f)) : GATE_NATIVE;

	if (result == 0)
		store_release(&r->state, FREE);
	return result;
}

long threadtimer_getoverrun(struct task *t, struct arch_frame *f)
{
	struct timer *r = timer_find((int)ARG1(f));

	return r ? r->taken : GATE_NATIVE;
}

bool threadtimer_fired(const siginfo_t *info)
{
	uintptr_t at = (uintptr_t)info->si_value.sival_ptr - (uintptr_t)timers;
	struct timer *r = info->si_value.sival_ptr;

	if (info->si_code != SI_TIMER || at >= sizeof timers || at % sizeof *timers || load_acquire(&r->id) != info->si_timerid)
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
		struct timer *r = &timers[i];

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
		struct timer *r = &timers[i];
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
	memset(timers, 0, used * sizeof *timers);
	used = fired = 0;
	lock.held = 0;
}
