/* bound.c -- calls that change one kernel thread and what it makes */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include "gate/bound.h"
#include "gate/user.h"

long bound_make(struct task *t)
{
	int r = load_seq(&carrier_others) ? sched_bind(t) : 0;

	return r < 0 ? r : GATE_NATIVE;
}

long bound_apart(struct task *t)
{
	long r = bound_make(t);

	t->apart = t->bound;
	return r;
}

bool bound_keeps(int nr)
{
	switch (nr) {
	case __NR_futex: case __NR_clone: case __NR_clone3: case __NR_fork: case __NR_vfork: case __NR_execve: case __NR_execveat:
	case __NR_exit: case __NR_gettid: case __NR_set_tid_address: case __NR_set_robust_list: case __NR_get_robust_list:
	case __NR_rseq: case __NR_rt_sigaction: case __NR_rt_sigprocmask: case __NR_rt_sigpending: case __NR_rt_sigtimedwait:
	case __NR_rt_sigsuspend: case __NR_pause: case __NR_sigaltstack: case __NR_tkill: case __NR_tgkill: case __NR_timer_create:
	case __NR_timer_delete: case __NR_timer_getoverrun: case __NR_mmap: case __NR_munmap: case __NR_mprotect: case __NR_mremap:
	case __NR_madvise: case __NR_shmat: case __NR_setuid: case __NR_setgid: case __NR_setreuid: case __NR_setregid:
	case __NR_setresuid: case __NR_setresgid: case __NR_setgroups: case __NR_sched_setscheduler: case __NR_sched_getscheduler:
	case __NR_sched_setparam: case __NR_sched_getparam: case __NR_sched_setaffinity: case __NR_sched_getaffinity:
		return true;
	default:
		return false;
	}
}

long bound_call(struct task *t, struct arch_frame *f)
{
	(void)f;
	return bound_make(t);
}

/* Many programs state the capabilities that they have anyway. */
long bound_capset(struct task *t, struct arch_frame *f)
{
	const struct __user_cap_header_struct *head = (void *)ARG1(f);
	struct __user_cap_header_struct mine = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct have[2];
	const void *want = (void *)ARG2(f);

	if (!user_readable(head, sizeof *head) || head->version != mine.version || !user_readable(want, sizeof have))
		return bound_make(t);
	if (SYS(__NR_capget, &mine, have) == 0 && !memcmp(have, want, sizeof have))
		return GATE_NATIVE;
	return bound_make(t);
}

/* Their only way to ask is to set what cannot be. */
long bound_fsid(struct task *t, struct arch_frame *f)
{
	uint32_t id = (uint32_t)ARG1(f);

	return id == ~0u || (uint32_t)SYS(f->nr, -1) == id ? GATE_NATIVE : bound_make(t);
}

/* What only a process of one thread may have is refused by the kernel. */
long bound_unshare(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) & CLONE_FILES)
		return bound_apart(t);
	return ARG1(f) & ~(uint64_t)(CLONE_THREAD | CLONE_VM | CLONE_SIGHAND) ? bound_make(t) : GATE_NATIVE;
}

bool bound_prctl(const struct arch_frame *f)
{
	switch (ARG1(f)) {
	case PR_SET_NO_NEW_PRIVS:
		return ARG2(f) == 1 && SYS(__NR_prctl, PR_GET_NO_NEW_PRIVS) == 0;
	case PR_SET_SECUREBITS:
		return SYS(__NR_prctl, PR_GET_SECUREBITS) != (long)ARG2(f);
	case PR_SET_KEEPCAPS:
		return SYS(__NR_prctl, PR_GET_KEEPCAPS) != (long)ARG2(f);
	case PR_SET_TIMERSLACK:
		return SYS(__NR_prctl, PR_GET_TIMERSLACK) != (long)ARG2(f);
	case PR_CAPBSET_DROP:
		return SYS(__NR_prctl, PR_CAPBSET_READ, ARG2(f)) == 1;
	case PR_CAP_AMBIENT:
		return ARG2(f) != PR_CAP_AMBIENT_IS_SET;
	default:
		return false;
	}
}

/* The kernel calls 20 - nice what it returns. */
long bound_nice(struct task *t, struct arch_frame *f)
{
	long r = SYS(__NR_getpriority, 0, 0) == 20 - (int)ARG3(f) ? 0 : bound_make(t);

	return r < 0 && r != GATE_NATIVE ? r : SYS(__NR_setpriority, 0, 0, ARG3(f));
}
