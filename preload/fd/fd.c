/* fd.c -- what is remembered of the program's descriptors, and waiting for them */
#include <fcntl.h>
#include <poll.h>
#include "fd/fd.h"
#include "clock.h"
#include "mem.h"
#include "pages.h"

#define AHEAD  8
#define EDGES  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)
#define ENDED  (EPOLLHUP | EPOLLERR)
#define HERE_NS 100000000ll	/* between two looks of a wait in the kernel */
#define NAP_NS	1000000ll

static struct fd *chunks[FD_CHUNKS] SPARSE;	/* atomic pointers; never freed */
static unsigned chunks_end;		/* atomic: none stands there or behind. Written under grow_lock */
static struct lock grow_lock ANEW;
static uint32_t fork_epoch ANEW;	/* atomic */

static struct fd *grow(unsigned number)
{
	lock_take(&grow_lock);
	struct fd *chunk = chunks[number / FD_CHUNK];

	if (!chunk) {
		chunk = mem_get(FD_CHUNK * sizeof *chunk);
		store_release(&chunks[number / FD_CHUNK], chunk);
		if (chunk && number / FD_CHUNK >= chunks_end)
			store_release(&chunks_end, number / FD_CHUNK + 1);
	}
	lock_drop(&grow_lock);
	return chunk ? &chunk[number % FD_CHUNK] : NULL;
}

struct fd *fd_get(int number)
{
	if (unlikely((unsigned)number >= FD_CHUNK * FD_CHUNKS))
		return NULL;
	struct fd *chunk = load_acquire(&chunks[number / FD_CHUNK]);

	return likely(chunk != NULL) ? &chunk[number % FD_CHUNK] : grow((unsigned)number);
}

bool fd_known(unsigned number)
{
	return number < FD_CHUNK * FD_CHUNKS && load_acquire(&chunks[number / FD_CHUNK]);
}

unsigned fd_end(void)
{
	return load_acquire(&chunks_end) * FD_CHUNK;
}

enum fd_kind fd_kind_of(struct fd *e, int number)
{
	enum fd_kind kind = load_relaxed(&e->kind);

	if (unlikely(kind == FD_UNKNOWN)) {
		e->epoch = 0;
		e->receive_ns = e->send_ns = 0;	/* they may be another file's, closed where we could not see */
		kind = own_has(number) ? FD_UNKNOWN : fd_ask_kind(e, number);
		store_relaxed(&e->kind, (uint8_t)kind);
	}
	return kind;
}

void fd_new(int number, enum fd_kind kind, uint8_t flags)
{
	struct fd *e = fd_get(number);

	if (!e)
		return;
	e->flags = flags;
	e->drained = 0;
	e->epoch = load_relaxed(&fork_epoch);
	e->receive_ns = e->send_ns = 0;
	store_release(&e->kind, (uint8_t)kind);
}

bool fd_nonblocking(struct fd *e, int number)
{
	if (e->epoch != load_relaxed(&fork_epoch) || !(e->flags & FD_OWN)) {
		long fl = sys_fcntl(number, F_GETFL, 0);

		e->flags = (uint8_t)((e->flags & ~FD_NONBLOCK) | (fl > 0 && (fl & O_NONBLOCK) ? FD_NONBLOCK : 0));
	}
	return e->flags & FD_NONBLOCK;
}

/* Under the entry's lock: see that some hub's epoll set has it. */
static int registered(struct fd *e, int number, struct hub *h)
{
	struct epoll_event ev = {
		.events = EDGES,
		.data.u64 = (uint64_t)e->generation << 32 | (uint32_t)number,
	};

	if (e->hub) {
		if (likely(e->hub == h) || ++e->moved < 4 || e->first)
			return 0;
		poll_control(e->hub, EPOLL_CTL_DEL, number, &ev);
		e->hub = NULL;
	}
	e->moved = 0;
	long r = poll_control(h, EPOLL_CTL_ADD, number, &ev);

	if (r == -EEXIST)	/* it was closed and opened again where we could not see */
		r = poll_control(h, EPOLL_CTL_MOD, number, &ev);
	if (r < 0)
		return (int)r;
	e->hub = h;
	STAT_ADD(h, registrations, 1);
	return 0;
}

static void link_waiter(struct fd *e, struct fd_waiter *w)
{
	w->fd = e;
	w->since = e->edges;
	w->next = e->first;
	if (w->next)
		w->next->prev = &w->next;
	w->prev = &e->first;
	e->first = w;
	e->last = w->task;
}

/* Join the list unless *seen differs from the count of edges. Returns 0, 1 or -errno; -EBADF and, without `seen', other errors
 * leave it out of the list. */
