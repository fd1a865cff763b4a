/* signals_once.c -- a handler that is for once (SA_RESETHAND), and faults that may not be handled:
 * the default action follows, whether the thread computed, waited or faulted
 *
 * threads: 1
 */
#include "check.h"
#include <sys/resource.h>
#include <sys/time.h>

static volatile int *runs; /* of the handler; shared with the children */
static volatile int ready;

static void count_and_raise(int sig)
{
	++*runs;
	raise(sig);
}

static void count(int sig)
{
	(void)sig;
	++*runs;
}

static void count_and_fault(int sig)
{
	(void)sig;
	++*runs;
	*(volatile char *)bad_address() = 1;
}

static void catch_it(int sig, void (*handler)(int), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = flags;
	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void *compute(void *unused)
{
	ready = 1;
	for (;;)
		__asm__ volatile("");
	return unused;
}

static void *sleep_on(void *unused)
{
	ready = 1;
	for (;;)
		pause();
	return unused;
}

static void *fault(void *unused)
{
	*(volatile char *)bad_address() = 1;
	return unused;
}

/* What a child does, beside a thread that waits, ends it by this signal after so many handlers. */
static void check_end(void (*act)(void), int sig, int handlers)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		*runs = 0;
		thread_start(sleep_on, NULL);
		act();
		_exit(1);
	}
	CHECK_EQ(child_status(child) & 0x7f, sig);
	CHECK_EQ(*runs, handlers);
}

static void alarm_while_main_computes(void)
{
	struct itimerval soon = {{0, 0}, {0, 20000}};

	catch_it(SIGALRM, count_and_raise, SA_RESETHAND);
	setitimer(ITIMER_REAL, &soon, NULL);
	compute(NULL);
}

static void alarm_while_main_waits(void)
{
	struct itimerval soon = {{0, 0}, {0, 20000}};

	catch_it(SIGALRM, count_and_raise, SA_RESETHAND);
	setitimer(ITIMER_REAL, &soon, NULL);
	sleep_on(NULL);
}

static void kill_thread(void *(*what)(void *))
{
	pthread_t thread;

	catch_it(SIGTERM, count_and_raise, SA_RESETHAND);
	ready = 0;
	thread = thread_start(what, NULL);
	while (!ready)
		sched_yield();
	pthread_kill(thread, SIGTERM);
	for (;;)
		pause();
}

static void kill_of_a_thread_that_computes(void)
{
	kill_thread(compute);
}

static void kill_of_a_thread_that_waits(void)
{
	kill_thread(sleep_on);
}

static void two_of_one_kind(void)
{
	catch_it(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(*runs, 1);
	raise(SIGUSR1);
}

static void fault_again(void)
{
	catch_it(SIGSEGV, count, SA_RESETHAND);
	thread_join(thread_start(fault, NULL));
}

static void fault_in_its_handler(void)
{
	catch_it(SIGSEGV, count_and_fault, 0);
	thread_join(thread_start(fault, NULL));
}

static void fault_while_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	catch_it(SIGSEGV, count, 0);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fault(NULL);
}

static void a_handler_for_once_is_followed_by_the_default(void)
{
	check_end(alarm_while_main_computes, SIGALRM, 1);
	check_end(alarm_while_main_waits, SIGALRM, 1);
	check_end(kill_of_a_thread_that_computes, SIGTERM, 1);
	check_end(kill_of_a_thread_that_waits, SIGTERM, 1);
	check_end(two_of_one_kind, SIGUSR1, 1);
}

static void a_fault_that_may_not_be_handled_ends_the_process(void)
{
	check_end(fault_again, SIGSEGV, 1);
	check_end(fault_in_its_handler, SIGSEGV, 1);
	check_end(fault_while_blocked, SIGSEGV, 0);
}

int main(void)
{
	check_begin();
	runs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(runs != MAP_FAILED);
	RUN(a_handler_for_once_is_followed_by_the_default);
	RUN(a_fault_that_may_not_be_handled_ends_the_process);
	return check_done();
}
