/* seccomp_clone.c -- a process that may make threads only with the flags of pthread_create, as the sandboxes of browsers have it
 *
 * The filter refuses fork and every other clone, and answers ENOSYS to clone3, whose flags it cannot read; libc then takes clone.
 *
 * threads: 2
 * kthreads: any
 */
#include "filter.h"
#include <sched.h>

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
		CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

enum { ROUNDS = 20, THREADS = 4 };

static void *forbid(void *every_thread)
{
	struct sock_filter rows[] = {
		FILTER_LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		FILTER_LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	filter_set(rows, sizeof rows / sizeof rows[0], every_thread ? SECCOMP_FILTER_FLAG_TSYNC : 0);
	return NULL;
}

static void *sleep_a_little(void *arg)
{
	struct timespec t = timespec_ms(1);

	CHECK(nanosleep(&t, NULL) == 0);
	return arg;
}

static void *make_threads(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t threads[THREADS];

		for (int k = 0; k < THREADS; k++)
			threads[k] = thread_start(sleep_a_little, &threads[k]);
		for (int k = 0; k < THREADS; k++)
			CHECK(thread_join(threads[k]) == &threads[k]);
	}
	errno = 0;
	CHECK(fork() == -1 && errno == EPERM);
	return arg;
}

static void *forbid_and_make(void *arg)
{
	forbid(NULL);
	return make_threads(arg);
}

static void a_thread_that_forbids_itself_the_rest_makes_threads(void)
{
	pid_t pid;

	thread_join(thread_start(forbid_and_make, NULL));
	pid = fork();		/* the filter is that thread's */
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK_CHILD(pid);
}

static void *wait_for(void *arg)
{
	step_wait(arg, 1);
	return NULL;
}

static void a_filter_for_all_threads_lets_each_make_threads(void)
{
	static struct step end = STEP_INIT;
	pthread_t waiter = thread_start(wait_for, &end);

	forbid(&end);
	make_threads(NULL);
	thread_join(thread_start(make_threads, NULL));
	step_add(&end, 1);
	thread_join(waiter);
}

int main(void)
{
	check_begin();
	RUN(a_thread_that_forbids_itself_the_rest_makes_threads);
	RUN(a_filter_for_all_threads_lets_each_make_threads);
	return check_done();
}