static int join(struct fd_waiter *w, struct task *t, int number, uint32_t events, const uint32_t *seen)
{
	struct fd *e = fd_get(number);
	int r;

	*w = (struct fd_waiter){.task = t, .events = events, .number = number};
	if (!e)
		return -ENOMEM;
	lock_take(&e->lock);
	r = registered(e, number, sched_helper(t));
	if (r == 0 && seen && e->edges != *seen)
		r = 1;
	else if (r == 0 || (seen && r != -EBADF))
		link_waiter(e, w);
	struct hub *h = e->hub;

	lock_drop(&e->lock);
	if (unlikely(h != sched_hub(t)) && r == 0)
		poll_joined(h);
	return r;
}

int fd_join(struct fd_waiter *w, struct task *t, int number, uint32_t events)
{
	return join(w, t, number, events, NULL);
}

static void unlink_waiter(struct fd_waiter *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->prev = NULL;
}

void fd_part(struct fd_waiter *w)
{
	struct fd *e;

	while ((e = load_acquire(&w->fd))) {
		lock_take(&e->lock);
		bool still = e == w->fd;

		if (still && w->prev)
			unlink_waiter(w);
		lock_drop(&e->lock);
		if (still)
			return;
	}
}

/* No epoll set takes the descriptor (a limit of watches, no memory), so this carrier waits in the kernel and its hub is handed on.
 * The waiter stands in the entry's list meanwhile: close and dup2 give it another number. One that was closed between our look at
 * it and the call may be another file's by then, and a duplicate's shutdown wakes nobody, so the wait ends after a while. */
static long wait_here(struct task *t, struct fd_waiter *w, int64_t deadline_ns, int refused)
{
	struct pollfd p = {load_relaxed(&w->number), (short)(w->events & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)), 0};
	int64_t left = deadline_ns - clock_now();
	bool last = left <= HERE_NS;

	left = last ? left : HERE_NS;
	struct __kernel_timespec ts = {left > 0 ? left / NSEC : 0, left > 0 ? left % NSEC : 0};

	stat_shared(waits_native, 1);
	long n = gate_blocking(t, __NR_ppoll, (long)&p, 1, (long)&ts, 0, 0, 0);

	/* A file that cannot be polled is always ready, and yet the trial has said that it would wait. */
	if (n > 0 && refused == -EPERM) {
		ts = (struct __kernel_timespec){0, NAP_NS};
		gate_blocking(t, __NR_ppoll, 0, 0, (long)&ts, 0, 0, 0);
	}
	return n < 0 ? n : n == 0 && last ? -ETIMEDOUT : 0;
}

long fd_wait(struct task *t, int *number, uint32_t events, int64_t deadline_ns, uint32_t seen)
{
	struct fd_waiter w;
	enum wake why;
	long r;

	sched_arm(t, events & EPOLLIN ? PARK_READ : PARK_WRITE);
	int joined = join(&w, t, *number, events, &seen);

	if (joined) {
		why = sched_disarm(t);
		r = why == WAKE_SIGNAL ? -ERESTARTSYS : joined == -EBADF ? joined : 0;
		if (why == WAKE_NONE && r == 0 && joined < 0)
			r = wait_here(t, &w, deadline_ns, joined);
	} else {
		why = sched_park(t, deadline_ns);
		r = why == WAKE_EVENT ? 0 : why == WAKE_TIMEOUT ? -ETIMEDOUT : -ERESTARTSYS;
	}
	if (why != WAKE_EVENT)	/* else event() took it out of the list, and is done with it */
		fd_part(&w);
	*number = w.number;
	return r;
}

int64_t fd_limit(struct fd *e, int number, bool in)
{
	if (load_relaxed(&e->kind) == FD_SOCKET && (e->epoch != load_relaxed(&fork_epoch) || !(e->flags & FD_OWN))) {
		e->receive_ns = fd_ask_limit(number, true);
		e->send_ns = fd_ask_limit(number, false);
	}
	return in ? e->receive_ns : e->send_ns;
}

static void event(struct hub *h, uint64_t data, uint32_t events)
{
	struct fd *e = fd_get((int)(uint32_t)data);
	struct fd_waiter *w, *next;

	lock_take(&e->lock);
	if (e->generation != data >> 32 || e->hub != h) {
		lock_drop(&e->lock);
		STAT_ADD(h, events_stale, 1);
		return;
	}
	store_release(&e->edges, e->edges + 1);
	if (events & (EPOLLRDHUP | EPOLLPRI | ENDED))
		__atomic_fetch_or(&e->flags, FD_HANGUP, __ATOMIC_RELAXED);
	for (w = e->first; w; w = next) {
		next = w->next;
		if (!(events & (w->events | ENDED)))
			continue;
		unlink_waiter(w);
		ready_wake(h, w->task, WAKE_EVENT);	/* from here on the waiter may be gone */
	}
	lock_drop(&e->lock);
}

