/* affinity.c -- the set of CPUs of a thread is kept, told and inherited
 *
 * threads: 4
 */
#include "check.h"
#include <sched.h>
#include <sys/sysinfo.h>

static cpu_set_t all;
static struct step told = STEP_INIT, arrived = STEP_INIT;

static cpu_set_t own(void)
{
	cpu_set_t set, other;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	CHECK_OK(pthread_getaffinity_np(pthread_self(), sizeof(other), &other));
	CHECK(CPU_EQUAL(&set, &other));
	CHECK(sched_getaffinity((pid_t)syscall(SYS_gettid), sizeof(other), &other) == 0);
	CHECK(CPU_EQUAL(&set, &other));
	return set;
}

/* The set with only the nth of the CPUs that the process may use. */
static cpu_set_t only(int nth)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	nth %= CPU_COUNT(&all);
	for (int cpu = 0;; cpu++)
		if (CPU_ISSET(cpu, &all) && nth-- == 0) {
			CPU_SET(cpu, &set);
			return set;
		}
}

static void *starts_with(void *arg)
{
	cpu_set_t set = own();

	CHECK(CPU_EQUAL(&set, (cpu_set_t *)arg));
	return NULL;
}

static void *choose_own(void *arg)
{
	cpu_set_t mine = only((int)(intptr_t)arg), seen;
	struct timespec t = timespec_ms(1);

	CHECK(sched_setaffinity(0, sizeof(mine), &mine) == 0);
	step_add(&arrived, 1);
	step_wait(&arrived, 4);
	for (int i = 0; i < 5; i++) {
		seen = own();
		CHECK(CPU_EQUAL(&seen, &mine));
		nanosleep(&t, NULL);
	}
	/* Who is made by this thread starts with its set. */
	thread_join(thread_start(starts_with, &mine));
	CHECK_OK(pthread_setaffinity_np(pthread_self(), sizeof(all), &all));
	seen = own();
	CHECK(CPU_EQUAL(&seen, &all));
	return NULL;
}

static void each_thread_keeps_its_own_set(void)
{
	pthread_t threads[4];
	cpu_set_t set;

	threads_start(threads, 4, choose_own);
	threads_join(threads, 4);
	set = own();
	CHECK(CPU_EQUAL(&set, &all));
}

static pid_t other_tid;

static void *tell_tid_and_wait(void *arg)
{
	cpu_set_t wanted = only(0), set;

	other_tid = (pid_t)syscall(SYS_gettid);
	step_add(&arrived, 1);
	step_wait(&told, 1);
	set = own();
	CHECK(CPU_EQUAL(&set, &wanted));
	return arg;
}

static void the_set_of_another_thread_can_be_changed(void)
{
	cpu_set_t set, one = only(0), other = only(1);
	pthread_t thread;

	step_reset(&arrived);
	thread = thread_start(tell_tid_and_wait, NULL);
	step_wait(&arrived, 1);
	CHECK_OK(pthread_setaffinity_np(thread, sizeof(other), &other));
	CHECK_OK(pthread_getaffinity_np(thread, sizeof(set), &set));
	CHECK(CPU_EQUAL(&set, &other));
	CHECK(sched_setaffinity(other_tid, sizeof(one), &one) == 0);
	CHECK(sched_getaffinity(other_tid, sizeof(set), &set) == 0);
	CHECK(CPU_EQUAL(&set, &one));
	step_add(&told, 1);
	thread_join(thread);
	set = own();
	CHECK(CPU_EQUAL(&set, &all));
}

static void an_attribute_gives_the_set(void)
{
	cpu_set_t one = only(1);
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setaffinity_np(&attr, sizeof(one), &one));
	CHECK_OK(pthread_create(&thread, &attr, starts_with, &one));
	thread_join(thread);
	CHECK_OK(pthread_attr_destroy(&attr));
}

static void a_child_inherits_the_set(void)
{
	cpu_set_t one = only(0);
	pid_t child;

	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		starts_with(&one);
		thread_join(thread_start(starts_with, &one));
		_exit(0);
	}
	CHECK_CHILD(child);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}

static void *choose_another(void *arg)
{
	cpu_set_t mine = only((int)(intptr_t)arg), seen;

	CHECK_OK(pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine));
	seen = own();
	CHECK(CPU_EQUAL(&seen, &mine));
	return NULL;
}

/* A child, whose first thread has a narrow set before there is another one. */
static void threads_may_use_more_cpus_than_the_first(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		cpu_set_t first = only(0), seen;

		CHECK(sched_setaffinity(0, sizeof(first), &first) == 0);
		thread_join(thread_start(starts_with, &first));
		for (int i = 0; i < 4; i++)
			thread_join(thread_start(choose_another, (void *)(intptr_t)i));
		seen = own();
		CHECK(CPU_EQUAL(&seen, &first));
		thread_join(thread_start(starts_with, &first));
		CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
		thread_join(thread_start(starts_with, &all));
		_exit(0);
	}
	CHECK_CHILD(child);
}

static void *mistakes(void *arg)
{
	cpu_set_t none;

	CPU_ZERO(&none);
	CHECK_ERR(sched_setaffinity(0, sizeof(none), &none), EINVAL);
	CHECK_ERR(sched_setaffinity(0, sizeof(none), (cpu_set_t *)bad_address()), EFAULT);
	CHECK_ERR(sched_getaffinity(0, 1, &none), EINVAL);
	CHECK_ERR(sched_getaffinity(0x3ffffffe, sizeof(none), &none), ESRCH);
	CHECK(sched_getcpu() >= 0 && sched_getcpu() < get_nprocs_conf());
	CHECK_EQ(syscall(SYS_sched_getaffinity, 0, 4096, bad_address()), -1);
	CHECK_EQ(errno, EFAULT);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(void)
{
	check_begin();
	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	RUN(each_thread_keeps_its_own_set);
	RUN(the_set_of_another_thread_can_be_changed);
	RUN(an_attribute_gives_the_set);
	RUN(a_child_inherits_the_set);
	RUN(threads_may_use_more_cpus_than_the_first);
	RUN(mistakes_get_their_errno);
	return check_done();
}
