/* transfer.c -- moving bytes through one descriptor: try without blocking, park, try again */
#include "fd/transfer.h"
#include "clock.h"
#include "gate/user.h"

#define FIRST_LOOK   100000000ll
#define LONGEST_LOOK 1600000000ll

bool transfer_start(struct transfer *x, struct task *t, struct arch_frame *f, bool in)
{
	struct fd *e = fd_get((int)ARG1(f));

	if (!e)
		return false;
	*x = (struct transfer){
		.number = (int)ARG1(f), .original = (int)ARG1(f), .in = in, .fd = e, .task = t, .frame = f,
	};
	return true;
}

/* May the trial be left out? Only where nothing but the peer's next bytes can change the answer, and those make an edge. */
static bool drained(struct transfer *x)
{
	struct fd *e = x->fd;
	uint32_t at = load_relaxed(&e->drained);

	if (!at || !x->in || (e->flags & (FD_HANGUP | FD_TCP | FD_OWN)) != (FD_TCP | FD_OWN))
		return false;
	x->seen = at - 1;
	return e->hub && !x->nonblocking && !(e->flags & FD_NONBLOCK);
}

/* A send on another socket than TCP's ends when either side shuts it down, but epoll says nothing of that while the buffer is
 * full. shutdown(2) on the same number tells (sock.c); for the peer's, and a duplicate's, it looks again from time to time. */
static int64_t next_look(struct transfer *x, int64_t deadline)
{
	if (x->in || load_relaxed(&x->fd->kind) != FD_SOCKET || x->fd->flags & FD_TCP)
		return deadline;
	x->pause = !x->pause ? FIRST_LOOK : x->pause < LONGEST_LOOK ? 2 * x->pause : x->pause;
	int64_t at = clock_deadline(x->pause);

	return at < deadline ? at : deadline;
}

/* Whether the call may wait, and for how long, is settled when it first would. */
static long wait(struct transfer *x, int64_t *deadline)
{
	if (!*deadline) {
		if (x->nonblocking || fd_nonblocking(x->fd, x->number))
			return -EAGAIN;
		int64_t limit = fd_limit(x->fd, x->number, x->in);

		*deadline = limit ? clock_deadline(limit) : FOREVER;
	}
	int64_t until = next_look(x, *deadline);
	long r = fd_wait(x->task, &x->number, x->in ? EPOLLIN : EPOLLOUT, until, x->seen);

	x->fd = fd_get(x->number);
	if (r == -ETIMEDOUT)
		return until < *deadline ? 0 : -EAGAIN;
	if (r == -ERESTARTSYS && *deadline != FOREVER)
		return -EINTR;
	return r;
}

long transfer_run(struct transfer *x)
{
	int64_t deadline = 0;
	size_t done = 0;
	long r = 0;
	bool skip = drained(x);

	for (;;) {
		if (!skip)
			x->seen = fd_edges(x->fd);
		r = skip ? -EAGAIN : x->once(x, done);
		skip = false;
		if (r > 0)
			done += (size_t)r;
		if (r >= 0 && (!x->whole || done >= x->want || (r == 0 && x->in)))
			break;
		if (r >= 0)
			continue;
		if (r != -EAGAIN)
			break;
		r = wait(x, &deadline);
		if (r < 0)
			break;
	}
	fd_let_go(x->number, x->original);
	return done ? (long)done : r;
}

/* Entries are fetched so many at a time. */
#define AT_ONCE 8

static int fetch(struct task *t, struct iovec *to, const struct iovec *from, int at, int n)
{
	return at % AT_ONCE ? 0 : user_copy(t, to, from + at, (size_t)(n - at < AT_ONCE ? n - at : AT_ONCE) * sizeof *to);
}

long iov_bytes(struct task *t, const struct iovec *iov, int n)
{
	struct iovec some[AT_ONCE];
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		if (fetch(t, some, iov, i, n) < 0)
			return -EFAULT;
		sum += some[i % AT_ONCE].iov_len;
		if ((ssize_t)some[i % AT_ONCE].iov_len < 0 || (ssize_t)sum < 0)
			return -EINVAL;
	}
	return (long)sum;
}

int iov_behind(struct task *t, struct iovec *to, int room, const struct iovec *from, int n, size_t done)
{
	struct iovec some[AT_ONCE];
	int k = 0;

	for (int i = 0; i < n && k < room; i++) {
		struct iovec *v = &some[i % AT_ONCE];

		if (fetch(t, some, from, i, n) < 0)
			return -EFAULT;
		if (done >= v->iov_len) {
			done -= v->iov_len;
			continue;
		}
		to[k].iov_base = (char *)v->iov_base + done;
		to[k++].iov_len = v->iov_len - done;
		done = 0;
	}
	return k;
}
