/* sock.c -- calls on sockets
 *
 * The same call with MSG_DONTWAIT is the trial. accept has no such form: readiness first, then the call (if another process was
 * faster the carrier blocks and its hub is handed on). connect is begun on a description that only we can see with O_NONBLOCK set
 * for a moment; else in the offload pool.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include "fd/sock.h"
#include "clock.h"
#include "fd/fdtable.h"
#include "offload.h"
#include "gate/user.h"

#define FIRST_PAUSE   100000ll
#define LONGEST_PAUSE 5000000ll

/* A short read of a stream means that it is empty now: the next trial would fail. */
static long note_short(struct transfer *x, long r, size_t asked)
{
	bool empty = r > 0 && (size_t)r < asked && x->fd->flags & FD_STREAM;

	if (empty || load_relaxed(&x->fd->drained))
		store_relaxed(&x->fd->drained, empty ? x->seen + 1 : 0);
	return r;
}

static long once_recvfrom(struct transfer *x, size_t done)
{
	struct arch_frame *f = x->frame;
	size_t n = x->want - done;
	long r = transfer_try(x, __NR_recvfrom, ARG2(f) + done, n, (ARG4(f) & ~(uint64_t)MSG_WAITALL) | MSG_DONTWAIT, ARG5(f), ARG6(f));

	return ARG4(f) & MSG_PEEK ? r : note_short(x, r, n);
}

static long once_sendto(struct transfer *x, size_t done)
{
	struct arch_frame *f = x->frame;

	return transfer_try(x, __NR_sendto, ARG2(f) + done, x->want - done, ARG4(f) | MSG_DONTWAIT, ARG5(f), ARG6(f));
}

static long once_read(struct transfer *x, size_t done)
{
	size_t n = x->want - done;

	return note_short(x, transfer_try(x, __NR_recvfrom, ARG2(x->frame) + done, n, MSG_DONTWAIT, 0, 0), n);
}

static long once_write(struct transfer *x, size_t done)
{
	return transfer_try(x, __NR_sendto, ARG2(x->frame) + done, x->want - done, MSG_DONTWAIT, 0, 0);
}

/* Not a socket after all: the number was closed where we could not see. */
static long corrected(struct transfer *x, long r)
{
	if (likely(r != -ENOTSOCK))
		return r;
	fd_closing(x->original);
	return GATE_NATIVE;
}

/* A small buffer just above the frame, as servers have it: its first KiB is fetched with the rest when the task is woken. */
static uint16_t reach(const struct arch_frame *f)
{
	uintptr_t above = ARG2(f) - (uintptr_t)f;

	return above < 1024 ? (uint16_t)(above + (ARG3(f) < 1024 ? ARG3(f) : 1024)) : 0;
}

long sock_simple(struct task *t, struct arch_frame *f, bool in)
{
	struct transfer x;

	if (!transfer_start(&x, t, f, in) || ARG3(f) == 0)
		return GATE_NATIVE;
	x.want = ARG3(f);
	x.whole = !in && x.fd->flags & FD_STREAM;
	x.once = in ? once_read : once_write;
	t->reach = in ? reach(f) : 0;
	long r = transfer_run(&x);

	t->reach = 0;
	return corrected(&x, r);
}

long sock_recvfrom(struct task *t, struct arch_frame *f)
{
	struct transfer x;

	if (!transfer_start(&x, t, f, true) || ARG4(f) & (MSG_DONTWAIT | MSG_ERRQUEUE) || fd_kind_of(x.fd, x.number) != FD_SOCKET)
		return GATE_NATIVE;
	x.want = ARG3(f);
	x.whole = ARG4(f) & MSG_WAITALL && x.fd->flags & FD_STREAM && !(ARG4(f) & MSG_PEEK);
	if (ARG4(f) & MSG_WAITALL && ARG4(f) & MSG_PEEK)
		return GATE_NATIVE;
	x.once = once_recvfrom;
	t->reach = reach(f);
	long r = transfer_run(&x);

	t->reach = 0;
	return corrected(&x, r);
}

