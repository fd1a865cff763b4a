/* ready.c -- making tasks run again */
#include "ready.h"

#define WARM 832	/* bytes from the saved stack pointer to the frame that made the call */

/* It runs soon, and its memory has gone cold: parked frames, and what libc looks at on the way out of a call. By loads whose
 * values nobody needs, which the processor overlaps: prefetches were measured to be dropped by the dozen. */
static inline void warm(const struct task *t)
{
	const volatile char *sp = t->sp, *fs = (const volatile char *)t->fs;
	uintptr_t up = (uintptr_t)sp - t->stack_lo, n = WARM + t->reach;

	if (unlikely(up >= t->stack_size || !fs))
		return;		/* a coroutine's stack: who knows where that ends */
	if (n > t->stack_size - up)
		n = t->stack_size - up;
	const volatile char *end = sp + n;

	for (; sp + 192 < end; sp += 256)
		(void)sp[0], (void)sp[64], (void)sp[128], (void)sp[192];
	for (; sp < end; sp += 64)
		(void)sp[0];
	(void)fs[0];
	(void)fs[0x80];
	(void)fs[0x300];
}

void ready_put(struct hub *me, struct task *t)
{
	struct hub *h = t->hub, *idle;

	warm(t);
	t->park = PARK_READY;
	if (h == me && !h->queued) {
		hub_enqueue(h, t);
		return;
	}
	/* Its own hub has something else to run: one that sleeps takes it. */
	if ((h == me || !hub_asleep(h)) && (idle = hub_idle_other(h))) {
		t->hub = idle;
		h = idle;
	}
	if (h == me)
		hub_enqueue(h, t);
	else
		hub_push(h, t);
}

bool ready_wake(struct hub *me, struct task *t, enum wake why)
{
	uint32_t armed = load_relaxed(&t->wake);

	if (armed != WAKE_ARMED && (armed != WAKE_HELD || why == WAKE_SIGNAL))
		return false;
	struct carrier *own = unlikely(t->bound) ? t->carrier : NULL;	/* read before it is claimed: it may end at once then */

	if (!cas(&t->wake, armed, why))
		return false;
	if (!me)
		stat_shared(wakes_remote, 1);
	else if (t->hub == me)
		STAT_ADD(me, wakes, 1);
	else
		STAT_ADD(me, wakes_remote, 1);
	if (unlikely(own != NULL))
		carrier_wake(own);
	else
		ready_put(me, t);
	return true;
}
