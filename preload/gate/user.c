/* user.c -- memory of the program, which may not be there */
#include "gate/user.h"
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

/* Around each access: while the kernel waits for a page the hub may be handed on. */
static inline void begin(struct task *t)
{
	if (likely(t != NULL))
		sched_native_begin(t);
}

static inline int end(struct task *t, long r)
{
	if (likely(t != NULL))
		sched_native_end(t);
	return (int)r;
}

int user_copy(struct task *t, void *to, const void *from, size_t n)
{
	begin(t);
	long r = arch_user_copy(to, from, n);

	return end(t, r);
}

int user_load(struct task *t, const uint32_t *from, uint32_t *to)
{
	begin(t);
	long r = arch_user_load(from, to);

	return end(t, r);
}

int user_cas(struct task *t, uint32_t *at, uint32_t *was, uint32_t next)
{
	begin(t);
	long r = arch_user_cas(at, was, next);

	return end(t, r);
}

long user_text(struct task *t, char *to, const char *from, size_t n)
{
	long at = 0, r = 0;

	begin(t);
	for (; at < (long)n - 1 && r == 0; at++) {
		r = arch_user_copy(to + at, from + at, 1);
		if (r == 0 && !to[at])
			break;
	}
	end(t, 0);
	to[at] = 0;
	return r < 0 ? r : at;
}

int64_t user_duration(struct task *t, const struct __kernel_timespec *ts)
{
	struct __kernel_timespec copy;

	return user_copy(t, &copy, ts, sizeof copy) < 0 ? -EFAULT : clock_from(&copy);
}

int64_t user_deadline(struct task *t, const struct __kernel_timespec *ts)
{
	int64_t ns = ts ? user_duration(t, ts) : FOREVER;

	return ns < 0 || ns == FOREVER ? ns : clock_deadline(ns);
}
