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

bool user_readable(const void *p, size_t n)
{
	if (likely(on_stack_in_use(p, n)))
		return true;
	/* epoll_ctl copies its event (12 bytes) in before it looks at the descriptors: EBADF says that it could. */
	return SYS(__NR_epoll_ctl, -1, EPOLL_CTL_ADD, -1, p) == -EBADF &&
	       (n <= 12 || SYS(__NR_epoll_ctl, -1, EPOLL_CTL_ADD, -1, (const char *)p + n - 12) == -EBADF);
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