static struct fd *known(const struct epoll_event *ev)
{
	unsigned number = (uint32_t)ev->data.u64;

	return fd_known(number) ? &chunks[number / FD_CHUNK][number % FD_CHUNK] : NULL;
}

/* With thousands of descriptors each event finds cold memory: entry, waiter, task, one by way of the other. They are fetched
 * ahead, an entry AHEAD events before its turn and what it names half as many. Waiter and task may be gone: a prefetch never
 * faults. */
void fd_events(struct hub *h, const struct epoll_event *ev, unsigned n)
{
	for (unsigned i = 0; i < n + AHEAD; i++) {
		struct fd *e = i < n ? known(&ev[i]) : NULL;

		if (e)
			(void)*(volatile uint32_t *)&e->generation;
		e = i >= AHEAD / 2 && i - AHEAD / 2 < n ? known(&ev[i - AHEAD / 2]) : NULL;
		if (e) {
			__builtin_prefetch(e->first, 1);
			__builtin_prefetch(e->last, 1);
			__builtin_prefetch((char *)e->last + 64, 1);
		}
		if (i < AHEAD || ev[i - AHEAD].data.u64 == HUB_OWN)
			continue;	/* the hub's own is edge-triggered and never read: it only has to end the wait */
		STAT_ADD(h, events, 1);
		event(h, ev[i - AHEAD].data.u64, ev[i - AHEAD].events);
	}
}

static void wake_all(struct fd *e, int number)
{
	struct fd_waiter *w;

	while ((w = e->first)) {
		unlink_waiter(w);
		store_relaxed(&w->number, number);
		ready_wake(NULL, w->task, WAKE_EVENT);
	}
}

/* What cannot be registered again looks itself, and waits in the kernel. */
void fd_rearm(struct fd *e, int number)
{
	struct epoll_event ev = {.events = EDGES, .data.u64 = (uint64_t)e->generation << 32 | (uint32_t)number};
	long r = poll_control(e->hub, EPOLL_CTL_MOD, number, &ev);

	if (r == -ENOENT)
		r = poll_control(e->hub, EPOLL_CTL_ADD, number, &ev);
	stat_shared(rearms, 1);
	if (r == -ENOSPC || r == -ENOMEM) {
		e->hub = NULL;
		wake_all(e, number);
	}
}

static uint32_t waiters_of(const struct fd *e)
{
	uint32_t n = 0;

	for (const struct fd_waiter *w = e->first; w; w = w->next)
		n++;
	return n;
}

/* Under the entry's lock: waiters on a number that is going away go on with a duplicate of ours, on the same description. */
static bool move_waiters(struct fd *e, int number, int least)
{
	int copy = own_dup(number, least);
	struct fd *to = copy < 0 ? NULL : fd_get(copy);
	struct fd_waiter *w;

	if (!to) {
		if (copy >= 0)
			own_close(copy);
		return false;
	}
	lock_take(&to->lock);
	to->flags = e->flags;
	to->drained = 0;
	to->receive_ns = e->receive_ns;
	to->send_ns = e->send_ns;
	to->lent = e->lent ? e->lent : FD_ORPHAN;
	to->hub = NULL;
	bool refused = e->hub && registered(to, copy, e->hub) < 0;	/* without a hub they wait in the kernel */

	to->users = waiters_of(e);
	while ((w = e->first)) {
		unlink_waiter(w);
		w->next = to->first;
		if (w->next)
			w->next->prev = &w->next;
		w->prev = &to->first;
		to->first = w;
		store_relaxed(&w->number, copy);
		store_release(&w->fd, to);
	}
	if (refused)
		wake_all(to, copy);
	lock_drop(&to->lock);
	if (to->hub)
		poll_joined(to->hub);
	return true;
}

/* Under the entry's lock: nobody waits there any more. */
static void forget(struct fd *e, int number)
{
	struct epoll_event ev = {0};

	if (e->hub)
		poll_control(e->hub, EPOLL_CTL_DEL, number, &ev);
	e->hub = NULL;
	e->generation++;
	e->flags = 0;
	e->drained = 0;
	e->moved = 0;
	e->lent = 0;
	e->receive_ns = e->send_ns = 0;
	store_relaxed(&e->kind, FD_UNKNOWN);
}

