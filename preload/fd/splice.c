/* splice.c -- calls that move bytes between two descriptors inside the kernel
 *
 * Between pipes, files and memory the same call with SPLICE_F_NONBLOCK is the trial. A socket does not heed the flag (TCP neither
 * to read nor to write), and sendfile has none: there it is asked before, and no more is moved at a time than the socket has room
 * for. poll alone will not do: it calls a socket full while a third of its buffer or more is free, and a call that natively
 * returns would wait. To a socket the kernel goes on until all is sent, the file ends or the pipe is empty, and so do we;
 * elsewhere it returns what was moved first.
 *
 * Natively a call that would wait looks at its arguments, and for the end of the file, before it does. So nothing is waited for
 * that does not fit, or has come to its end: that call is the kernel's, which does not wait either. Where a call waits all the
 * same (another process was faster, memory is short), the monitor hands the hub on.
 *
 * What may happen in the middle: the descriptor that is waited for is closed (the wait goes on on a duplicate, fd.h); the other
 * one is closed, and perhaps opened again as something else (its generation tells: the call ends with what was moved); a signal
 * or a time limit of the socket, which begins anew whenever something was moved (the same). Offsets are the kernel's to read and
 * to write: each trial moves them on, where natively one call moves a file's own position once.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include "fd/splice.h"
#include "clock.h"
#include "fd/fdtable.h"
#include "gate/user.h"

#define LEAST 4096ull	/* bytes that a socket takes for sure when poll calls it writable */
#define SURE  8192ull	/* room below which it may be full, with what the kernel adds to bytes */
#define MOST  0x7ffff000ull	/* bytes of one call: the kernel's MAX_RW_COUNT */
#define FLAGS (SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_GIFT)

struct side {
	int number, original;	/* -1: the call has no such side */
	bool waits;		/* else it is always ready: a file */
	bool socket;		/* of what waits; else a pipe */
	short events;		/* POLLIN or POLLOUT, which are those of epoll */
	size_t room;		/* of a socket that is written to: bytes that it takes at once */
	uint32_t generation;	/* of the number when it was last known to be the same */
	uint32_t seen;		/* edges before the last trial */
	int64_t limit_ns;	/* the socket's own, 0: none */
	int64_t deadline_ns;	/* that limit since the first wait; 0: none yet */
};

struct way {
	struct task *task;
	struct arch_frame *frame;
	struct side from, into;
};

/* False: this side does not wait by itself, or in a way that is not ours: leave the call to the kernel. */
static bool side_of(struct side *s, int number, short events)
{
	struct fd *e = fd_get(number);
	enum fd_kind kind = e ? fd_kind_of(e, number) : FD_UNKNOWN;

	*s = (struct side){.number = number, .original = number, .events = events};
	if (kind == FD_UNKNOWN)
		return false;
	s->generation = load_relaxed(&e->generation);
	s->socket = kind == FD_SOCKET;
	s->waits = s->socket || kind == FD_PIPE || kind == FD_POLLED;
	if (s->socket) {
		s->limit_ns = events == POLLIN ? e->receive_ns : e->send_ns;
		if (!(e->flags & FD_STREAM))
			return false;
	}
	return s->waits ? !fd_nonblocking(e, number) : kind == FD_PLAIN;
}

static bool side_gone(const struct side *s)
{
	return s->number >= 0 && load_relaxed(&fd_get(s->number)->generation) != s->generation;
}

static short side_poll(const struct side *s, short events)
{
	struct pollfd p = {s->number, events, 0};

	sys_poll(&p, 1);
	return p.revents;
}

/* What the send buffer has room for, less an eighth for what the kernel adds to bytes. */
static size_t room_of(const struct side *s)
{
	uint32_t memory[9] = {0}, n = sizeof memory;	/* SK_MEMINFO_* */

	SYS(__NR_getsockopt, s->number, SOL_SOCKET, SO_MEMINFO, memory, &n);
	uint32_t size = memory[3], alloc = memory[2], queued = memory[5], used = alloc > queued ? alloc : queued;

	return size > used ? (size - used) - (size - used) / 8 : 0;
}

