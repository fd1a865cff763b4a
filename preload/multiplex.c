/* multiplex.c -- poll, select and the program's own epoll sets
 *
 * The kernel decides what is ready: the program's own call with a time-out of zero, before the park and after it. To park, the
 * task joins the lists of all the descriptors, asks once more (an edge before that is seen there, an edge after it wakes), and
 * leaves the lists when it runs again. A set of epoll is a descriptor as any other: it is readable when it has something.
 */
#include <poll.h>
#include <sys/select.h>
#include "multiplex.h"
#include "clock.h"
#include "mem.h"
#include "signal.h"

#define FEW 8

struct ask {
	struct task *task;
	struct pollfd *fds;
	unsigned n;
	int64_t deadline;
	long (*now)(struct ask *);	/* the call with a time-out of zero */
	struct arch_frame *frame;
	void *arg;
};

static uint32_t wanted(short events)
{
	/* Errors and hang-ups are always reported; a set without events still waits for these. */
	return (uint32_t)(events & (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)) | (events & POLLRDNORM ? EPOLLIN : 0) |
	       (events & POLLWRNORM ? EPOLLOUT : 0);
}

static long park(struct ask *a, struct fd_waiter *w)
{
	unsigned joined = 0;
	enum wake why;
	long r;

	sched_arm(a->task, PARK_POLL);
	for (unsigned i = 0; i < a->n; i++) {
		if (a->fds[i].fd >= 0)
			fd_join(&w[joined++], a->task, a->fds[i].fd, wanted(a->fds[i].events));
	}
	r = a->now(a);
	why = r ? sched_disarm(a->task) : sched_park(a->task, a->deadline);
	while (joined) {
		fd_part(&w[--joined]);
		if (w[joined].fd)
			fd_let_go(w[joined].number, -1);
	}
	if (r)
		return r;
	return why == WAKE_TIMEOUT ? a->now(a) : why == WAKE_SIGNAL ? -EINTR : -EAGAIN;
}

