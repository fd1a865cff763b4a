/* process.c -- fork, vfork, exec, waiting for children
 *
 * A child of vfork (or of clone with CLONE_VM) runs in our memory, on the parent's thread pointer. The task is marked before the
 * raw call; while the mark stands every gate entry compares getpid(): the child passes through and writes nothing.
 */
#include <poll.h>
#include <sys/wait.h>
#include "process.h"
#include "clock.h"
#include "credential.h"
#include "exec.h"
#include "fd.h"
#include "fork.h"
#include "log.h"
#include "offload.h"
#include "shared.h"
#include "signal.h"

#define FIRST_PAUSE   200000ll
#define LONGEST_PAUSE 10000000ll

int process_id;

long process_fork(struct task *t, struct arch_frame *f)
{
	uint32_t epoch = fd_shared();
	struct task saved;

	STAT_ADD(sched_hub(t), forks, 1);
	fork_before(t, &saved);
	long r = arch_syscall((long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)ARG5(f), 0);

	if (r) {
		fork_parent();
		return r;
	}
	process_id = (int)sys_getpid();
	if (saved.apart) {
		*t = saved;	/* it is gone, as all that is anew, and the way out of here looks at it */
		signal_give_back(t);
		gate_calls = 0;
		return 0;
	}
	fork_child(t, &saved);
	fd_child(epoch);
	signal_child(t);
	return 0;
}

long process_fork_call(struct task *t, struct arch_frame *f)
{
	return process_fork(t, f);
}

long process_vfork(struct task *t, struct arch_frame *f)
{
	signal_expose(t);
	t->vfork = true;
	return GATE_NATIVE;
}

long process_vfork_call(struct task *t, struct arch_frame *f)
{
	return process_vfork(t, f);
}

bool process_vfork_child(struct task *t)
{
	if (sys_getpid() != process_id)
		return true;
	t->vfork = false;
	exec_forget(t);
	signal_cover();
	return false;
}

long process_execve(struct task *t, struct arch_frame *f)
{
	signal_expose(t);
	long r = exec_make(t, f);

	signal_cover();
	return r;
}

/* Park until a child of ours has ended. Returns 0, or -errno when it cannot be done this way. */
static long wait_pidfd(struct task *t, int pid)
{
	int number = fd_lend(__NR_pidfd_open, pid, 0, 0, 0);
	long r = 0;

	while (r == 0 && number >= 0) {
		struct pollfd p = {number, POLLIN, 0};
		uint32_t seen = fd_edges(fd_get(number));

		if (sys_poll(&p, 1))
			break;
		r = fd_wait(t, &number, EPOLLIN, FOREVER, seen);
	}
	fd_take_back(number);
	return r || number >= 0 ? r : -EMFILE;
}

/* Any child, or one that stops: nothing tells of these. Look again after a while. */
static long pause_for(struct task *t, int64_t ns)
{
	sched_arm(t, PARK_CHILD);
	return sched_park(t, clock_deadline(ns)) == WAKE_SIGNAL ? -ERESTARTSYS : 0;
}

long process_wait4(struct task *t, struct arch_frame *f)
{
	int pid = (int)ARG1(f);
	uint64_t options = ARG3(f);

	if (options & WNOHANG)
		return GATE_NATIVE;
	for (int64_t pause = FIRST_PAUSE;; pause = pause < LONGEST_PAUSE ? 2 * pause : pause) {
		long r = SYS(__NR_wait4, pid, ARG2(f), options | WNOHANG, ARG4(f));

		if (r)
			return r;
		r = pid > 0 && !options ? wait_pidfd(t, pid) : -EMFILE;
		if (r < 0 && r != -ERESTARTSYS)
			r = pause_for(t, pause);
		if (r < 0)
			return r;
	}
}

long process_waitid(struct task *t, struct arch_frame *f)
{
	long r;

	if (ARG4(f) & WNOHANG)
		return GATE_NATIVE;
	if (ARG1(f) == P_PID && (ARG4(f) & ~(uint64_t)WNOWAIT) == WEXITED) {
		r = wait_pidfd(t, (int)ARG2(f));
		if (r == -ERESTARTSYS)
			return r;
		if (r == 0)
			return GATE_NATIVE;
	}
	return offload_call(t, __NR_waitid, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)ARG5(f), 0);
}
