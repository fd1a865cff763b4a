/* uring.c -- io_uring: waiting for completions
 *
 * A ring is a descriptor that poll finds readable while it holds a completion. What the call submits is submitted first, by a
 * call of its own; then the same call with a time limit of zero is the trial. Only a wait for one completion is ours: of more
 * than one poll does not tell whether they are there. And only on a ring that any kernel thread may enter, which was made here
 * after activation: a ring for one thread alone (IORING_SETUP_SINGLE_ISSUER) must be waited for where it was submitted to.
 *
 * Who else: the kernel finishes a request of a carrier in that carrier, which leaves epoll_pwait2 for it; another thread that
 * reaps the same ring (the trial finds nothing, and the task waits again; natively the call ends, as something did come); a close
 * of the ring (the wait goes on on a duplicate, fd.h); a signal (EINTR, as natively, whatever its SA_RESTART).
 */
#include <linux/io_uring.h>
#include "fd/uring.h"
#include "fd/fdtable.h"
#include "gate/user.h"

/* What IORING_ENTER_EXT_ARG points to; older headers have a pad in the place of least_us. */
struct wait_arg {
	uint64_t sigmask;
	uint32_t sigmask_size, least_us;
	uint64_t ts;
};

/* Which older headers lack: IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_REGISTERED_FD_ONLY. */
#define FOR_ONE	  (1u << 12)
#define NO_NUMBER (1u << 15)

#define OURS (IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_EXT_ARG)

static long enter(struct task *t, int number, uint64_t submit, uint64_t least, uint64_t flags, const void *arg, size_t size)
{
	return gate_blocking(t, __NR_io_uring_enter, number, (long)submit, (long)least, (long)flags, (long)arg, (long)size);
}

/* The deadline of a wait that is ours; negative: it is not. */
static int64_t deadline_of(struct task *t, const struct arch_frame *f)
{
	struct wait_arg arg;

	if (((uint32_t)ARG4(f) & ~(uint32_t)OURS) || !(ARG4(f) & IORING_ENTER_GETEVENTS) || (uint32_t)ARG3(f) != 1)
		return -EINVAL;
	if (!(ARG4(f) & IORING_ENTER_EXT_ARG))
		return ARG5(f) ? -EINVAL : FOREVER;	/* a signal mask */
	if (ARG6(f) != sizeof arg || user_copy(t, &arg, (void *)ARG5(f), sizeof arg) < 0 || arg.sigmask || arg.least_us)
		return -EINVAL;
	return user_deadline(t, (void *)arg.ts);
}

static long reap(struct task *t, int *number, int64_t deadline)
{
	static const struct __kernel_timespec none;
	const struct wait_arg arg = {.ts = (uintptr_t)&none};
	long r;

	do {
		uint32_t seen = fd_edges(fd_get(*number));

		r = enter(t, *number, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
		if (r != -ETIME)
			return r;
		r = fd_wait(t, number, EPOLLIN, deadline, seen);
	} while (r == 0);
	return r == -ETIMEDOUT ? -ETIME : r;
}

long uring_setup(struct task *t, struct arch_frame *f)
{
	uint32_t flags;
	struct attempt a = fdtable_attempt();
	long r;

	if (user_copy(t, &flags, &((struct io_uring_params *)ARG2(f))->flags, sizeof flags) < 0 || flags & NO_NUMBER)
		return GATE_NATIVE;
	do
		r = gate_again(t, f);
	while (fdtable_again(&r, &a));
	if (r >= 0)
		fd_new((int)r, flags & FOR_ONE ? FD_PLAIN : FD_RING, FD_OWN);
	return r;
}

long uring_enter(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f), original = number;
	struct fd *e = fd_get(number);
	uint32_t submit = (uint32_t)ARG2(f);
	int64_t deadline = deadline_of(t, f);
	long submitted = 0, r;

	if (deadline < 0 || !e || load_relaxed(&e->kind) != FD_RING)
		return fdtable_refused(number);
	if (submit || ARG4(f) & IORING_ENTER_SQ_WAKEUP)
		submitted = enter(t, number, submit, 0, ARG4(f) & IORING_ENTER_SQ_WAKEUP, NULL, 0);
	if (submitted != (long)submit)
		return submitted;
	r = reap(t, &number, deadline);
	fd_let_go(number, original);
	return submitted ? submitted : r == -ERESTARTSYS ? -EINTR : r;
}
