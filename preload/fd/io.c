/* io.c -- read, write and their kin on every kind of descriptor */
#include <fcntl.h>
#include <poll.h>
#include "fd/io.h"
#include "fd/procname.h"
#include "fd/fdtable.h"
#include "offload.h"
#include "fd/sigwait.h"
#include "fd/sock.h"

#define PIECE 4096	/* what a FIFO is sure to take when poll says that it takes something */

static long once_nowait(struct transfer *x, size_t done)
{
	struct iovec some[8];
	int n = done ? iov_behind(x->task, some, 8, x->iov, x->iov_count, done) : x->iov_count;
	long r = n < 0 ? n : transfer_try(x, x->in ? __NR_preadv2 : __NR_pwritev2, (uintptr_t)(done ? some : x->iov), (uint64_t)n,
					  ~0ull, ~0ull, RWF_NOWAIT);

	if (r == -EOPNOTSUPP)		/* not what we took it for */
		store_relaxed(&x->fd->kind, FD_POLLED);
	return r;
}

/* A terminal in raw mode whose read ends by VMIN bytes or VTIME: what poll says is not enough. */
static bool raw_terminal(struct transfer *x)
{
	struct { uint32_t iflag, oflag, cflag, lflag; uint8_t line, cc[19]; } tio;

	return x->in && load_relaxed(&x->fd->kind) == FD_TTY && SYS(__NR_ioctl, x->number, 0x5401 /* TCGETS */, &tio) == 0 &&
	       !(tio.lflag & 2 /* ICANON */) && (tio.cc[5] /* VTIME */ || tio.cc[6] /* VMIN */ != 1);
}

/* Is it open for this? Else the call is refused at once, though it is not ready. */
static bool fits(const struct transfer *x)
{
	return (sys_fcntl(x->number, F_GETFL, 0) & O_ACCMODE) != (x->in ? O_WRONLY : O_RDONLY);
}

static long once_polled(struct transfer *x, size_t done)
{
	struct pollfd p = {x->number, x->in ? POLLIN : POLLOUT, 0};
	struct iovec some[8];
	int n;

	if (sys_poll(&p, 1) == 0 && fits(x))
		return -EAGAIN;
	if (x->in)
		return gate_blocking(x->task, __NR_readv, x->number, (long)x->iov, x->iov_count, 0, 0, 0);
	n = iov_behind(x->task, some, 8, x->iov, x->iov_count, done);
	if (n < 0)
		return n;
	if (x->want > PIECE) {	/* a piece that it takes for sure */
		n = 1;
		if (some[0].iov_len > PIECE)
			some[0].iov_len = PIECE;
	}
	return gate_blocking(x->task, __NR_writev, x->number, (long)some, n, 0, 0, 0);
}

static long transfer_iov(struct transfer *x, enum fd_kind kind)
{
	if (fd_nonblocking(x->fd, x->number))
		return GATE_NATIVE;
	if (kind == FD_TTY && raw_terminal(x))
		return offload_call(x->task, __NR_readv, x->number, (long)x->iov, x->iov_count, 0, 0, 0);
	x->whole = !x->in && (kind == FD_PIPE || kind == FD_POLLED || kind == FD_TTY);
	long want = iov_bytes(x->task, x->iov, x->iov_count);

	if (want <= 0)
		return GATE_NATIVE;	/* a bad array is the kernel's to refuse */
	x->want = (size_t)want;
	x->once = kind == FD_PIPE || ((kind == FD_NOWAIT_IN || kind == FD_TIMER) && x->in) ? once_nowait : once_polled;
	long r = transfer_run(x);

	if (r == -EOPNOTSUPP && x->once == once_nowait) {
		x->once = once_polled;
		r = transfer_run(x);
	}
	return r;
}

static long vector(struct task *t, struct arch_frame *f, bool in, struct iovec *iov, int n)
{
	struct transfer x;

	if (!transfer_start(&x, t, f, in) || n <= 0)
		return fdtable_refused((int)ARG1(f));
	x.iov = iov;
	x.iov_count = n;
	switch (fd_kind_of(x.fd, x.number)) {
	case FD_SOCKET:
		return sock_vector(&x);
	case FD_PIPE:
	case FD_NOWAIT_IN:
	case FD_POLLED:
	case FD_TTY:
		return transfer_iov(&x, load_relaxed(&x.fd->kind));
	case FD_TIMER:
	case FD_POLLED_IN:
		if (!in)
			return fdtable_refused(x.number);
		return transfer_iov(&x, load_relaxed(&x.fd->kind));
	case FD_SIGNAL:
		return in ? sigwait_read(&x) : GATE_NATIVE;
	case FD_NAME:
		return in ? GATE_NATIVE : procname_write(&x);
	default:	/* what moves more than a page in the kernel ends early at a signal, if it is a device */
		return n > 1 || iov->iov_len > PAGE ? fdtable_long(t, f) : fdtable_refused(x.number);
	}
}

static long single(struct task *t, struct arch_frame *f, bool in)
{
	struct fd *e = fd_get((int)ARG1(f));

	if (e && fd_kind_of(e, (int)ARG1(f)) == FD_SOCKET)
		return sock_simple(t, f, in);
	struct iovec iov = {(void *)ARG2(f), ARG3(f)};

	return vector(t, f, in, &iov, 1);
}

long io_read(struct task *t, struct arch_frame *f)
{
	return single(t, f, true);
}

long io_write(struct task *t, struct arch_frame *f)
{
	return single(t, f, false);
}

static long checked_vector(struct task *t, struct arch_frame *f, bool in)
{
	if (ARG3(f) - 1 >= 1024)
		return GATE_NATIVE;
	return vector(t, f, in, (void *)ARG2(f), (int)ARG3(f));
}

long io_readv(struct task *t, struct arch_frame *f)
{
	return checked_vector(t, f, true);
}

long io_writev(struct task *t, struct arch_frame *f)
{
	return checked_vector(t, f, false);
}

/* With offset -1 and no flags they are readv and writev. */
long io_preadv2(struct task *t, struct arch_frame *f)
{
	return ARG4(f) == ~0ull && ARG6(f) == 0 ? checked_vector(t, f, true) : fdtable_long(t, f);
}

long io_pwritev2(struct task *t, struct arch_frame *f)
{
	return ARG4(f) == ~0ull && ARG6(f) == 0 ? checked_vector(t, f, false) : fdtable_long(t, f);
}

/* Calls that name no descriptor first, and that a signal may cut short while the kernel works. */
long io_long(struct task *t, struct arch_frame *f)
{
	return gate_again(t, f);
}
