/* stack_overflow.c -- a thread that runs over its stack dies by SIGSEGV, and the process with it
 */
#include "check.h"
#include <limits.h>
#include <sys/resource.h>

__attribute__((noinline)) static int overflow(int n)
{
	volatile char frame[512];

	frame[0] = (char)n;
	return n == 0 ? frame[0] : overflow(n + 1) + frame[n % 512];
}

static void *run_over(void *arg)
{
	return (void *)(intptr_t)overflow((int)(intptr_t)arg);
}

static void *touch_guard(void *arg)
{
	pthread_attr_t attr;
	void *low;
	size_t size, guard;

	CHECK_OK(pthread_getattr_np(pthread_self(), &attr));
	CHECK_OK(pthread_attr_getstack(&attr, &low, &size));
	CHECK_OK(pthread_attr_getguardsize(&attr, &guard));
	/* The lowest byte is the thread's own; glibc counts the guard apart from it. */
	*(volatile char *)low = 1;
	if (arg)
		((volatile char *)low)[-1] = 1;
	return NULL;
}

static void die_in(void *(*main)(void *), void *arg, size_t size, int sig)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};
		pthread_attr_t attr;
		pthread_t other, thread;

		setrlimit(RLIMIT_CORE, &none);
		CHECK_OK(pthread_attr_init(&attr));
		CHECK_OK(pthread_attr_setstacksize(&attr, size));
		CHECK_OK(pthread_create(&other, &attr, touch_guard, NULL));
		thread_join(other);
		CHECK_OK(pthread_create(&thread, &attr, main, arg));
		thread_join(thread);
		_exit(0);
	}
	status = child_status(child);
	CHECK_EQ(status & 0x7f, sig);
}

static void recursion_without_end_is_sigsegv(void)
{
	die_in(run_over, (void *)1, PTHREAD_STACK_MIN, SIGSEGV);
	die_in(run_over, (void *)1, 64 << 10, SIGSEGV);
	die_in(run_over, (void *)1, 8 << 20, SIGSEGV);
}

static void the_byte_below_the_stack_is_sigsegv(void)
{
	die_in(touch_guard, (void *)1, 64 << 10, SIGSEGV);
	die_in(touch_guard, (void *)1, 1 << 20, SIGSEGV);
}

static void the_lowest_byte_of_the_stack_is_not(void)
{
	die_in(touch_guard, NULL, 64 << 10, 0);
}

int main(void)
{
	check_begin();
	RUN(the_lowest_byte_of_the_stack_is_not);
	RUN(recursion_without_end_is_sigsegv);
	RUN(the_byte_below_the_stack_is_sigsegv);
	return check_done();
}
