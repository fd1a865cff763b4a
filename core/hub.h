/* hub.h -- a scheduler: run queue, inbox, timers, one epoll set
 *
 * All scheduler state lives here. The run queue belongs to the carrier that holds the hub; others reach it through the inbox
 * (a stack pushed by anybody, taken whole by the owner) and wake it by its eventfd, once, when it sleeps; by a signal to its
 * carrier when it has no descriptors.
 *
 *	asleep; fence; look at the inbox; wait          the hub
 *	push; fence; if (it was asleep) wake it         the waker
 *
 * Its descriptors may move, or be given to the program (own.h): then it waits without (poll.h). Who uses one counts itself in
 * `sleeping' (hub_use; a kick does it by the atomic that claims the wake) and reads the number then. The hub itself, which may
 * wait long, makes `asking' odd instead: whoever moves them ends its wait.
 *
 * Threads: hub_push, hub_kick, hub_interrupt, hub_use from any, signal handlers too; the rest from the carrier that holds the
 * hub. Errors: -errno.
 */
#ifndef CORE_HUB_H
#define CORE_HUB_H

#include "carrier.h"
#include "heap.h"
#include "stat.h"
#include "task.h"

#define HUB_MOST   STAT_HUBS
#define HUB_OWN	   UINT64_MAX	/* epoll data of its own eventfd */
#define HUB_BUDGET 64		/* tasks run between two looks at timers and events */
#define HUB_ASLEEP 1u		/* in hub.sleeping: it waits, or is about to */
#define HUB_USER   2u		/* and so much for each who uses its descriptors */

struct hub {
	struct task *queue, **queue_end;	/* owner */
	struct task *hogs, **hogs_end;	/* owner: preempted tasks; they run when the queue is empty */
	uint32_t queued;		/* owner writes, the monitor and others read */
	uint32_t budget;		/* owner */
	bool look;			/* owner: look at timers and events before the next task */
	bool hurry;			/* atomic: the same, said by the monitor */
	uint32_t turns;			/* owner writes, the monitor reads: bumped at each switch */
	uint32_t index;
	uint64_t *count;		/* its block of counters; owner */
	struct carrier *carrier;	/* atomic: who holds it */
	struct task *inbox;		/* atomic, any */
	uint32_t sleeping;		/* atomic: HUB_ASLEEP, HUB_USER */
	uint32_t asking;		/* owner writes: odd while it asks its epoll set */
	int epfd, evfd;			/* atomic; -1: none */
	bool unlisted;			/* owner: the list it waits for is not whole (poll.c) */
	struct __kernel_timespec until;	/* owner, and the signal handlers of its carrier: time-out of ppoll */
	struct lock timer_lock;
	struct heap timers;		/* under timer_lock, as is the next */
	struct timer_late *late;	/* deadlines that the heap had no memory for */
	int64_t timer_first;		/* atomic copy of its first key */
	uint32_t seen_turns;		/* monitor's */
	uint64_t seen_polls;		/* monitor's */
	int64_t seen_ns;		/* monitor's */
	uint32_t brisk;			/* monitor's: looks on end between which many tasks had their turn */
	uint32_t still;			/* monitor's: looks at which its carrier had not run */
} __attribute__((aligned(64)));

extern struct hub hubs[HUB_MOST];	/* these are anew in the child of a fork */
extern uint32_t hubs_running;	/* atomic; hubs[0 .. this) have carriers */
extern uint64_t hubs_sleeping;	/* atomic: one bit a hub */
extern uint32_t hubs_wanted;

/* hub_init -- set up hubs[i], the next one, with descriptors of its own. -errno: it has none, and works all the same. */
int hub_init(unsigned i);
void hub_close(struct hub *h);	/* it will not run */

void hub_push(struct hub *h, struct task *t);	/* into the inbox; wakes the hub */
void hub_kick(struct hub *h);			/* only wake it */
void hub_interrupt(struct hub *h);		/* end its wait even if that begins only now; for signal handlers */

/* hub_walk -- are there as many tasks in its queues as it says? By the owner. */
void hub_walk(const struct hub *h);

/* hub_collect -- move the inbox into the run queue. */
void hub_collect(struct hub *h);

/* Takes what epoll reported, HUB_OWN's among it; set by the layer that registers the program's descriptors. */
extern void (*hub_on_events)(struct hub *h, const struct epoll_event *ev, unsigned n);

/* Called by the loop before it sleeps or after a signal interrupted its sleep. */
extern void (*hub_on_signal)(struct hub *h);

/* Signals of the program wait for somebody to deliver them. */
extern uint32_t hub_signals;	/* atomic */
static inline bool hub_signals_due(void)
{
	return load_relaxed(&hub_signals) != 0;
}

/* The monitor has lain down: whoever becomes busy wakes it. */
extern uint32_t hub_unwatched;	/* atomic */
extern void (*hub_on_busy)(void);

static inline bool hub_asleep(const struct hub *h)
{
	return load_relaxed(&h->sleeping) & HUB_ASLEEP;
}

/* Around each use of epfd or evfd, which are read in between. */
static inline void hub_use(struct hub *h)
{
	__atomic_add_fetch(&h->sleeping, HUB_USER, __ATOMIC_SEQ_CST);
}

static inline void hub_unuse(struct hub *h)
{
	__atomic_sub_fetch(&h->sleeping, HUB_USER, __ATOMIC_RELEASE);
}

/* hub_lost -- the set has this number, and it is not ours any more: text that we do not see has closed it. */
void hub_lost(struct hub *h, int set);

static inline void hub_enqueue_hog(struct hub *h, struct task *t)
{
	t->next = NULL;
	*h->hogs_end = t;
	h->hogs_end = &t->next;
	store_relaxed(&h->queued, h->queued + 1);
}

/* Who was preempted lately stands behind those who leave by themselves, also when it is woken: else a thread that computes
 * takes a lock that is handed round (Python's) from under the noses of those who have waited for it. */
static inline void hub_enqueue(struct hub *h, struct task *t)
{
	if (unlikely(t->hog)) {
		t->hog--;
		hub_enqueue_hog(h, t);
		return;
	}
	t->next = NULL;
	*h->queue_end = t;
	h->queue_end = &t->next;
	store_relaxed(&h->queued, h->queued + 1);
}

/* hub_promote_hog -- the preempted task that waits longest goes to the front of the queue. */
static inline void hub_promote_hog(struct hub *h)
{
	struct task *t = h->hogs;

	if (!t)
		return;
	h->hogs = t->next;
	if (!h->hogs)
		h->hogs_end = &h->hogs;
	t->next = h->queue;
	if (!h->queue)
		h->queue_end = &t->next;
	h->queue = t;
}

static inline struct task *hub_dequeue(struct hub *h)
{
	struct task *t = h->queue;

	if (t) {
		h->queue = t->next;
		if (!h->queue)
			h->queue_end = &h->queue;
		store_relaxed(&h->queued, h->queued - 1);
	}
	return t;
}

/* hub_idle_other -- a sleeping hub that is not `h', or NULL. */
static inline struct hub *hub_idle_other(const struct hub *h)
{
	uint64_t idle = load_relaxed(&hubs_sleeping) & ~(1ull << h->index);

	return idle ? &hubs[__builtin_ctzll(idle)] : NULL;
}

#endif
