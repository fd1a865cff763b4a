/* poll.c -- what a hub does between tasks: timers, events, sleep */
#include "poll.h"
#include "clock.h"
#include "sys.h"
#include "timer.h"

/* A hub takes few events at a time: the rest stays in the kernel's list, in order, until the tasks of these have run, so that
 * what a wake fetched into the cache is still there when its task's turn comes. */
#define EVENTS 64
#define LEAST  8

static long wait_events(struct hub *h, struct epoll_event *ev, bool wait)
{
	uint32_t room = h->queued < EVENTS - LEAST ? EVENTS - h->queued : LEAST;
	struct __kernel_timespec ts = {0, 0}, *until = &ts;
	int64_t first = load_relaxed(&h->timer_first);

	if (wait) {
		int64_t left = first == FOREVER ? 0 : first - clock_now();

		if (first == FOREVER)
			until = NULL;
		else if (left > 0)
			ts = (struct __kernel_timespec){left / NSEC, left % NSEC};
		store_seq(&h->sleeping, 1);
		__atomic_fetch_or(&hubs_sleeping, 1ull << h->index, __ATOMIC_SEQ_CST);
		if (load_seq(&h->inbox) || hub_signals_due())
			ts = (struct __kernel_timespec){0, 0}, until = &ts;
	}
	long n = SYS(__NR_epoll_pwait2, h->epfd, ev, room, until, NULL, 8);

	if (wait) {
		__atomic_fetch_and(&hubs_sleeping, ~(1ull << h->index), __ATOMIC_SEQ_CST);
		store_relaxed(&h->sleeping, 0);
	}
	return n;
}

void poll_hub(struct hub *h, bool wait)
{
	struct epoll_event ev[EVENTS];

	timer_fire(h);
	hub_collect(h);
	if (h->queued)
		wait = false;
	long n = wait_events(h, ev, wait);

	STAT_ADD(h, polls, 1);
	if (unlikely(load_relaxed(&hub_unwatched)))
		hub_on_busy();
	if (n > 0 && hub_on_events)
		hub_on_events(h, ev, (unsigned)n);
	if (wait)
		timer_fire(h);
	hub_collect(h);
	if (unlikely(hub_signals_due()) && hub_on_signal)
		hub_on_signal(h);
}
