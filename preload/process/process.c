/* process.c -- fork, vfork, exec, waiting for children
 *
 * A child of vfork (or of clone with CLONE_VM) runs in our memory, on the parent's thread pointer. The task is marked before the
 * raw call; while the mark stands every gate entry compares getpid(): the child passes through and writes nothing.
 */
#include <poll.h>
#include <sys/wait.h>
#include "process/process.h"
#include "clock.h"
#include "process/exec.h"
#include "fd/fd.h"
#include "fork.h"
#include "offload.h"
#include "process/shared.h"
#include "signal/signal.h"

#define PAUSE_NS 10000000ll

int process_id;

long process_fork(struct task *t, struct arch_frame *f)
{
	uint32_t epoch = fd_shared();
	struct task saved;

	STAT_ADD(sched_hub(t), forks, 1);
	shared_hold();
	fork_before(t, &saved);
	long r = arch_syscall((long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), (long)ARG5(f), 0);

	if (r) {
		fork_parent();
		shared_drop();
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
	sched_native_begin(t);	/* it reads files and the program's memory, and goes back to no other carrier before it is covered */
	long r = exec_make(t, f);

	signal_cover();
	sched_native_end(t);
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

/* Any child, or one that stops: a worker waits for the same, and leaves the child to be taken by the call itself. */
static long wait_watch(struct task *t, int kind, int id, uint64_t options)
{
	return offload_watch(t, PARK_CHILD, __NR_waitid, kind, id, 0, (long)(options | WNOWAIT), 0);
}

/* The same in the words of wait4. Returns -ERESTARTSYS, or anything else when it is worth while to look again. */
static long wait_any(struct task *t, int pid, uint64_t options)
{
	int kind = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	long r = -EINVAL;

	if (!(options & __WNOTHREAD))	/* the children of one kernel thread alone: a worker has none */
		r = wait_watch(t, kind, pid == -1 ? 0 : pid > 0 ? pid : -pid, options | WEXITED);
	if (r != -ENOMEM && r != -EINVAL)
		return r;
	sched_arm(t, PARK_CHILD);	/* EINVAL: older than Linux 5.4 */
	return sched_park(t, clock_deadline(PAUSE_NS)) == WAKE_SIGNAL ? -ERESTARTSYS : 0;
}

long process_wait4(struct task *t, struct arch_frame *f)
{
	int pid = (int)ARG1(f);
	uint64_t options = ARG3(f);

	if (options & WNOHANG)
		return GATE_NATIVE;
	for (;;) {
		long r = gate_once(t, __NR_wait4, pid, (long)ARG2(f), (long)options | WNOHANG, (long)ARG4(f), 0, 0);

		if (r)
			return r;
		r = pid > 0 && !options ? wait_pidfd(t, pid) : -EMFILE;
		if (r < 0 && r != -ERESTARTSYS)
			r = wait_any(t, pid, options);
		if (r == -ERESTARTSYS)
			return r;
	}
}

/* The call itself is the kernel's: when a child is there, it does not wait. */
long process_waitid(struct task *t, struct arch_frame *f)
{
	long r = -EMFILE;

	if (ARG4(f) & WNOHANG)
		return GATE_NATIVE;
	if (ARG1(f) == P_PID && (ARG4(f) & ~(uint64_t)WNOWAIT) == WEXITED)
		r = wait_pidfd(t, (int)ARG2(f));
	if (r < 0 && r != -ERESTARTSYS)
		r = wait_watch(t, (int)ARG1(f), (int)ARG2(f), ARG4(f));
	return r == -ERESTARTSYS ? r : GATE_NATIVE;
}
