/* foreign.h -- threads made by clone itself, without libc's help
 *
 * Such a thread shares everything but has no thread-local storage of its own, so it makes system calls by hand (raw) and calls no
 * library.
 */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>

enum {
	FOREIGN_STACK = 64 << 10,
	FOREIGN_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
};

static inline long raw(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

static inline void raw_set_and_wake(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	raw(SYS_futex, (long)word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, 0);
}

static inline void raw_wait_for(uint32_t *word, uint32_t value)
{
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value)
		raw(SYS_futex, (long)word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, (long)now, 0);
}

static inline char *foreign_stacks(size_t n)
{
	void *p = mmap(NULL, n * FOREIGN_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return (char *)p;
}

/* The kernel clears *alive when the thread ends, and wakes who waits there; that futex is not a private one. */
static inline void foreign_start(int (*main)(void *), char *stack, int *alive)
{
	int flags = FOREIGN_FLAGS | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;

	__atomic_store_n(alive, -1, __ATOMIC_SEQ_CST);
	CHECK(clone(main, stack + FOREIGN_STACK, flags, NULL, NULL, NULL, alive) > 0);
}

#endif
