/* splice.c -- calls that move bytes between two descriptors inside the kernel
 *
 * To a pipe and from one the same call with SPLICE_F_NONBLOCK is the trial. A socket does not heed the flag (TCP neither to
 * read nor to write), and sendfile has none: there poll is asked before, and the trial moves no more than a socket that poll
 * calls writable takes for sure, a third of its buffer. sendfile to a socket goes on until all is sent or
 * the file ends; to a pipe it returns what was moved first, as do the others. Where a trial waits all the same (another process was faster, memory is short), the
 * monitor hands the hub on.
 *
 * What may happen in the middle: the descriptor that is waited for is closed (the wait goes on on a duplicate, fd.h); the other
 * one is closed, and perhaps opened again as something else (its generation tells: the call ends with what was moved); a signal
 * or a time limit of the socket (the same). Offsets by pointer are the kernel's to read and to write: each trial moves them on.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include "splice.h"
#include "clock.h"
#include "number.h"

#define SHARE 3		/* poll calls a socket writable when a third of its buffer is free */
#define LEAST 4096ull

struct side {
	int number, original;	/* -1: the call has no such side */
	bool waits;		/* else it is always ready: a file */
	bool socket;
	uint32_t generation;	/* of the number when it was last known to be ours */
	uint32_t seen;		/* edges before the last trial */
	int64_t limit_ns;	/* the socket's own, 0: none */
	int64_t deadline_ns;	/* that limit from the first wait on; 0: none yet */
};

struct way {
	struct task *task;
	struct arch_frame *frame;
	struct side from, into;
};

/* False: this side does not wait by itself, or in a way that is not ours: leave the call to the kernel. */
static bool side_of(struct side *s, int number, bool in)
{
	struct fd *e = fd_get(number);
	enum fd_kind kind = e ? fd_kind_of(e, number) : FD_UNKNOWN;

	*s = (struct side){.number = number, .original = number};
	if (kind == FD_UNKNOWN)
		return false;
	s->generation = load_relaxed(&e->generation);
	s->socket = kind == FD_SOCKET;
	s->waits = s->socket || kind == FD_PIPE || kind == FD_POLLED;
	if (s->socket) {
		s->limit_ns = in ? e->receive_ns : e->send_ns;
		if (!(e->flags & FD_STREAM))
			return false;
	}
	return s->waits ? !fd_nonblocking(e, number) : kind == FD_PLAIN;
}

static bool side_gone(const struct side *s)
{
	return s->number >= 0 && load_relaxed(&fd_get(s->number)->generation) != s->generation;
}

static bool side_ready(const struct side *s, short events)
{
	struct pollfd p = {s->number, events, 0};

	return !s->waits || sys_poll(&p, 1) != 0;
}

/* Returns 0 (try again), or how the call ends. */
static long side_wait(struct task *t, struct side *s, uint32_t events)
{
	if (!s->deadline_ns)
		s->deadline_ns = s->limit_ns ? clock_deadline(s->limit_ns) : FOREVER;
	int before = s->number;
	long r = fd_wait(t, &s->number, events, s->deadline_ns, s->seen);

	if (s->number != before)
		s->generation = load_relaxed(&fd_get(s->number)->generation);
	if (r == -EPERM)
		s->waits = false;
	if (r == -ERESTARTSYS && s->limit_ns)
		return -EINTR;
	return r == -ETIMEDOUT ? -EAGAIN : r == -EPERM ? 0 : r;
}

/* The call itself, of n bytes at most, with these flags more. */
static long move(struct way *w, size_t n, unsigned flags)
{
	struct arch_frame *f = w->frame;
	int from = w->from.number, into = w->into.number;

	switch (f->nr) {
	case __NR_sendfile:
		return gate_blocking(w->task, __NR_sendfile, into, from, (long)ARG3(f), (long)n, 0, 0);
	case __NR_splice:
		return gate_blocking(w->task, __NR_splice, from, (long)ARG2(f), into, (long)ARG4(f), (long)n, (long)ARG6(f) | flags);
	case __NR_tee:
		return gate_blocking(w->task, __NR_tee, from, into, (long)n, (long)ARG4(f) | flags, 0, 0);
	default:
		return gate_blocking(w->task, __NR_vmsplice, from < 0 ? into : from, (long)ARG2(f), (long)ARG3(f), (long)ARG4(f) | flags,
				     0, 0);
	}
}