/* One descriptor: its count of edges makes the second look unnecessary. */
static long ask_one(struct ask *a)
{
	int number = a->fds[0].fd;
	uint32_t seen;
	long r, w;

	for (;;) {
		struct fd *e = fd_get(number);

		if (!e)
			return -ENOMEM;
		seen = fd_edges(e);
		r = a->now(a);
		if (r || a->deadline == 0)
			return r;
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
	if (!w)
		return -ENOMEM;
	do
		r = park(a, w);
	while (r == -EAGAIN && !(r = a->now(a)));
	if (w != few)
		mem_put(w, a->n * sizeof *w);
	return r;
}

static long poll_now(struct ask *a)
{
	return sys_poll(a->fds, a->n);
}

static int64_t from_ms(int ms)
{
	return ms < 0 ? FOREVER : ms == 0 ? 0 : clock_deadline(ms * 1000000ll);
}

/* A relative timespec: 0 for zero, else an absolute deadline. */
static int64_t from_timespec(const struct __kernel_timespec *ts)
{
	if (!ts)
		return FOREVER;
	if (!user_readable(ts, sizeof *ts))
		return -EFAULT;
	return ts->tv_sec | ts->tv_nsec ? user_deadline(ts) : 0;
}

long multiplex_poll(struct task *t, struct arch_frame *f)
{
	struct ask a = {
		.task = t, .fds = (void *)ARG1(f), .n = (unsigned)ARG2(f), .deadline = from_ms((int)ARG3(f)), .now = poll_now,
	};

	return a.deadline == 0 ? GATE_NATIVE : ask(&a);
}

long multiplex_ppoll(struct task *t, struct arch_frame *f)
{
	struct __kernel_timespec *ts = (void *)ARG3(f);
	struct ask a = {.task = t, .fds = (void *)ARG1(f), .n = (unsigned)ARG2(f), .now = poll_now};

	a.deadline = from_timespec(ts);
	if (a.deadline < 0)
		return a.deadline;
	long r = signal_mask_enter(t, (void *)ARG4(f), ARG5(f));

	if (r < 0)
		return r;
	r = ask(&a);
	signal_mask_leave(t, r);
	if (ts && a.deadline != 0 && a.deadline != FOREVER) {	/* the kernel writes back what is left */
		int64_t left = a.deadline - clock_now();

		*ts = (struct __kernel_timespec){left > 0 ? left / NSEC : 0, left > 0 ? left % NSEC : 0};
	}
	return r;
}

struct sets {
	uint64_t *user[3];
	uint64_t ask[3][16];
	int n;
};

/* The sets as they were asked for are copied in, the kernel writes the answer to copies, and what is ready goes out. */
static long select_now(struct ask *a)
{
	struct sets *s = a->arg;
	struct __kernel_timespec zero = {0, 0};
	uint64_t out[3][16];
	size_t bytes = (size_t)(s->n + 63) / 64 * 8;
	long r;

	memcpy(out, s->ask, sizeof out);
	do	/* EINTR: as sys_poll */
		r = SYS(__NR_pselect6, s->n, s->user[0] ? out[0] : NULL, s->user[1] ? out[1] : NULL, s->user[2] ? out[2] : NULL,
			&zero, 0);
	while (r == -EINTR);
	if (r == 0 && a->deadline && clock_now() < a->deadline)
		return 0;
	for (int k = 0; k < 3 && r >= 0; k++)
		if (s->user[k])
			memcpy(s->user[k], out[k], bytes);
	return r;
}

static bool copy_sets(struct sets *s, struct arch_frame *f)
{
	size_t bytes = (size_t)(s->n + 63) / 64 * 8;

	for (int k = 0; k < 3; k++) {
		uint64_t *user = (uint64_t *)(k == 0 ? ARG2(f) : k == 1 ? ARG3(f) : ARG4(f));

		memset(s->ask[k], 0, sizeof s->ask[k]);
		s->user[k] = user;
		if (!user)
			continue;
		if (!user_readable(user, 8) || !user_readable((char *)user + (bytes ? bytes - 8 : 0), 8))
			return false;
		memcpy(s->ask[k], user, bytes);
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
	struct ask a = {.task = t, .fds = few, .deadline = deadline, .now = select_now, .arg = &s};

	if (!copy_sets(&s, f))
		return -EFAULT;
	a.n = sets_to_poll(&s, NULL);
	if (a.n > FEW)
		a.fds = mem_get(a.n * sizeof *a.fds);
	if (!a.fds)
		return -ENOMEM;
	sets_to_poll(&s, a.fds);
	long r = ask(&a);

	if (a.fds != few)
		mem_put(a.fds, a.n * sizeof *a.fds);
	return r;
}

long multiplex_select(struct task *t, struct arch_frame *f)
{
	struct { int64_t s, us; } *tv = (void *)ARG5(f);
	int64_t deadline = FOREVER;

	if (ARG1(f) > 1024)
		return GATE_NATIVE;
	if (tv) {
		if (!user_readable(tv, sizeof *tv))
			return -EFAULT;
		if (tv->s < 0 || tv->us < 0)
			return -EINVAL;
		if (tv->s == 0 && tv->us == 0)
			return GATE_NATIVE;
		deadline = tv->s > INT64_MAX / NSEC / 2 ? FOREVER : clock_deadline(tv->s * NSEC + tv->us * 1000);
	}
	long r = select_until(t, f, deadline);

	if (tv && deadline != FOREVER) {
		int64_t left = deadline - clock_now();

		tv->s = left > 0 ? left / NSEC : 0;
		tv->us = left > 0 ? left % NSEC / 1000 : 0;
	}
	return r;
}

long multiplex_pselect6(struct task *t, struct arch_frame *f)
{
	struct __kernel_timespec *ts = (void *)ARG5(f);
	struct { const uint64_t *mask; size_t size; } *six = (void *)ARG6(f);
	int64_t deadline = from_timespec(ts);

	if (ARG1(f) > 1024)
		return GATE_NATIVE;
	if (deadline < 0)
		return deadline;
	if (six && !user_readable(six, sizeof *six))
		return -EFAULT;
	long r = six ? signal_mask_enter(t, six->mask, six->size) : 0;

	if (r < 0)
		return r;
	r = select_until(t, f, deadline);
	if (six)
		signal_mask_leave(t, r);
	if (ts && deadline != 0 && deadline != FOREVER) {
		int64_t left = deadline - clock_now();

		*ts = (struct __kernel_timespec){left > 0 ? left / NSEC : 0, left > 0 ? left % NSEC : 0};
	}
	return r;
}

static long epoll_now(struct ask *a)
{
	struct arch_frame *f = a->frame;

	return SYS(__NR_epoll_wait, ARG1(f), ARG2(f), ARG3(f), 0);
}

static long epoll_until(struct task *t, struct arch_frame *f, int64_t deadline)
{
	struct pollfd p = {(int)ARG1(f), POLLIN, 0};
	struct ask a = {.task = t, .fds = &p, .n = 1, .deadline = deadline, .now = epoll_now, .frame = f};

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
	int64_t deadline = from_timespec((void *)ARG4(f));

	return deadline < 0 ? deadline : epoll_masked(t, f, deadline);
}