long sock_sendto(struct task *t, struct arch_frame *f)
{
	struct transfer x;

	if (!transfer_start(&x, t, f, false) || ARG4(f) & MSG_DONTWAIT || fd_kind_of(x.fd, x.number) != FD_SOCKET)
		return GATE_NATIVE;
	x.want = ARG3(f);
	x.whole = x.fd->flags & FD_STREAM;
	x.once = once_sendto;
	return corrected(&x, transfer_run(&x));
}

/* sendmsg and recvmsg. The first trial gives the kernel the caller's own struct, and what it has taken can be read here. Behind
 * the first part of a partial transfer the ancillary data has gone. */
static long once_message(struct transfer *x, size_t done)
{
	uint64_t flags = (ARG3(x->frame) & ~(uint64_t)MSG_WAITALL) | MSG_DONTWAIT;
	long nr = x->in ? __NR_recvmsg : __NR_sendmsg;
	struct msghdr *user = x->arg, m;
	struct iovec some[8];

	if (!done) {
		long r = transfer_try(x, nr, (uintptr_t)user, flags, 0, 0, 0), want = 0;

		if (r <= 0 || (x->in && !x->whole))
			return r;
		if (user_copy(x->task, &m, user, sizeof m) < 0)
			m.msg_iovlen = m.msg_controllen = 0;	/* it has gone meanwhile: what was moved is moved */
		want = x->whole ? iov_bytes(x->task, m.msg_iov, (int)m.msg_iovlen) : 0;
		x->want = want > 0 ? (size_t)want : 0;
		if (!x->in && m.msg_controllen)
			fd_shared();	/* descriptors may be on their way to another process */
		return r;
	}
	if (user_copy(x->task, &m, user, sizeof m) < 0)
		return -EFAULT;
	int n = iov_behind(x->task, some, 8, m.msg_iov, (int)m.msg_iovlen, done);

	if (n < 0)
		return n;
	m.msg_iov = some;
	m.msg_iovlen = (size_t)n;
	m.msg_control = NULL;
	m.msg_controllen = 0;
	return transfer_try(x, nr, (uintptr_t)&m, flags, 0, 0, 0);
}

static long message(struct task *t, struct arch_frame *f, bool in)
{
	struct transfer x;

	if (!transfer_start(&x, t, f, in) || ARG3(f) & (MSG_DONTWAIT | MSG_ERRQUEUE) || fd_kind_of(x.fd, x.number) != FD_SOCKET)
		return GATE_NATIVE;
	x.arg = (void *)ARG2(f);
	x.whole = x.fd->flags & FD_STREAM && (!in || (ARG3(f) & MSG_WAITALL && !(ARG3(f) & MSG_PEEK)));
	x.once = once_message;
	store_relaxed(&x.fd->drained, 0);
	return corrected(&x, transfer_run(&x));
}

long sock_recvmsg(struct task *t, struct arch_frame *f)
{
	return message(t, f, true);
}

long sock_sendmsg(struct task *t, struct arch_frame *f)
{
	return message(t, f, false);
}

static long once_vector(struct transfer *x, size_t done)
{
	struct iovec some[8];
	struct msghdr m = {.msg_iov = x->iov, .msg_iovlen = (size_t)x->iov_count};

	if (done) {
		int n = iov_behind(x->task, some, 8, x->iov, x->iov_count, done);

		if (n < 0)
			return n;
		m.msg_iov = some;
		m.msg_iovlen = (size_t)n;
	}
	return transfer_try(x, x->in ? __NR_recvmsg : __NR_sendmsg, (uintptr_t)&m, MSG_DONTWAIT, 0, 0, 0);
}

long sock_vector(struct transfer *x)
{
	long want = iov_bytes(x->task, x->iov, x->iov_count);

	if (want <= 0)
		return GATE_NATIVE;
	x->want = (size_t)want;
	x->whole = !x->in && x->fd->flags & FD_STREAM;
	x->once = once_vector;
	store_relaxed(&x->fd->drained, 0);
	return corrected(x, transfer_run(x));
}

