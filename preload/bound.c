/* bound.c -- calls that change one kernel thread and what it makes */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include "bound.h"

long bound_make(struct task *t)
{
	int r = load_seq(&carrier_others) ? sched_bind(t) : 0;

	return r < 0 ? r : GATE_NATIVE;
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
