/* sigcall.c -- the calls about what one thread blocks, and where its handlers run: they touch the caller alone */
#include "signal/signal.h"
#include "gate/user.h"

long signal_rt_sigprocmask(struct task *t, struct arch_frame *f)
{
	const uint64_t *set = (void *)ARG2(f);
	uint64_t *old = (void *)ARG3(f), was = t->sigmask, bits;

	if (ARG4(f) != UAPI_SIGSET_SIZE)
		return -EINVAL;
	if (set) {
		if (user_copy(t, &bits, set, sizeof bits) < 0)
			return -EFAULT;
		bits &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
		if (ARG1(f) == SIG_BLOCK)
			t->sigmask |= bits;
		else if (ARG1(f) == SIG_UNBLOCK)
			t->sigmask &= ~bits;
		else if (ARG1(f) == SIG_SETMASK)
			t->sigmask = bits;
		else
			return -EINVAL;
		signal_mask_changed(t);
	}
	return old ? user_copy(t, old, &was, sizeof was) : 0;
}

long signal_sigaltstack(struct task *t, struct arch_frame *f)
{
	stack_t next, *ss = ARG1(f) ? &next : NULL;
	stack_t *old = (void *)ARG2(f), was;
	bool on = arch_frame_sp(f) - t->sigalt_sp < t->sigalt_size;

	was = (stack_t){.ss_sp = (void *)t->sigalt_sp, .ss_size = t->sigalt_size,
			.ss_flags = t->sigalt_size ? (on ? SS_ONSTACK : 0) : SS_DISABLE};
	if (ss) {
		if (user_copy(t, &next, (void *)ARG1(f), sizeof next) < 0)
			return -EFAULT;
		if (on)
			return -EPERM;
		if (ss->ss_flags & ~(SS_DISABLE | SS_ONSTACK | (int)(1u << 31)))
			return -EINVAL;
		if (!(ss->ss_flags & SS_DISABLE) && ss->ss_size < 2048)
			return -ENOMEM;
		t->sigalt_sp = ss->ss_flags & SS_DISABLE ? 0 : (uintptr_t)ss->ss_sp;
		t->sigalt_size = ss->ss_flags & SS_DISABLE ? 0 : ss->ss_size;
	}
	return old ? user_copy(t, old, &was, sizeof was) : 0;
}
