/* hub.c -- a scheduler: run queue, inbox, timers, one epoll set */
#include <fcntl.h>
#include "hub.h"
#include "log.h"
#include "own.h"
#include "pages.h"
#include "sys.h"

struct hub hubs[HUB_MOST] ANEW;
uint32_t hubs_running ANEW, hubs_wanted;
uint64_t hubs_sleeping ANEW;
void (*hub_on_events)(struct hub *, const struct epoll_event *, unsigned);
void (*hub_on_signal)(struct hub *);
uint32_t hub_unwatched ANEW, hub_signals ANEW;
void (*hub_on_busy)(void);

static uint32_t made ANEW;		/* atomic; hubs[0 .. this) may have descriptors */
static bool move(int fd, int least), give(int from, int to);
static const struct own_kind kind = {move, give};

static void close_descriptors(struct hub *h)
{
	int set = exchange(&h->epfd, -1), event = exchange(&h->evfd, -1);

	if (set >= 0)
		own_close(set);
	if (event >= 0)
		own_close(event);
}

static int open_descriptors(struct hub *h)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = HUB_OWN};
	int set = own_add(SYS(__NR_epoll_create1, EPOLL_CLOEXEC)), event, r;

	if (set < 0)
		return set;
	event = own_add(SYS(__NR_eventfd2, 0, O_CLOEXEC | O_NONBLOCK));
	r = event < 0 ? event : (int)sys_epoll_ctl(set, EPOLL_CTL_ADD, event, &ev);
	store_seq(&h->epfd, set);
	store_seq(&h->evfd, event);
	if (r < 0)
		close_descriptors(h);
	return r;
}

void hub_close(struct hub *h)
{
	own_take();
	close_descriptors(h);
	own_release();
}

int hub_init(unsigned i)
{
	struct hub *h = &hubs[i];

	memset(h, 0, sizeof *h);
	h->index = i;
	h->queue_end = &h->queue;
	h->hogs_end = &h->hogs;
	h->budget = HUB_BUDGET;
	h->count = stat_page->count[i];
	h->timer_first = FOREVER;
	h->epfd = h->evfd = -1;
	own_kinds[OWN_HUBS] = &kind;
	own_take();
	store_release(&made, i + 1);
	int r = open_descriptors(h);

	own_release();
	return r;
}

/* By one who is counted as a user. */
static void wake(struct hub *h)
{
	struct carrier *c;
	uint64_t one = 1;
	int fd = load_seq(&h->evfd);

	if (likely(fd >= 0))
		sys_write(fd, &one, sizeof one);
	else if ((c = load_acquire(&h->carrier)))
		carrier_signal(c, CARRIER_KICK);
	hub_unuse(h);
}

void hub_interrupt(struct hub *h)
{
	hub_use(h);
	wake(h);
}

void hub_kick(struct hub *h)
{
	uint32_t was = load_seq(&h->sleeping);

	while (was & HUB_ASLEEP)
		if (__atomic_compare_exchange_n(&h->sleeping, &was, was - HUB_ASLEEP + HUB_USER, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST)) {
			wake(h);
			break;
		}
}

void hub_push(struct hub *h, struct task *t)
{
	struct task *top = load_relaxed(&h->inbox);

	do
		t->next = top;
	while (!__atomic_compare_exchange_n(&h->inbox, &top, t, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	hub_kick(h);
}

void hub_walk(const struct hub *h)
{
	struct task *const lists[] = {h->queue, h->hogs};
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct task *t = lists[i]; t; t = t->next)
			n++;
	INVARIANT(n == h->queued);
}

void hub_collect(struct hub *h)
{
	struct task *t, *next, *first = NULL;

	if (!load_relaxed(&h->inbox))
		return;
	for (t = exchange(&h->inbox, NULL); t; t = next) {	/* it was a stack: reverse it */
		next = t->next;
		t->next = first;
		first = t;
	}
	for (t = first; t; t = next) {
		next = t->next;
		hub_enqueue(h, t);
	}
}

/* New numbers stand in the struct: wait until nobody can use the old ones. `event' still ends the hub's wait. */
static void await_users(struct hub *h, int event)
{
	uint32_t asking = load_seq(&h->asking);
	uint64_t one = 1;

	if (asking & 1)
		sys_write(event, &one, sizeof one);
	for (unsigned n = 0; load_seq(&h->sleeping) >= HUB_USER || (asking & 1 && load_seq(&h->asking) == asking); n++)
		lock_pause(n);
}

static bool move(int fd, int least)
{
	for (uint32_t i = 0; i < made; i++) {
		struct hub *h = &hubs[i];
		int *ours = fd == h->epfd ? &h->epfd : fd == h->evfd ? &h->evfd : NULL, n;

		if (!ours)
			continue;
		n = own_dup(fd, least);
		if (n < 0)
			return false;
		store_seq(ours, n);
		await_users(h, h->evfd);
		own_close(fd);
		return true;
	}
	return false;
}

/* The last hub that is in the way goes without: so the first keeps its descriptors for as long as it can. */
static bool give(int from, int to)
{
	for (uint32_t i = made; i-- > 0;) {
		struct hub *h = &hubs[i];
		int set = h->epfd, event = h->evfd;

		if ((set < from || set >= to) && (event < from || event >= to))
			continue;
		store_seq(&h->epfd, -1);
		store_seq(&h->evfd, -1);
		await_users(h, event);
		own_close(set);
		own_close(event);
		stat_shared(hubs_bare, 1);
		LOG(INFO, "weft: hub %u has given its descriptors to the program\n", i);
		return true;
	}
	return false;
}

void hub_lost(struct hub *h, int set)
{
	own_take();
	if (h->epfd == set) {
		int event = h->evfd;

		store_seq(&h->epfd, -1);
		store_seq(&h->evfd, -1);
		own_disown(set);
		own_disown(event);
		stat_shared(hubs_bare, 1);
	}
	own_release();
}