/* Wait until the first message can move, then move as many as go without waiting; MSG_WAITFORONE is what that is. */
static long messages(struct task *t, struct arch_frame *f, bool in)
{
	struct fd *e = fd_get((int)ARG1(f));
	int number = (int)ARG1(f), original = number;
	int64_t limit = FOREVER;
	unsigned done = 0;
	long r = 0;

	if (!e || ARG4(f) & MSG_DONTWAIT || fd_kind_of(e, number) != FD_SOCKET || fd_nonblocking(e, number))
		return GATE_NATIVE;
	if (in && ARG5(f)) {
		limit = user_deadline(t, (void *)ARG5(f));
		if (limit < 0)
			return limit;
	} else if (in ? e->receive_ns : e->send_ns) {
		limit = clock_deadline(in ? e->receive_ns : e->send_ns);
	}
	if (!in)
		fd_shared();
	while (done < (unsigned)ARG3(f)) {
		char *at = (char *)ARG2(f) + done * sizeof(struct mmsghdr);

		uint32_t seen = fd_edges(fd_get(number));

		r = gate_once(t, in ? __NR_recvmmsg : __NR_sendmmsg, number, (long)at, (long)ARG3(f) - done,
			      (long)ARG4(f) | MSG_DONTWAIT, 0, 0);
		if (r > 0)
			done += (unsigned)r;
		if (r > 0 && (!in || !(ARG4(f) & MSG_WAITFORONE)) && limit > clock_now())
			continue;
		if (r != -EAGAIN)
			break;
		r = fd_wait(t, &number, in ? EPOLLIN : EPOLLOUT, limit, seen);
		if (r < 0)
			break;
	}
	fd_let_go(number, original);
	return done ? (long)done : r == -ETIMEDOUT ? -EAGAIN : r;
}

long sock_recvmmsg(struct task *t, struct arch_frame *f)
{
	return messages(t, f, true);
}

long sock_sendmmsg(struct task *t, struct arch_frame *f)
{
	return messages(t, f, false);
}

/* A call on what does not listen is refused at once. */
static bool listens(int number)
{
	int answer = 0;
	uint32_t n = sizeof answer;

	return SYS(__NR_getsockopt, number, SOL_SOCKET, SO_ACCEPTCONN, &answer, &n) == 0 && answer;
}

static long accept_on(struct task *t, struct arch_frame *f, int flags)
{
	struct fd *e = fd_get((int)ARG1(f));
	int number = (int)ARG1(f), original = number;
	int64_t deadline = FOREVER;
	struct attempt a = fdtable_attempt();
	long r;

	if (!e || fd_kind_of(e, number) != FD_SOCKET || fd_nonblocking(e, number))
		return fdtable_make(t, f);
	int64_t receive = fd_limit(e, number, true), send = fd_limit(e, number, false);
	uint8_t kept = e->flags & (FD_STREAM | FD_TCP);

	if (receive)
		deadline = clock_deadline(receive);
	for (;;) {
		struct pollfd p = {number, POLLIN, 0};
		uint32_t seen = fd_edges(fd_get(number));

		if (sys_poll(&p, 1) || flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) || !listens(number)) {
			r = gate_blocking(t, __NR_accept4, number, (long)ARG2(f), (long)ARG3(f), flags, 0, 0);
			if (fdtable_again(&r, &a))
				continue;
			break;
		}
		r = fd_wait(t, &number, EPOLLIN, deadline, seen);
		if (r < 0)
			break;
	}
	fd_let_go(number, original);
	if (r >= 0) {
		fd_new((int)r, FD_SOCKET, (uint8_t)(kept | FD_OWN | (flags & SOCK_NONBLOCK ? FD_NONBLOCK : 0)));
		if (fd_get((int)r)) {
			fd_get((int)r)->receive_ns = receive;
			fd_get((int)r)->send_ns = send;
		}
	}
	return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && deadline != FOREVER ? -EINTR : r;
}

long sock_accept(struct task *t, struct arch_frame *f)
{
	return accept_on(t, f, 0);
}

long sock_accept4(struct task *t, struct arch_frame *f)
{
	return accept_on(t, f, (int)ARG4(f));
}

/* The connection is under way: wait for its end. A signal leaves it under way, as natively. */
static long connected(struct task *t, int number, int64_t limit_ns)
{
	int original = number, error = 0;
	uint32_t n = sizeof error;
	int64_t deadline = limit_ns ? clock_deadline(limit_ns) : FOREVER;
	struct pollfd p = {number, POLLOUT, 0};
	long r = 0;

	while (r == 0) {
		uint32_t seen = fd_edges(fd_get(number));

		p.fd = number;
		if (sys_poll(&p, 1))
			break;
		r = fd_wait(t, &number, EPOLLOUT, deadline, seen);
	}
	if (r == 0)
		r = SYS(__NR_getsockopt, number, SOL_SOCKET, SO_ERROR, &error, &n);
	fd_let_go(number, original);
	if (r < 0)
		return r == -ETIMEDOUT ? -EINPROGRESS : r == -ERESTARTSYS ? -EINTR : r;
	return -error;
}

