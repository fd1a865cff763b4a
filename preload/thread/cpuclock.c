/* cpuclock.c -- the CPU clocks of tasks
 *
 * A thread's clock is named by CLOCK_THREAD_CPUTIME_ID or by an id made of the thread's: its complement, shifted by three; a
 * bit that says that it is a thread's and not a process's, and two for the kind. All kinds are answered as the one that
 * pthread_getcpuclockid makes. Clocks of processes and of threads that are no tasks are the kernel's.
 */
#include "thread/cpuclock.h"
#include "cputime.h"
#include "gate/user.h"

#define THREAD	   4
#define KIND	   3
#define DESCRIPTOR 3		/* of this kind: the clock of a device */
#define OWN	   (~7 | THREAD | 2)	/* of the calling kernel thread, by id */

/* The thread whose clock it is; 0: none of a thread that may be a task. */
static uint32_t owner(const struct task *t, int id)
{
	uint32_t tid = (uint32_t)~(id >> 3);

	if (id == CLOCK_THREAD_CPUTIME_ID)
		return t->tid;
	if (id >= 0 || !(id & THREAD) || (id & KIND) == DESCRIPTOR)
		return 0;
	if (!tid)
		return t->tid;
	return tid >= TASK_TID_FIRST || tid == (uint32_t)process_id ? tid : 0;
}

/* -ESRCH: there is no such task. */
static int64_t ask(uint32_t tid)
{
	int64_t ns;

	do {
		arch_pause();
		lock_take(&task_lock);
		struct task *t = task_by_tid(tid);

		ns = t ? cputime_of(t) : -ESRCH;
		lock_drop(&task_lock);
	} while (ns == -EAGAIN);
	return ns;
}

long cpuclock_gettime(struct task *t, struct arch_frame *f)
{
	struct __kernel_timespec ts;
	uint32_t tid = owner(t, (int)ARG1(f));
	int64_t ns = 0;

	if (!tid)
		return GATE_NATIVE;
	cputime_ask();
	if (tid != t->tid && (ns = ask(tid)) < 0)
		return GATE_NATIVE;
	if (tid == t->tid) {
		SYS(__NR_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);	/* the carrier's */
		ns = cputime_own(t, ts.tv_sec * NSEC + ts.tv_nsec);
	}
	ts = (struct __kernel_timespec){ns / NSEC, ns % NSEC};
	return user_copy(t, (void *)ARG2(f), &ts, sizeof ts);
}

/* Calls that only want to know whether there is such a clock: it is like that of any thread. */
long cpuclock_known(struct task *t, struct arch_frame *f)
{
	uint32_t tid = owner(t, (int)ARG1(f));

	if (!tid || (int)ARG1(f) == CLOCK_THREAD_CPUTIME_ID || ask(tid) < 0)
		return GATE_NATIVE;
	return gate_once(t, (long)f->nr, OWN, (long)ARG2(f), 0, 0, 0, 0);
}
