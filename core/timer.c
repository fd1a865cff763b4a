/* timer.c -- deadlines of parked tasks */
#include "timer.h"
#include "clock.h"
#include "ready.h"

static void note_first(struct hub *h)
{
	int64_t first = heap_first(&h->timers);

	for (const struct timer_late *l = h->late; unlikely(l != NULL); l = l->next)
		first = l->deadline_ns < first ? l->deadline_ns : first;
	store_relaxed(&h->timer_first, first);
}

static void late_add(struct hub *h, struct timer_late *l)
{
	l->next = h->late;
	if (l->next)
		l->next->prev = &l->next;
	l->prev = &h->late;
	h->late = l;
}

static void late_remove(struct timer_late *l)
{
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->prev = NULL;
}

void timer_add(struct hub *h, struct task *t, int64_t deadline_ns, struct timer_late *late)
{
	late->prev = NULL;
	lock_take(&h->timer_lock);
	t->timer_hub = h;
	if (unlikely(heap_add(&h->timers, deadline_ns, &t->timer) < 0)) {
		late->task = t;
		late->deadline_ns = deadline_ns;
		late_add(h, late);
	}
	note_first(h);
	lock_drop(&h->timer_lock);
}

void timer_cancel(struct task *t, struct timer_late *late)
{
	struct hub *h = t->timer_hub;

	lock_take(&h->timer_lock);
	if (t->timer != HEAP_NONE) {
		heap_remove(&h->timers, &t->timer);
		note_first(h);
	} else if (unlikely(late->prev != NULL)) {
		late_remove(late);
		note_first(h);
	}
	lock_drop(&h->timer_lock);
}

static void late_fire(struct hub *h, int64_t now)
{
	struct timer_late *l, *next;

	for (l = h->late; l; l = next) {
		next = l->next;
		if (l->deadline_ns > now)
			continue;
		struct task *t = l->task;

		late_remove(l);
		STAT_ADD(h, timers, 1);
		ready_wake(h, t, WAKE_TIMEOUT);
	}
}

void timer_fire(struct hub *h)
{
	if (load_relaxed(&h->timer_first) == FOREVER)
		return;
	int64_t now = clock_now();

	if (load_relaxed(&h->timer_first) > now)
		return;
	lock_take(&h->timer_lock);
	while (h->timers.count && h->timers.slots[0].key <= now) {
		struct task *t = container_of(h->timers.slots[0].index, struct task, timer);

		heap_remove(&h->timers, &t->timer);
		STAT_ADD(h, timers, 1);
		ready_wake(h, t, WAKE_TIMEOUT);	/* under the lock: timer_cancel waits until the claim is made */
	}
	late_fire(h, now);
	note_first(h);
	lock_drop(&h->timer_lock);
}
