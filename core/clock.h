/* clock.h -- the time, by the vdso where there is one
 *
 * One type inside: int64_t nanoseconds on CLOCK_MONOTONIC; FOREVER is no deadline. Other clocks are converted once, at the
 * edge. A deadline on CLOCK_REALTIME is converted too: it does not move when that clock is set.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "sys.h"

/* clock_init -- find the vdso (its ELF header, as AT_SYSINFO_EHDR has it); 0: use the system call. */
void clock_init(uintptr_t vdso);

int64_t clock_ns(int id);	/* any clock of clock_gettime(2) that cannot fail, but those of CPU time */

/* CPU time of the calling kernel thread and of another one of ours; 0 when that has ended. Not by the vdso: it knows no such
 * clock, and its own system calls are redirected. */
int64_t clock_own_ns(void);
int64_t clock_thread_ns(int tid);

static inline int64_t clock_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* clock_from -- nanoseconds of a timespec, clamped to what int64_t holds. -EINVAL (as a negative) when it is not valid. */
static inline int64_t clock_from(const struct __kernel_timespec *ts)
{
	if (ts->tv_sec < 0 || (uint64_t)ts->tv_nsec >= NSEC)
		return -EINVAL;
	if (ts->tv_sec >= INT64_MAX / NSEC)
		return FOREVER;
	return ts->tv_sec * NSEC + ts->tv_nsec;
}

/* clock_deadline -- now + ns, clamped. */
static inline int64_t clock_deadline(int64_t ns)
{
	int64_t now = clock_now();

	return ns >= FOREVER - now ? FOREVER : now + ns;
}

#endif
