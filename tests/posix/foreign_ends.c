/* foreign_ends.c -- hundreds of threads made by clone(2) end at once, and each end wakes who waits
 * for it
 *
 * Who waits for such a thread waits on the word that the kernel clears at its end.
 *
 * threads: 200
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include <linux/futex.h>
#include <limits.h>
#include <sched.h>

enum { THREADS = 200, STACK = 64 << 10 };

static uint32_t go;
static int word[THREADS];
static int lost;
static char *stacks;

static inline long raw(long number, long a, long b, long c)
{
	register long r10 __asm__("r10") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* It has no thread-local storage of its own: it calls no library. */
static int end_when_told(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
		raw(SYS_futex, (long)&go, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0);
	raw(SYS_exit, 0, 0, 0);
	return 0;
}

static void foreign_start(int i)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		    CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;

	word[i] = -1;
	CHECK(clone(end_when_told, stacks + (size_t)(i + 1) * STACK, flags, NULL, NULL, NULL,
		    &word[i]) > 0);
}

/* A wait that is only ended by its time-out, though the word is clear, was never woken. */
static void *await_end(void *arg)
{
	int *at = &word[(intptr_t)arg], now;

	while ((now = __atomic_load_n(at, __ATOMIC_SEQ_CST))) {
		struct timespec limit = timespec_ms(5000);

		if (syscall(SYS_futex, at, FUTEX_WAIT, now, &limit, NULL, 0) < 0 &&
		    errno == ETIMEDOUT && !__atomic_load_n(at, __ATOMIC_SEQ_CST))
			__atomic_add_fetch(&lost, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void the_end_of_each_thread_wakes_its_waiter(void)
{
	static pthread_t waiters[THREADS];

	/* The first pthread comes first: what is made before it is another test's. */
	CHECK(thread_join(thread_start(await_end, (void *)0)) == NULL);
	stacks = mmap(NULL, (size_t)THREADS * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stacks != MAP_FAILED);
	for (int i = 0; i < THREADS; i++)
		foreign_start(i);
	threads_start(waiters, THREADS, await_end);
	let_block();
	let_block();
	__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
	raw(SYS_futex, (long)&go, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX);
	threads_join(waiters, THREADS);
	CHECK_EQ(lost, 0);
}

int main(void)
{
	check_begin();
	RUN(the_end_of_each_thread_wakes_its_waiter);
	return check_done();
}
