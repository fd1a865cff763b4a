/* multiplex.c -- poll, select and the program's own epoll sets
 *
 * The kernel decides what is ready: the program's own call with a time-out of zero, before the park and after it. To park, the
 * task joins the lists of all the descriptors, asks once more (an edge before that is seen there, an edge after it wakes), and
 * leaves the lists when it runs again. A set of epoll is a descriptor as any other: it is readable when it has something.
 *
 * The program's arrays are copied in and out. Whoever is armed may be claimed at any moment, and must not be handed on to another
 * carrier meanwhile, so the second look uses memory of ours only.
 *
 * What cannot be waited for by a hub (a chain of epoll sets that is as long as the kernel allows, a descriptor that no epoll set
 * takes, more than there is memory for) is waited for in the kernel.
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include "fd/multiplex.h"
#include "clock.h"
#include "mem.h"
#include "signal/signal.h"
#include "gate/user.h"

#define FEW 8

struct ask {
	struct task *task;
	struct pollfd *fds;
	unsigned n;
	int64_t deadline;
	long (*now)(struct ask *);	/* the call with a time-out of zero */
	long (*look)(struct ask *);	/* is there something? In memory of ours alone */
	struct arch_frame *frame;
	void *arg;
};

static uint32_t wanted(short events)
{
	/* Errors and hang-ups are always reported; a set without events still waits for these. */
	return (uint32_t)(events & (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)) | (events & POLLRDNORM ? EPOLLIN : 0) |
	       (events & POLLWRNORM ? EPOLLOUT : 0);
}

static void leave_all(struct ask *a, struct fd_waiter *w, unsigned joined)
{
	for (unsigned i = 0; joined; i++) {
		if (a->fds[i].fd < 0)
			continue;
		fd_part(w);
		if (w->fd)
			fd_let_go(w->number, a->fds[i].fd);
		w++;
		joined--;
	}
}

/* In the kernel, where this carrier waits and its hub is handed on. */
static long block(struct ask *a)
{
	struct __kernel_timespec left;
	int64_t ns;
	long r;

	stat_shared(waits_native, 1);
	do {
		ns = a->deadline == FOREVER ? 0 : a->deadline - clock_now();
		left = (struct __kernel_timespec){ns > 0 ? ns / NSEC : 0, ns > 0 ? ns % NSEC : 0};
		r = gate_once(a->task, __NR_ppoll, (long)a->fds, a->n, a->deadline == FOREVER ? 0 : (long)&left, 0, 0, 0);
	} while (r == -EINTR && !load_relaxed(&a->task->attention) && !hub_signals_due());
	return r < 0 ? r : r ? -EAGAIN : a->now(a);
}

static long park(struct ask *a, struct fd_waiter *w)
{
	unsigned joined = 0;
	enum wake why;
	long r = 0;

	sched_arm(a->task, PARK_POLL);
	for (unsigned i = 0; i < a->n && !r; i++) {
		if (a->fds[i].fd < 0)
			continue;
		r = fd_join(&w[joined++], a->task, a->fds[i].fd, wanted(a->fds[i].events));
	}
	if (r < 0) {
		why = sched_disarm(a->task);
		leave_all(a, w, joined);
		return why == WAKE_SIGNAL ? -EINTR : block(a);
	}
	r = a->look(a);
	why = r ? sched_disarm(a->task) : sched_park(a->task, a->deadline);
	leave_all(a, w, joined);
	return r ? -EAGAIN : why == WAKE_TIMEOUT ? a->now(a) : why == WAKE_SIGNAL ? -EINTR : -EAGAIN;
}

/* One descriptor: its count of edges makes the second look unnecessary. */
static long ask_one(struct ask *a)
{
	int number = a->fds[0].fd;
	uint32_t seen;
	long r, w;

	for (;;) {
		struct fd *e = fd_get(number);

		seen = e ? fd_edges(e) : 0;
		r = a->now(a);
		if (r || a->deadline == 0)
			return r;
		if (!e)
			return -EAGAIN;
		w = fd_wait(a->task, &number, wanted(a->fds[0].events), a->deadline, seen);
		fd_let_go(number, a->fds[0].fd);
		number = a->fds[0].fd;
		if (w == -ETIMEDOUT)
			return a->now(a);
		if (w == -ERESTARTSYS)
			return -EINTR;
		if (w < 0)
			return -EAGAIN;	/* cannot be waited for in this way */
	}
}

/* What is ready now, or in time. */
static long ask(struct ask *a)
{
	struct fd_waiter few[FEW], *w = few;
	long r = a->n == 1 && a->fds[0].fd >= 0 ? ask_one(a) : -EAGAIN;

	if (r != -EAGAIN)
		return r;
	r = a->now(a);
	if (r || a->deadline == 0)
		return r;
	if (a->n > FEW)
		w = mem_get(a->n * sizeof *w);
	do
		r = w ? park(a, w) : block(a);
	while (r == -EAGAIN && !(r = a->now(a)));
	if (w && w != few)
		mem_put(w, a->n * sizeof *w);
	return r;
}

