/* sleep.c -- nanosleep and clock_nanosleep
 *
 * An absolute deadline on another clock is converted once; clocks of CPU time are the kernel's.
 */
#include "thread/sleep.h"
#include "clock.h"
#include "gate/user.h"

static long sleep_until(struct task *t, int64_t deadline, struct __kernel_timespec *left)
{
	int64_t now;

	do {
		sched_arm(t, PARK_SLEEP);
		if (load_relaxed(&t->sigpending) & ~t->sigmask) {
			sched_disarm(t);
			break;
		}
		if (sched_park(t, deadline) == WAKE_TIMEOUT)
			return 0;
	} while (!(load_relaxed(&t->sigpending) & ~t->sigmask));
	now = clock_now();
	struct __kernel_timespec rest = {now < deadline ? (deadline - now) / NSEC : 0, now < deadline ? (deadline - now) % NSEC : 0};

	return left && user_copy(t, left, &rest, sizeof rest) < 0 ? -EFAULT : -EINTR;
}

long sleep_nanosleep(struct task *t, struct arch_frame *f)
{
	int64_t deadline = ARG1(f) ? user_deadline(t, (void *)ARG1(f)) : -EFAULT;

	return deadline < 0 ? deadline : sleep_until(t, deadline, (void *)ARG2(f));
}

long sleep_clock_nanosleep(struct task *t, struct arch_frame *f)
{
	int id = (int)ARG1(f);
	const struct __kernel_timespec *ts = (void *)ARG3(f);
	int64_t deadline;

	if (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME && id != CLOCK_TAI)
		return GATE_NATIVE;
	deadline = user_duration(t, ts);
	if (deadline < 0)
		return deadline;
	if (!(ARG2(f) & TIMER_ABSTIME))
		return sleep_until(t, clock_deadline(deadline), (void *)ARG4(f));
	if (id != CLOCK_MONOTONIC && deadline != FOREVER) {
		deadline -= clock_ns(id);
		deadline = deadline > 0 ? clock_deadline(deadline) : 0;
	}
	return sleep_until(t, deadline, NULL);
}
