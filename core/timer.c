/* timer.c -- deadlines of parked tasks */
#include "timer.h"
#include "clock.h"
#include "ready.h"

void timer_add(struct hub *h, struct task *t, int64_t deadline_ns)
{
	lock_take(&h->timer_lock);
	t->timer_hub = h;
	int r = heap_add(&h->timers, deadline_ns, &t->timer);

	store_relaxed(&h->timer_first, heap_first(&h->timers));
	lock_drop(&h->timer_lock);
	if (r < 0)
		ready_wake(h, t, WAKE_TIMEOUT);
}

void timer_cancel(struct task *t)
{
	struct hub *h = t->timer_hub;

	lock_take(&h->timer_lock);
	if (t->timer != HEAP_NONE) {
		heap_remove(&h->timers, &t->timer);
		store_relaxed(&h->timer_first, heap_first(&h->timers));
	}
	lock_drop(&h->timer_lock);
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
	store_relaxed(&h->timer_first, heap_first(&h->timers));
	lock_drop(&h->timer_lock);
}
