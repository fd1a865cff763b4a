/* vfork_parent.c -- a parent goes on behind vfork without a system call: it gives way to other
 * threads and gets its signals; so does the child while it lives
 *
 * threads: 1
 * blocked: 100
 */
#include "check.h"
#include <sys/time.h>

static volatile int flag, caught;
static volatile pid_t caught_in;

static void on_signal(int sig)
{
	(void)sig;
	caught_in = getpid();
	caught++;
}

static void catch_signal(int sig)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void *raise_flag_later(void *arg)
{
	let_block();
	flag = 1;
	return arg;
}

static void the_parent_gives_way_to_another_thread(void)
{
	for (int i = 0; i < 4; i++) {
		flag = 0;
		pthread_t thread = thread_start(raise_flag_later, NULL);
		pid_t child = vfork();

		if (child == 0)
			_exit(0);
		while (!flag)
			;
		thread_join(thread);
		CHECK_CHILD(child);
	}
}

static void the_parent_gets_its_signals(void)
{
	struct itimerval soon = {{0, 0}, {0, 30000}};

	catch_signal(SIGALRM);
	caught = 0;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	pid_t child = vfork();

	if (child == 0)
		_exit(0);
	while (!caught)
		;
	CHECK_EQ(caught_in, getpid());
	CHECK_CHILD(child);
}

/* What is sent to the child runs the handler there: its own, and once. */
static void the_child_gets_its_signals(void)
{
	catch_signal(SIGUSR1);
	caught = 0;
	pid_t child = vfork();

	if (child == 0) {
		kill(getpid(), SIGUSR1);
		_exit(caught == 1 && caught_in == getpid() ? 0 : 1);
	}
	CHECK_CHILD(child);
	CHECK_EQ(caught, 1);
	CHECK(caught_in != getpid());
}

int main(void)
{
	check_begin();
	thread_join(thread_start(raise_flag_later, NULL));
	RUN(the_parent_gives_way_to_another_thread);
	RUN(the_parent_gets_its_signals);
	RUN(the_child_gets_its_signals);
	return check_done();
}