void fd_poke(int number)
{
	struct fd *e = fd_known((unsigned)number) ? fd_get(number) : NULL;

	if (!e)
		return;
	lock_take(&e->lock);
	store_release(&e->edges, e->edges + 1);
	wake_all(e, number);
	lock_drop(&e->lock);
}

void fd_closing(int number)
{
	struct fd *e = fd_get(number);

	if (!e)
		return;
	lock_take(&e->lock);
	if (e->first && !move_waiters(e, number, -1))
		wake_all(e, number);	/* nowhere to wait: let them see what the kernel says of the number */
	forget(e, number);
	lock_drop(&e->lock);
}

int fd_lend(long nr, long a, long b, long c, long d)
{
	own_take();
	int number = own_add(SYS(nr, a, b, c, d));
	struct fd *e = number < 0 ? NULL : fd_get(number);

	if (e)
		e->lent = FD_LENT;
	else if (number >= 0)
		own_close(number);
	own_release();
	return e ? number : -1;
}

/* Alone, so that nobody sees a number that is ours no more and not yet closed. An orphan has a user for each call that was moved to
 * it: those that were woken, and have yet to look, stand in no list. */
static void let_go(int number, uint8_t lent)
{
	struct fd *e = fd_get(number);

	own_take();
	lock_take(&e->lock);
	bool last = e->lent == lent && (lent == FD_ORPHAN ? !--e->users : !e->first);

	if (last)
		forget(e, number);
	lock_drop(&e->lock);
	if (last)
		own_close(number);
	own_release();
}

void fd_let_go(int number, int original)
{
	struct fd *e = number == original ? NULL : fd_get(number);

	if (e && e->lent == FD_ORPHAN)
		let_go(number, FD_ORPHAN);
}

void fd_take_back(int number)
{
	if (number >= 0)
		let_go(number, FD_LENT);
}

/* Only while all who know the number wait: else one of them is about to use it. */
static bool lent_move(int number, int least)
{
	struct fd *e = fd_known((unsigned)number) ? fd_get(number) : NULL;

	if (!e)
		return false;
	lock_take(&e->lock);
	bool idle = e->first && (e->lent == FD_LENT || (e->lent == FD_ORPHAN && e->users == waiters_of(e)));
	bool moved = idle && move_waiters(e, number, least);

	if (moved)
		forget(e, number);
	lock_drop(&e->lock);
	if (moved)
		own_close(number);
	return moved;
}

/* An orphan cannot be done without: nothing else holds what its waiters wait for. */
static bool lent_give(int from, int to)
{
	for (int n = own_next((unsigned)from); n >= 0 && n < to; n = own_next((unsigned)n + 1)) {
		struct fd *e = fd_known((unsigned)n) ? fd_get(n) : NULL;

		if (!e)
			continue;
		lock_take(&e->lock);
		bool given = e->lent == FD_LENT && e->first;

		if (given) {
			wake_all(e, -1);
			forget(e, n);
		}
		lock_drop(&e->lock);
		if (given) {
			own_close(n);
			return true;
		}
	}
	return false;
}

const struct own_kind fd_lent = {lent_move, lent_give};

void fd_each_waiting(struct hub *h, poll_visit *fn)
{
	for (unsigned c = 0; c < load_acquire(&chunks_end); c++) {
		struct fd *chunk = load_acquire(&chunks[c]);

		for (unsigned i = 0; chunk && i < FD_CHUNK; i++) {
			struct fd *e = &chunk[i];
			uint32_t events = 0;

			if (!load_relaxed(&e->first) || load_relaxed(&e->hub) != h)
				continue;
			lock_take(&e->lock);
			uint64_t data = (uint64_t)e->generation << 32 | (c * FD_CHUNK + i);
			bool waited = e->first && e->hub == h;

			for (struct fd_waiter *w = e->first; w; w = w->next)
				events |= w->events;
			lock_drop(&e->lock);
			if (waited)
				fn(h, (int)(c * FD_CHUNK + i), events, data);
		}
	}
}

uint32_t fd_shared(void)
{
	return add_relaxed(&fork_epoch, 1);
}

void fd_child(uint32_t epoch)
{
	fork_epoch = epoch;
	for (unsigned c = 0; c < load_acquire(&chunks_end); c++)
		for (unsigned i = 0; chunks[c] && i < FD_CHUNK; i++) {
			struct fd *e = &chunks[c][i];

			if (!e->kind && !e->hub && !e->lock.held && !e->first && !e->lent)
				continue;	/* most were never written: let them be */
			e->lock.held = 0;
			e->first = NULL;
			e->hub = NULL;
			e->generation++;
			e->lent = 0;
		}
}
