/* poll.c -- what a hub does between tasks: timers, events, sleep */
#include <poll.h>
#include "poll.h"
#include "clock.h"
#include "mem.h"
#include "pages.h"
#include "sys.h"
#include "timer.h"

/* A hub takes few events at a time: the rest stays in the kernel's list, in order, until the tasks of these have run, so that
 * what a wake fetched into the cache is still there when its task's turn comes. */
#define EVENTS 64
#define LEAST  8
#define FIRST	  64			/* entries of a list */
#define LONG_S	  (1ll << 30)		/* as good as for ever */
#define NAP_NS	  2000000ll		/* between two looks where a list cannot be waited for */
#define NO_LIST	  (-EINVAL)

void (*poll_each)(struct hub *, poll_visit *);

struct list {
	unsigned room, n;
	struct pollfd fds[];	/* `room' of them, and as many words of data behind */
};

static struct list *lists[HUB_MOST] ANEW;	/* each its hub's */

static uint64_t *data_of(struct list *l)
{
	return (uint64_t *)(l->fds + l->room);
}

static size_t bytes_of(unsigned room)
{
	return sizeof(struct list) + room * (sizeof(struct pollfd) + sizeof(uint64_t));
}

/* The hub's list with room for one more; NULL when there is no memory. */
static struct list *with_room(struct hub *h)
{
	struct list *l = lists[h->index], *larger;
	unsigned room = l ? 2 * l->room : FIRST;

	if (l && l->n < l->room)
		return l;
	larger = mem_get_anew(bytes_of(room));
	if (!larger)
		return NULL;
	larger->room = room;
	if (l) {
		larger->n = l->n;
		memcpy(larger->fds, l->fds, l->n * sizeof l->fds[0]);
		memcpy(data_of(larger), data_of(l), l->n * sizeof(uint64_t));
	}
	lists[h->index] = larger;
	if (l)
		mem_put(l, bytes_of(l->room));
	return larger;
}

static void list_add(struct hub *h, int number, uint32_t events, uint64_t data)
{
	struct list *l = with_room(h);

	h->unlisted |= !l;
	if (!l)
		return;
	l->fds[l->n] = (struct pollfd){.fd = number, .events = (short)events};
	data_of(l)[l->n++] = data;
}

/* False: there is no memory for all of it. */
static bool list_make(struct hub *h)
{
	if (lists[h->index])
		lists[h->index]->n = 0;
	h->unlisted = false;
	if (poll_each)
		poll_each(h, list_add);
	return !h->unlisted;
}

static void report_one(struct hub *h, uint64_t data, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	hub_on_events(h, &ev, 1);
}

static void list_report(struct hub *h, long ready)
{
	for (unsigned i = 0; ready > 0 && i < lists[h->index]->n; i++) {
		struct list *l = lists[h->index];
		uint32_t events = (uint16_t)l->fds[i].revents;

		if (!events)
			continue;
		ready--;
		report_one(h, data_of(l)[i], events & POLLNVAL ? events | EPOLLERR : events);
	}
}

/* Nobody can tell for them: let them look themselves. */
static void report_each(struct hub *h, int number, uint32_t events, uint64_t data)
{
	report_one(h, data, events | EPOLLERR);
}

static void report_list(struct hub *h, long n)
{
	if (n != NO_LIST)
		list_report(h, n);
	else if (poll_each)
		poll_each(h, report_each);
}

/* From here on a kick ends the wait. False: something has come already. */
static bool lie_down(struct hub *h)
{
	__atomic_fetch_or(&h->sleeping, HUB_ASLEEP, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&hubs_sleeping, 1ull << h->index, __ATOMIC_SEQ_CST);
	return !load_seq(&h->inbox) && !hub_signals_due();
}

static void get_up(struct hub *h)
{
	__atomic_fetch_and(&hubs_sleeping, ~(1ull << h->index), __ATOMIC_SEQ_CST);
	if (hub_asleep(h))
		__atomic_fetch_and(&h->sleeping, ~HUB_ASLEEP, __ATOMIC_SEQ_CST);
}

/* How long until the first deadline? */
static struct __kernel_timespec time_left(struct hub *h)
{
	int64_t first = load_relaxed(&h->timer_first), left;

