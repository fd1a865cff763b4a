/* user.c -- memory of the program that a handler reads before it parks */
#include "gate.h"
#include "clock.h"

bool user_readable(const void *p, size_t n)
{
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
