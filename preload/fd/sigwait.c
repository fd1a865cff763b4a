/* sigwait.c -- waiting for signals: sigtimedwait and signalfd without handlers, pause and sigsuspend for them
 *
 * What was sent to the process and is blocked by all tasks is pending in the kernel, and a signalfd sees it come. What was sent
 * to one task is pending in the task: it is looked for first, and ends the park (task.sigwait).
 */
#include <fcntl.h>
#include <sys/signalfd.h>
#include "fd/sigwait.h"
#include "clock.h"
#include "fd/fdtable.h"
#include "signal/signal.h"
#include "gate/user.h"

#define PAUSE 5000000ll

/* There is no descriptor to wait on: look again after a while. */
static long nap(struct task *t, int64_t deadline)
{
	int64_t until = clock_deadline(PAUSE);

	sched_arm(t, PARK_SIGNAL);
	if (sched_park(t, until < deadline ? until : deadline) == WAKE_SIGNAL)
		return -ERESTARTSYS;
	return until < deadline ? 0 : -ETIMEDOUT;
}

static long wait_for(struct task *t, uint64_t set, siginfo_t *info, int64_t deadline)
{
	struct __kernel_timespec zero = {0, 0};
	int number = t->apart ? -1 : fd_lend(__NR_signalfd4, -1, (long)&set, UAPI_SIGSET_SIZE, O_NONBLOCK | O_CLOEXEC);
	long r;

	for (;;) {
		uint32_t seen = number < 0 ? 0 : fd_edges(fd_get(number));

		r = signal_take(t, set, info);
		if (!r)
			r = SYS(__NR_rt_sigtimedwait, &set, info, &zero, UAPI_SIGSET_SIZE);
		if (r != -EAGAIN || deadline == 0)
			break;
		r = number < 0 ? nap(t, deadline) : fd_wait(t, &number, EPOLLIN, deadline, seen);
		if (r == -ETIMEDOUT) {
			deadline = 0;
		} else if (r == -ERESTARTSYS && !(load_seq(&t->sigpending) & set)) {
			r = -EINTR;
			break;
		} else if (r < 0 && r != -ERESTARTSYS) {
			fd_take_back(number);
			number = -1;
		}
	}
	fd_take_back(number);
	return r;
}

long sigwait_rt_sigtimedwait(struct task *t, struct arch_frame *f)
{
	const struct __kernel_timespec *ts = (void *)ARG3(f);
	uint64_t set;
	siginfo_t info;
	int64_t deadline;

	if (ARG4(f) != UAPI_SIGSET_SIZE)
		return -EINVAL;
	if (user_copy(t, &set, (void *)ARG1(f), sizeof set) < 0)
		return -EFAULT;
	deadline = ts ? user_duration(t, ts) : FOREVER;
	if (deadline < 0)
		return deadline;
	if (deadline && deadline != FOREVER)
		deadline = clock_deadline(deadline);
	t->sigwait = set & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	long r = wait_for(t, t->sigwait, &info, deadline);

	t->sigwait = 0;
	if (r > 0 && ARG2(f) && user_copy(t, (void *)ARG2(f), &info, sizeof info) < 0)
		return -EFAULT;	/* and the signal is lost, as natively */
	return r;
}

long sigwait_signalfd(struct task *t, struct arch_frame *f)
{
	uint64_t set;
	uint64_t flags = f->nr == __NR_signalfd ? 0 : ARG4(f);
	struct attempt a = fdtable_attempt();
	long r;

	if (user_copy(t, &set, (void *)ARG2(f), sizeof set) < 0)
		return GATE_NATIVE;
	do
		r = arch_syscall((long)f->nr, (long)ARG1(f), (long)&set, (long)ARG3(f), (long)ARG4(f), 0, 0);
	while (fdtable_again(&r, &a));
	if (r < 0)
		return r;
	if ((int)ARG1(f) < 0)
		fd_new((int)r, FD_SIGNAL, FD_OWN | (flags & O_NONBLOCK ? FD_NONBLOCK : 0));
	if (fd_get((int)r))
		fd_get((int)r)->send_ns = (int64_t)set;	/* nothing is ever sent there: the field holds its set */
	return r;
}

static long once(struct transfer *x, size_t done)
{
	struct signalfd_siginfo out = {0};
	struct iovec first;
	siginfo_t info;
	int sig = signal_take(x->task, x->task->sigwait, &info);

	if (!sig)
		return transfer_try(x, __NR_preadv2, (uintptr_t)x->iov, (uint64_t)x->iov_count, ~0ull, ~0ull, RWF_NOWAIT);
	out.ssi_signo = (uint32_t)sig;
	out.ssi_code = info.si_code;
	out.ssi_pid = (uint32_t)info.si_pid;
	out.ssi_uid = info.si_uid;
	if (user_copy(x->task, &first, x->iov, sizeof first) < 0 || user_copy(x->task, first.iov_base, &out, sizeof out) < 0)
		return -EFAULT;
	return sizeof out;
}

long sigwait_read(struct transfer *x)
{
	struct task *t = x->task;
	long r;

	struct iovec first;

	if (user_copy(t, &first, x->iov, sizeof first) < 0 || first.iov_len < sizeof(struct signalfd_siginfo))
		return GATE_NATIVE;
	x->once = once;
	t->sigwait = (uint64_t)x->fd->send_ns;
	do
		r = transfer_run(x);
	while (r == -ERESTARTSYS && load_seq(&t->sigpending) & t->sigwait);
	t->sigwait = 0;
	return r;
}

static long wait_signal(struct task *t)
{
	sched_arm(t, PARK_SIGNAL);
	if (signal_due(t) && load_relaxed(&t->sigpending) & ~t->sigmask)
		sched_disarm(t);
	else
		sched_park(t, FOREVER);
	return -EINTR;
}

long signal_rt_sigsuspend(struct task *t, struct arch_frame *f)
{
	long r = ARG1(f) ? signal_mask_enter(t, (void *)ARG1(f), ARG2(f)) : -EFAULT;

	if (r < 0)
		return r;
	do
		r = wait_signal(t);
	while (!(load_relaxed(&t->sigpending) & ~t->sigmask));
	signal_mask_leave(t, r);
	return r;
}

long signal_pause(struct task *t, struct arch_frame *f)
{
	long r;

	do
		r = wait_signal(t);
	while (!(load_relaxed(&t->sigpending) & ~t->sigmask));
	return r;
}