	if (first == FOREVER)
		return (struct __kernel_timespec){LONG_S, 0};
	left = first - clock_now();
	return left > 0 ? (struct __kernel_timespec){left / NSEC, left % NSEC} : (struct __kernel_timespec){0, 0};
}

static long wait_set(struct hub *h, int set, struct epoll_event *ev, bool wait)
{
	uint32_t room = h->queued < EVENTS - LEAST ? EVENTS - h->queued : LEAST;
	struct __kernel_timespec ts = {0, 0}, *until = &ts;

	if (wait) {
		ts = time_left(h);
		if (ts.tv_sec == LONG_S)
			until = NULL;
		if (!lie_down(h))
			ts = (struct __kernel_timespec){0, 0}, until = &ts;
	}
	long n = SYS(__NR_epoll_pwait2, set, ev, room, until, NULL, UAPI_SIGSET_SIZE);

	if (wait)
		get_up(h);
	return n;
}

/* Ask the epoll set. -EBADF: there is none. */
static long ask_set(struct hub *h, struct epoll_event *ev, bool wait)
{
	store_seq(&h->asking, h->asking + 1);
	int set = load_seq(&h->epfd);
	long n = unlikely(set < 0) ? -EBADF : wait_set(h, set, ev, wait);

	store_release(&h->asking, h->asking + 1);
	if (unlikely(set >= 0 && (n == -EBADF || n == -EINVAL)))
		hub_lost(h, set);
	return n;
}

/* Ask for what is listed. NO_LIST: that cannot be done, and a little time has passed. */
static long ask_list(struct hub *h, bool wait)
{
	uint64_t mask = load_relaxed(&carrier_mask) & ~(1ull << (CARRIER_SIGNAL - 1));

	h->until = wait ? time_left(h) : (struct __kernel_timespec){0, 0};
	barrier();
	if (wait && !lie_down(h))
		poll_cut(h);
	long n = NO_LIST;

	if (list_make(h)) {
		struct list *l = lists[h->index];

		n = SYS(__NR_ppoll, l ? l->fds : NULL, l ? l->n : 0, &h->until, &mask, UAPI_SIGSET_SIZE);
	}
	/* No memory, or a soft limit that has been lowered below what is waited for. */
	if (unlikely(n == -EINVAL || n == -ENOMEM)) {
		if (h->until.tv_sec || h->until.tv_nsec > NAP_NS)
			h->until = (struct __kernel_timespec){0, NAP_NS};
		SYS(__NR_ppoll, NULL, 0, &h->until, &mask, UAPI_SIGSET_SIZE);
		n = NO_LIST;
	}
	if (wait)
		get_up(h);
	return n;
}

void poll_cut(struct hub *h)
{
	store_relaxed(&h->until.tv_sec, 0);
	store_relaxed(&h->until.tv_nsec, 0);
}

long poll_control(struct hub *h, int op, int number, struct epoll_event *ev)
{
	hub_use(h);
	int set = load_seq(&h->epfd);
	long r = set < 0 ? 0 : sys_epoll_ctl(set, op, number, ev);

	hub_unuse(h);
	return r;
}

void poll_joined(struct hub *h)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* who turns to a list sees who joined, or we see that it has none */
	if (load_relaxed(&h->epfd) < 0)
		hub_kick(h);
}

bool poll_due(struct hub *h)
{
	hub_use(h);
	struct pollfd p = {load_seq(&h->epfd), POLLIN, 0};
	bool due = p.fd < 0 || sys_poll(&p, 1) != 0;	/* EINVAL: the soft limit is 0 */

	hub_unuse(h);
	return due;
}

void poll_hub(struct hub *h, bool wait)
{
	struct epoll_event ev[EVENTS];

	stat_settle();
	timer_fire(h);
	hub_collect(h);
	if (h->queued)
		wait = false;
	long n = ask_set(h, ev, wait);
	bool bare = unlikely(n == -EBADF);

	if (bare)
		n = ask_list(h, wait);
	STAT_ADD(h, polls, 1);
	if (unlikely(load_relaxed(&hub_unwatched)))
		hub_on_busy();
	if (unlikely(bare))
		report_list(h, n);
	else if (n > 0 && hub_on_events)
		hub_on_events(h, ev, (unsigned)n);
	if (wait)
		timer_fire(h);
	hub_collect(h);
	if (unlikely(hub_signals_due()) && hub_on_signal)
		hub_on_signal(h);
}
