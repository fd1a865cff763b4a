/* mq.c -- POSIX message queues: to send and to receive
 *
 * A queue is a descriptor that poll knows. The same call with a time limit that has passed is the trial: it moves a message or
 * says that it would have waited. So no priority is lost, and no message goes to two; who waits for longest need not be served
 * first, as a task that was woken may find that another one was faster.
 *
 * A receiver that is parked is unknown to the kernel: a message that comes meanwhile is told of to whom has asked by mq_notify,
 * where natively the receiver would get it and nobody be told.
 *
 * What may happen in the middle: the descriptor is closed (the wait goes on on a duplicate, fd.h), a signal, another process's
 * sending and receiving (an edge as any other).
 */
#include "fd/mq.h"
#include "clock.h"
#include "fd/fdtable.h"
#include "gate/user.h"

/* The limit is a point in time of CLOCK_REALTIME. Returns a deadline, or as a negative why the call ends at once. */
static int64_t deadline_of(struct task *t, const struct __kernel_timespec *at)
{
	int64_t ns = FOREVER;

	if (at)
		ns = user_duration(t, at);
	if (ns < 0 || ns == FOREVER)
		return ns;
	ns -= clock_ns(CLOCK_REALTIME);
	return ns > 0 ? clock_deadline(ns) : 0;
}

static long transmit(struct task *t, struct arch_frame *f, uint32_t events)
{
	static const struct __kernel_timespec passed;
	int number = (int)ARG1(f), original = number;
	int64_t deadline = deadline_of(t, (void *)ARG5(f));
	long r = deadline < 0 ? deadline : fdtable_refused(number);

	if (r != GATE_NATIVE || !fd_get(number))
		return r;
	do {
		uint32_t seen = fd_edges(fd_get(number));

		r = gate_blocking(t, (long)f->nr, number, (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)&passed, 0);
		if (r != -ETIMEDOUT)
			break;
		r = fd_wait(t, &number, events, deadline, seen);
	} while (r == 0);
	fd_let_go(number, original);
	return r;
}

long mq_send(struct task *t, struct arch_frame *f)
{
	return transmit(t, f, EPOLLOUT);
}

long mq_receive(struct task *t, struct arch_frame *f)
{
	return transmit(t, f, EPOLLIN);
}