/* Returns 0 (try again), or how the call ends. */
static long side_wait(struct task *t, struct side *s)
{
	if (!s->deadline_ns)
		s->deadline_ns = s->limit_ns ? clock_deadline(s->limit_ns) : FOREVER;
	int before = s->number;
	long r = fd_wait(t, &s->number, (uint32_t)s->events, s->deadline_ns, s->seen);

	if (s->number != before)
		s->generation = load_relaxed(&fd_get(s->number)->generation);
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* Would it accept rather than carry, or does this end of the pipe go the other way? */
static bool side_fits(const struct side *s)
{
	int listens = 0;
	uint32_t n = sizeof listens;

	if (!s->waits)
		return true;
	if (!s->socket)
		return (sys_fcntl(s->number, F_GETFL, 0) & O_ACCMODE) != (s->events == POLLIN ? O_WRONLY : O_RDONLY);
	SYS(__NR_getsockopt, s->number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n);
	return !listens;
}

/* Is there more of sendfile's file? */
static bool file_goes_on(struct way *w)
{
	const int64_t *at = (void *)ARG3(w->frame);
	int64_t position;
	char byte;

	if (at && user_copy(w->task, &position, at, sizeof position) < 0)
		return false;
	if (!at)
		position = SYS(__NR_lseek, w->from.number, 0, SEEK_CUR);

	return gate_blocking(w->task, __NR_pread64, w->from.number, (long)&byte, 1, position, 0, 0) == 1;
}

/* Natively, too, the call would wait now. */
static bool would_wait(struct way *w)
{
	return side_fits(&w->from) && side_fits(&w->into) && (w->frame->nr != __NR_sendfile || file_goes_on(w));
}

/* Which side is to be waited for? A pipe comes before a socket, as in the kernel; one whose other end has gone ends the call. */
static struct side *late(struct way *w)
{
	struct side *order[2] = {&w->from, &w->into};

	if (w->from.socket) {
		order[0] = &w->into;
		order[1] = &w->from;
	}
	for (int i = 0; i < 2; i++) {
		struct side *s = order[i];
		short found;

		if (!s->waits || (s->socket && s->events == POLLOUT && (s->room = room_of(s)) >= SURE))
			continue;
		found = side_poll(s, s->events);
		if (!found)
			return s;
		if (!s->socket && (found & POLLERR || !(found & s->events)))
			return NULL;
	}
	return NULL;
}

/* The call itself, of n bytes at most, with these flags more. */
static long move(struct way *w, size_t n, unsigned flags)
{
	struct arch_frame *f = w->frame;
	int from = w->from.number, into = w->into.number;
	long r;

	switch (f->nr) {
	case __NR_sendfile:
		r = gate_blocking(w->task, __NR_sendfile, into, from, (long)ARG3(f), (long)n, 0, 0);
		break;
	case __NR_splice:
		r = gate_blocking(w->task, __NR_splice, from, (long)ARG2(f), into, (long)ARG4(f), (long)n, (long)ARG6(f) | flags);
		break;
	case __NR_tee:
		r = gate_blocking(w->task, __NR_tee, from, into, (long)n, (long)ARG4(f) | flags, 0, 0);
		break;
	default:
		r = gate_blocking(w->task, __NR_vmsplice, from < 0 ? into : from, (long)ARG2(f), (long)ARG3(f),
				  (long)ARG4(f) | flags, 0, 0);
	}
	if (r > 0)
		w->from.deadline_ns = w->into.deadline_ns = 0;
	return r;
}

static size_t piece(const struct side *into, size_t want)
{
	size_t most = !into->socket ? want : into->room > LEAST ? into->room : LEAST;

	return want < most ? want : most;
}

/* Move at most so many bytes, and wait until some can be moved. */
static long some(struct way *w, size_t want)
{
	bool asks = w->from.socket || w->into.socket || w->frame->nr == __NR_sendfile;

	for (;;) {
		if (side_gone(&w->from) || side_gone(&w->into))
			return -EBADF;
		w->from.seen = w->from.waits ? fd_edges(fd_get(w->from.number)) : 0;
		w->into.seen = w->into.waits ? fd_edges(fd_get(w->into.number)) : 0;
		struct side *s = asks ? late(w) : NULL;
		long r = s ? -EAGAIN : move(w, piece(&w->into, want), SPLICE_F_NONBLOCK);

		if (r != -EAGAIN)
			return r;
		s = s ? s : late(w);
		if (!s || !would_wait(w))	/* or it is not what poll knows that it waits for */
			return move(w, piece(&w->into, want), 0);
		r = side_wait(w->task, s);
		if (r)
			return r;
	}
}

/* Bytes to a socket: all of them, while there are more at once. */
static long all(struct way *w, size_t want)
{
	size_t done = 0;
	long r;

	do {
		r = some(w, want - done);
		if (r > 0)
			done += (size_t)r;
	} while (r > 0 && done < want && !load_relaxed(&w->task->attention) &&
		 (!w->from.waits || side_poll(&w->from, POLLIN) & POLLIN));
	return done ? (long)done : r;
}

static long run(struct way *w, size_t want)
{
	long r = w->into.socket ? all(w, want) : some(w, want);

	fd_let_go(w->from.number, w->from.original);
	fd_let_go(w->into.number, w->into.original);
	return r == -ERESTARTSYS && (w->from.limit_ns || w->into.limit_ns) ? -EINTR : r;
}

/* Both sides, and whether there is anything to wait for. */
static bool way_of(struct way *w, struct task *t, struct arch_frame *f, int from, int into)
{
	w->task = t;
	w->frame = f;
	return side_of(&w->into, into, POLLOUT) && side_of(&w->from, from, POLLIN) && (w->from.waits || w->into.waits);
}

/* The kernel's to make, whole: it may move many bytes without waiting. */
static long kernels(struct task *t, struct arch_frame *f, int from, int into)
{
	return own_has(from) || own_has(into) ? -EBADF : gate_again(t, f);
}

long splice_sendfile(struct task *t, struct arch_frame *f)
{
	size_t want = ARG4(f);
	struct way w;

	if (!want || (ssize_t)want < 0 || !way_of(&w, t, f, (int)ARG2(f), (int)ARG1(f)) || w.from.waits)
		return kernels(t, f, (int)ARG2(f), (int)ARG1(f));
	return run(&w, want < MOST ? want : MOST);
}

long splice_splice(struct task *t, struct arch_frame *f)
{
	size_t want = ARG5(f);
	struct way w;

	if (!want || (ssize_t)want < 0 || ARG6(f) & ~(uint64_t)FLAGS || !way_of(&w, t, f, (int)ARG1(f), (int)ARG3(f)))
		return kernels(t, f, (int)ARG1(f), (int)ARG3(f));
	/* A socket's other side is a pipe, and neither has a position. */
	if ((w.from.socket || w.into.socket) && (w.from.socket == w.into.socket || !w.from.waits || !w.into.waits || ARG2(f) || ARG4(f)))
		return gate_again(t, f);
	return run(&w, want < MOST ? want : MOST);
}

long splice_tee(struct task *t, struct arch_frame *f)
{
	struct way w;

	if (ARG4(f) & SPLICE_F_NONBLOCK || !way_of(&w, t, f, (int)ARG1(f), (int)ARG2(f)) || w.from.socket || w.into.socket)
		return kernels(t, f, (int)ARG1(f), (int)ARG2(f));
	return run(&w, ARG3(f));
}

/* The other side is memory. */
long splice_vmsplice(struct task *t, struct arch_frame *f)
{
	static const struct side memory = {.number = -1, .original = -1};
	struct way w = {.task = t, .frame = f, .from = memory, .into = memory};
	int number = (int)ARG1(f);
	bool in = (sys_fcntl(number, F_GETFL, 0) & O_ACCMODE) == O_RDONLY;
	struct side *pipe = in ? &w.from : &w.into;

	if (ARG4(f) & SPLICE_F_NONBLOCK || !side_of(pipe, number, in ? POLLIN : POLLOUT) || !pipe->waits || pipe->socket)
		return fdtable_refused(number);
	return run(&w, 0);
}
