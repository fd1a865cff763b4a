/* user.c -- memory of the program that a handler reads before it parks */
#include "gate.h"
#include "clock.h"

/* What lies above its frame on the calling task's own stack is there; most structs of callers do. */
static bool on_stack_in_use(const void *p, size_t n)
{
	struct task *t = task_self();
	uintptr_t sp = arch_stack_pointer(), top = t ? t->stack_lo + t->stack_size : 0;

	return t && task_on_own_stack(t, sp) && (uintptr_t)p >= sp && (uintptr_t)p < top && n <= top - (uintptr_t)p;
}

/* epoll_ctl copies its event (12 bytes) in before it looks at the descriptors: EBADF says that it could. */
static bool can_copy(const char *p)
{
	return SYS(__NR_epoll_ctl, -1, EPOLL_CTL_ADD, -1, p) == -EBADF;
}

bool user_readable(const void *p, size_t n)
{
	const char *from = p, *last = from + n - 12;

	if (likely(on_stack_in_use(p, n)))
		return true;
	if (n <= 12)	/* what is shorter may end with its page */
		return can_copy((uintptr_t)p % PAGE > PAGE - 12 ? last : from);
	return can_copy(from) && can_copy(last);
}

int64_t user_deadline(const struct __kernel_timespec *ts)
{
	if (!ts)
		return FOREVER;
	if (!user_readable(ts, sizeof *ts))
		return -EFAULT;
	int64_t ns = clock_from(ts);

	return ns < 0 ? ns : clock_deadline(ns);
}