long sock_connect(struct task *t, struct arch_frame *f)
{
	struct fd *e = fd_get((int)ARG1(f));
	int number = (int)ARG1(f);

	if (!e || fd_kind_of(e, number) != FD_SOCKET || fd_nonblocking(e, number))
		return GATE_NATIVE;
	if (!(e->flags & FD_OWN) || e->send_ns)
		return offload_call(t, __NR_connect, number, (long)ARG2(f), (long)ARG3(f), 0, 0, 0);
	long fl = sys_fcntl(number, F_GETFL, 0), r;

	for (int64_t pause = FIRST_PAUSE;; pause *= 2) {
		sys_fcntl(number, F_SETFL, fl | O_NONBLOCK);
		r = gate_once(t, __NR_connect, number, (long)ARG2(f), (long)ARG3(f), 0, 0, 0);
		sys_fcntl(number, F_SETFL, fl);
		if (r != -EAGAIN)
			break;
		/* A local socket whose listener's queue is full: no event tells when there is room. */
		sched_arm(t, PARK_WRITE);
		if (sched_park(t, clock_deadline(pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE)) == WAKE_SIGNAL)
			return -ERESTARTSYS;
	}
	if (r == -EINPROGRESS || r == -EALREADY)
		return connected(t, number, e->send_ns);
	return r;
}

/* What waits there has to look: of a send that it ends epoll says nothing. */
long sock_shutdown(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f);
	long r = own_has(number) ? -EBADF : gate_blocking(t, __NR_shutdown, number, (long)ARG2(f), 0, 0, 0, 0);

	if (r == 0)
		fd_poke(number);
	return r;
}

long sock_setsockopt(struct task *t, struct arch_frame *f)
{
	struct fd *e = fd_get((int)ARG1(f));
	long r = own_has((int)ARG1(f)) ? -EBADF : gate_blocking(t, __NR_setsockopt, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f),
								(long)ARG4(f), (long)ARG5(f), 0);

	if (!e || r < 0 || ARG2(f) != SOL_SOCKET)
		return r;
	if (ARG3(f) == SO_RCVTIMEO || ARG3(f) == SO_SNDTIMEO || ARG3(f) == 66 || ARG3(f) == 67) {
		store_relaxed(&e->kind, FD_UNKNOWN);	/* asked anew at the next call */
	} else if (ARG3(f) == SO_RCVLOWAT) {
		__atomic_fetch_and(&e->flags, (uint8_t)~FD_TCP, __ATOMIC_RELAXED);	/* no trial is left out any more */
	}
	return r;
}

static uint8_t flags_of(uint64_t domain, uint64_t type)
{
	bool stream = (type & 0xf) == SOCK_STREAM;

	return (uint8_t)(FD_OWN | (stream ? FD_STREAM : 0) | (stream && (domain == AF_INET || domain == AF_INET6) ? FD_TCP : 0) |
			 (type & SOCK_NONBLOCK ? FD_NONBLOCK : 0));
}

long sock_socket(struct task *t, struct arch_frame *f)
{
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = gate_same(t, f);	/* it may load a module */
	while (fdtable_again(&r, &a));

	if (r >= 0)
		fd_new((int)r, FD_SOCKET, flags_of(ARG1(f), ARG2(f)));
	return r;
}

long sock_socketpair(struct task *t, struct arch_frame *f)
{
	int made[2];
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = SYS(__NR_socketpair, ARG1(f), ARG2(f), ARG3(f), made);
	while (fdtable_again(&r, &a));

	if (r == 0)
		r = fdtable_pair(t, made, (int *)ARG4(f), &a);
	for (int i = 0; r == 0 && i < 2; i++)
		fd_new(made[i], FD_SOCKET, flags_of(ARG1(f), ARG2(f)));
	return r;
}