static size_t share(const struct side *into)
{
	int size = 0;
	uint32_t n = sizeof size;

	if (!into->socket)
		return SIZE_MAX;
	SYS(__NR_getsockopt, into->number, SOL_SOCKET, SO_SNDBUF, &size, &n);
	return (size_t)size / SHARE > LEAST ? (size_t)size / SHARE : LEAST;
}

/* One trial: what was moved, -EAGAIN or another error. */
static long attempt(struct way *w, size_t n)
{
	bool unasked = w->into.socket || w->frame->nr == __NR_sendfile;

	w->from.seen = w->from.waits ? fd_edges(fd_get(w->from.number)) : 0;
	w->into.seen = w->into.waits ? fd_edges(fd_get(w->into.number)) : 0;
	if ((w->from.socket && !side_ready(&w->from, POLLIN)) || (unasked && !side_ready(&w->into, POLLOUT)))
		return -EAGAIN;
	return move(w, n, SPLICE_F_NONBLOCK);
}

/* Move at most n bytes, and wait until some can be moved. */
static long some(struct way *w, size_t n)
{
	for (;;) {
		long r = side_gone(&w->from) || side_gone(&w->into) ? -EBADF : attempt(w, n);

		if (r != -EAGAIN)
			return r;
		if (!side_ready(&w->from, POLLIN))
			r = side_wait(w->task, &w->from, EPOLLIN);
		else if (!side_ready(&w->into, POLLOUT))
			r = side_wait(w->task, &w->into, EPOLLOUT);
		else	/* it is not what poll says that it waits for */
			return move(w, n, 0);
		if (r < 0)
			return r;
	}
}

static long end(struct way *w, long r)
{
	fd_let_go(w->from.number, w->from.original);
	fd_let_go(w->into.number, w->into.original);
	return r;
}

/* Both sides, and whether there is anything to wait for. */
static bool way_of(struct way *w, struct task *t, struct arch_frame *f, int from, int into)
{
	w->task = t;
	w->frame = f;
	return side_of(&w->into, into, false) && side_of(&w->from, from, true) && (w->from.waits || w->into.waits);
}

static long refused(int from, int into)
{
	return number_refused(from) == GATE_NATIVE ? number_refused(into) : -EBADF;
}

long splice_sendfile(struct task *t, struct arch_frame *f)
{
	size_t want = ARG4(f), done = 0;
	int file = (int)ARG2(f);
	struct fd *e = fd_get(file);
	struct way w = {.task = t, .frame = f, .from = {.number = file, .original = file}};
	long r;

	/* What is no file the kernel refuses. */
	if (!side_of(&w.into, (int)ARG1(f), false) || !w.into.waits || !e || own_has(file) || !want)
		return refused(file, (int)ARG1(f));
	w.from.generation = load_relaxed(&e->generation);
	size_t most = share(&w.into);

	do {
		r = some(&w, want - done < most ? want - done : most);
		if (r > 0)
			done += (size_t)r;
	} while (r > 0 && done < want && w.into.socket);
	return end(&w, done ? (long)done : r);
}

long splice_splice(struct task *t, struct arch_frame *f)
{
	struct way w;

	if (ARG6(f) & SPLICE_F_NONBLOCK || !ARG5(f) || !way_of(&w, t, f, (int)ARG1(f), (int)ARG3(f)))
		return refused((int)ARG1(f), (int)ARG3(f));
	/* A trial finds out what is wrong with the call; where poll is asked before, it must be right. */
	if (w.from.socket && (ARG2(f) || w.into.socket || !w.into.waits))
		return GATE_NATIVE;
	size_t most = share(&w.into);

	return end(&w, some(&w, ARG5(f) < most ? ARG5(f) : most));
}

long splice_tee(struct task *t, struct arch_frame *f)
{
	struct way w;

	if (ARG4(f) & SPLICE_F_NONBLOCK || !way_of(&w, t, f, (int)ARG1(f), (int)ARG2(f)))
		return refused((int)ARG1(f), (int)ARG2(f));
	return end(&w, some(&w, ARG3(f)));
}

/* The other side is memory. */
long splice_vmsplice(struct task *t, struct arch_frame *f)
{
	static const struct side memory = {.number = -1, .original = -1};
	struct way w = {.task = t, .frame = f, .from = memory, .into = memory};
	int number = (int)ARG1(f);
	bool in = (sys_fcntl(number, F_GETFL, 0) & O_ACCMODE) == O_RDONLY;
	struct side *pipe = in ? &w.from : &w.into;

	if (ARG4(f) & SPLICE_F_NONBLOCK || !side_of(pipe, number, in) || !pipe->waits)
		return number_refused(number);
	return end(&w, some(&w, 0));
}