static long poll_look(struct ask *a)
{
	return sys_poll(a->fds, a->n);
}

/* A file system of a process may have to be asked, perhaps one of this very process. */
static long poll_now(struct ask *a)
{
	sched_native_begin(a->task);
	long r = sys_poll(a->fds, a->n);

	sched_native_end(a->task);
	return r;
}

/* The answers alone, as the kernel does it. */
static long poll_out(struct ask *a, struct pollfd *user, long r)
{
	sched_native_begin(a->task);
	for (unsigned i = 0; i < a->n && r >= 0; i++)
		if (arch_user_copy(&user[i].revents, &a->fds[i].revents, sizeof user->revents) < 0)
			r = -EFAULT;
	sched_native_end(a->task);
	return r;
}

/* poll and ppoll; deadline 0: do not wait. */
static long poll_until(struct task *t, struct arch_frame *f, int64_t deadline)
{
	struct pollfd few[FEW], *user = (void *)ARG1(f);
	struct ask a = {.task = t, .fds = few, .n = (unsigned)ARG2(f), .deadline = deadline, .now = poll_now, .look = poll_look};
	struct rlimit limit = {0, 0};
	long r = -EFAULT;

	if (a.n > FEW) {
		SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
		if (a.n > limit.rlim_cur)
			return -EINVAL;
		a.fds = mem_get(a.n * sizeof *a.fds);
		if (!a.fds)
			return -ENOMEM;
	}
	if (user_copy(t, a.fds, user, a.n * sizeof *user) == 0)
		r = poll_out(&a, user, ask(&a));
	if (a.fds != few)
		mem_put(a.fds, a.n * sizeof *a.fds);
	return r;
}

static int64_t from_ms(int ms)
{
	return ms < 0 ? FOREVER : ms == 0 ? 0 : clock_deadline(ms * 1000000ll);
}

/* A relative timespec: 0 for zero, else an absolute deadline. */
static int64_t from_timespec(struct task *t, const struct __kernel_timespec *ts)
{
	int64_t ns = ts ? user_duration(t, ts) : FOREVER;

	return ns <= 0 || ns == FOREVER ? ns : clock_deadline(ns);
}

/* The kernel writes back what is left, where it can. */
static void left_out(struct task *t, struct __kernel_timespec *ts, int64_t deadline)
{
	int64_t left = deadline - clock_now();
	struct __kernel_timespec rest = {left > 0 ? left / NSEC : 0, left > 0 ? left % NSEC : 0};

	if (ts && deadline != 0 && deadline != FOREVER)
		user_copy(t, ts, &rest, sizeof rest);
}

long multiplex_poll(struct task *t, struct arch_frame *f)
{
	int64_t deadline = from_ms((int)ARG3(f));

	return deadline == 0 ? GATE_NATIVE : poll_until(t, f, deadline);
}

long multiplex_ppoll(struct task *t, struct arch_frame *f)
{
	struct __kernel_timespec *ts = (void *)ARG3(f);
	int64_t deadline = from_timespec(t, ts);

	if (deadline < 0)
		return deadline;
	long r = signal_mask_enter(t, (void *)ARG4(f), ARG5(f));

	if (r < 0)
		return r;
	r = poll_until(t, f, deadline);
	signal_mask_leave(t, r);
	left_out(t, ts, deadline);
	return r;
}

struct sets {
	uint64_t *user[3];
	uint64_t ask[3][16], found[3][16];
	int n;
};

/* The kernel writes its answer to a copy. */
static long select_now(struct ask *a)
{
	struct sets *s = a->arg;
	struct __kernel_timespec zero = {0, 0};
	uint64_t (*out)[16] = s->found;
	long r;

	memcpy(out, s->ask, sizeof s->ask);
	do	/* EINTR: as sys_poll */
		r = SYS(__NR_pselect6, s->n, s->user[0] ? out[0] : NULL, s->user[1] ? out[1] : NULL, s->user[2] ? out[2] : NULL,
			&zero, 0);
	while (r == -EINTR);
	return r;
}

static long sets_out(struct task *t, struct sets *s, long r)
{
	for (int k = 0; k < 3 && r >= 0; k++)
		if (s->user[k] && user_copy(t, s->user[k], s->found[k], (size_t)(s->n + 63) / 64 * 8) < 0)
			return -EFAULT;
	return r;
}

static bool sets_in(struct task *t, struct sets *s, struct arch_frame *f)
{
	size_t bytes = (size_t)(s->n + 63) / 64 * 8;

	for (int k = 0; k < 3; k++) {
		uint64_t *user = (uint64_t *)(k == 0 ? ARG2(f) : k == 1 ? ARG3(f) : ARG4(f));

		memset(s->ask[k], 0, sizeof s->ask[k]);
		s->user[k] = user;
		if (user && user_copy(t, s->ask[k], user, bytes) < 0)
			return false;
	}
	return true;
}

