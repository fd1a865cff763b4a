/* exit_raw.c -- threads end by the bare system call, all at once: the process ends with the last
 *
 * threads: 0
 */
#include "check.h"
#include <sched.h>

enum { CHILDREN = 400, THREADS = 3 };

static int there;

static void *end_by_the_call(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&there, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&there, __ATOMIC_SEQ_CST) <= THREADS)
		sched_yield();
	syscall(SYS_exit, 0);
	return NULL;
}

__attribute__((noreturn)) static void be_child(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, end_by_the_call);
	end_by_the_call(NULL);
	abort();
}

static void the_process_ends_with_its_last_thread(void)
{
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0)
			be_child();
		CHECK_CHILD(child);
	}
}

int main(void)
{
	check_begin();
	RUN(the_process_ends_with_its_last_thread);
	return check_done();
}
