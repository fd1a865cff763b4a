/* transfer.h -- moving bytes through one descriptor: try without blocking, park, try again
 *
 * A transfer that moves something has a result, whatever comes after: a signal or a time-out in the middle of a long write
 * returns what was written.
 */
#ifndef PRELOAD_TRANSFER_H
#define PRELOAD_TRANSFER_H

#include "fd/fd.h"

struct transfer {
	int number;		/* the descriptor; another one after the program closed it under us */
	int original;
	bool in;
	bool whole;		/* go on until all is moved: blocking writes to streams, MSG_WAITALL */
	bool nonblocking;	/* this call asks not to wait */
	struct fd *fd;
	long (*once)(struct transfer *x, size_t done);	/* one trial behind `done' bytes: >= 0, -EAGAIN or another error */
	size_t want;		/* bytes in all, when `whole' */
	struct arch_frame *frame;
	struct iovec *iov;
	int iov_count;
	struct task *task;
	uint32_t seen;		/* edges before the last trial */
	void *arg;
	int64_t pause;		/* until a send looks again by itself */
};

/* transfer_run -- run it to its end. Returns as the system call does; -ERESTARTSYS when a signal came before anything moved. */
long transfer_run(struct transfer *x);

/* transfer_start -- fill in what follows from the descriptor. False: leave the call to the kernel. */
bool transfer_start(struct transfer *x, struct task *t, struct arch_frame *f, bool in);

/* iov_behind -- copy an array of buffers, which may be the program's, without its first `done' bytes. Returns how many are left (at
 * most `room'), or -EFAULT. */
int iov_behind(struct task *t, struct iovec *to, int room, const struct iovec *from, int n, size_t done);

/* iov_bytes -- the sum of their lengths; -EFAULT, -EINVAL when the kernel would not take them. */
long iov_bytes(struct task *t, const struct iovec *iov, int n);

static inline long transfer_try(struct transfer *x, long nr, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	return gate_once(x->task, nr, x->number, (long)b, (long)c, (long)d, (long)e, (long)f);
}

#endif