static unsigned sets_to_poll(const struct sets *s, struct pollfd *fds)
{
	unsigned n = 0;

	for (int i = 0; i < s->n; i++) {
		uint64_t bit = 1ull << (i & 63);
		short events = (short)((s->ask[0][i / 64] & bit ? POLLIN : 0) | (s->ask[1][i / 64] & bit ? POLLOUT : 0) |
				       (s->ask[2][i / 64] & bit ? POLLPRI : 0));

		if (!events)
			continue;
		if (fds)
			fds[n] = (struct pollfd){i, events, 0};
		n++;
	}
	return n;
}

static long select_until(struct task *t, struct arch_frame *f, int64_t deadline)
{
	struct sets s = {.n = (int)ARG1(f)};
	struct pollfd few[FEW];
	struct ask a = {.task = t, .fds = few, .deadline = deadline, .now = select_now, .look = select_now, .arg = &s};

	if (!sets_in(t, &s, f))
		return -EFAULT;
	a.n = sets_to_poll(&s, NULL);
	if (a.n > FEW)
		a.fds = mem_get(a.n * sizeof *a.fds);
	if (!a.fds)
		return -ENOMEM;
	sets_to_poll(&s, a.fds);
	long r = sets_out(t, &s, ask(&a));

	if (a.fds != few)
		mem_put(a.fds, a.n * sizeof *a.fds);
	return r;
}

long multiplex_select(struct task *t, struct arch_frame *f)
{
	struct { int64_t s, us; } tv, *user = (void *)ARG5(f);
	int64_t deadline = FOREVER;

	if (ARG1(f) > 1024)
		return GATE_NATIVE;
	if (user) {
		if (user_copy(t, &tv, user, sizeof tv) < 0)
			return -EFAULT;
		if (tv.s < 0 || tv.us < 0)
			return -EINVAL;
		if (tv.s == 0 && tv.us == 0)
			return GATE_NATIVE;
		deadline = tv.s > INT64_MAX / NSEC / 2 ? FOREVER : clock_deadline(tv.s * NSEC + tv.us * 1000);
	}
	long r = select_until(t, f, deadline);

	if (deadline != FOREVER) {
		int64_t left = deadline - clock_now();

		tv.s = left > 0 ? left / NSEC : 0;
		tv.us = left > 0 ? left % NSEC / 1000 : 0;
		user_copy(t, user, &tv, sizeof tv);
	}
	return r;
}

long multiplex_pselect6(struct task *t, struct arch_frame *f)
{
	struct __kernel_timespec *ts = (void *)ARG5(f);
	struct { const uint64_t *mask; size_t size; } six = {NULL, 0};
	int64_t deadline = from_timespec(t, ts);

	if (ARG1(f) > 1024)
		return GATE_NATIVE;
	if (deadline < 0)
		return deadline;
	if (ARG6(f) && user_copy(t, &six, (void *)ARG6(f), sizeof six) < 0)
		return -EFAULT;
	long r = signal_mask_enter(t, six.mask, six.size);

	if (r < 0)
		return r;
	r = select_until(t, f, deadline);
	if (ARG6(f))
		signal_mask_leave(t, r);
	left_out(t, ts, deadline);
	return r;
}

static long epoll_now(struct ask *a)
{
	struct arch_frame *f = a->frame;

	return gate_once(a->task, __NR_epoll_wait, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), 0, 0, 0);
}

static long epoll_until(struct task *t, struct arch_frame *f, int64_t deadline)
{
	struct pollfd p = {(int)ARG1(f), POLLIN, 0};
	struct ask a = {.task = t, .fds = &p, .n = 1, .deadline = deadline, .now = epoll_now, .look = poll_look, .frame = f};

	if (own_has(p.fd))
		return -EBADF;
	return ask(&a);
}

long multiplex_epoll_wait(struct task *t, struct arch_frame *f)
{
	return epoll_until(t, f, from_ms((int)ARG4(f)));
}

static long epoll_masked(struct task *t, struct arch_frame *f, int64_t deadline)
{
	long r = signal_mask_enter(t, (void *)ARG5(f), ARG6(f));

	if (r < 0)
		return r;
	r = epoll_until(t, f, deadline);
	signal_mask_leave(t, r);
	return r;
}

long multiplex_epoll_pwait(struct task *t, struct arch_frame *f)
{
	return epoll_masked(t, f, from_ms((int)ARG4(f)));
}

long multiplex_epoll_pwait2(struct task *t, struct arch_frame *f)
{
	int64_t deadline = from_timespec(t, (void *)ARG4(f));

	return deadline < 0 ? deadline : epoll_masked(t, f, deadline);
}
