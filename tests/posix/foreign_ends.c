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
#include "foreign.h"

enum { THREADS = 200 };

static uint32_t go;
static int word[THREADS];
static int lost;

static int end_when_told(void *arg)
{
	(void)arg;
	raw_wait_for(&go, 1);
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
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
	char *stacks = foreign_stacks(THREADS);

	for (int i = 0; i < THREADS; i++)
		foreign_start(end_when_told, stacks + (size_t)i * FOREIGN_STACK, &word[i]);
	threads_start(waiters, THREADS, await_end);
	let_block();
	let_block();
	raw_set_and_wake(&go, 1);
	threads_join(waiters, THREADS);
	CHECK_EQ(lost, 0);
}

int main(void)
{
	check_begin();
	RUN(the_end_of_each_thread_wakes_its_waiter);
	return check_done();
}
