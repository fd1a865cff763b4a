/* timers_many.c -- a process may have as many timers that signal its threads as the limit on queued signals allows
 *
 * threads: 1
 */
#include "check.h"
#include <sys/resource.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { MANY = 9000, ROOM = 2000 };

static timer_t timers[MANY];
static int sig, seen[MANY];

/* Returns the error number, or 0. */
static int make(int i)
{
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = sig;
	event.sigev_notify_thread_id = gettid();
	event.sigev_value.sival_int = i;
	return timer_create(CLOCK_MONOTONIC, &event, &timers[i]) < 0 ? errno : 0;
}

static void set_all(int n)
{
	struct itimerspec soon = {{0, 0}, {0, 1000000}};

	for (int i = 0; i < n; i++)
		CHECK(timer_settime(timers[i], 0, &soon, NULL) == 0);
}

static void delete_all(int n)
{
	for (int i = 0; i < n; i++)
		CHECK(timer_delete(timers[i]) == 0);
}

/* The limit counts what all processes of the user have, so it may come before `want' are there. */
static int make_up_to(int want)
{
	int n = 0, error = 0;

	while (n < want && (error = make(n)) == 0)
		n++;
	CHECK(error == 0 || error == EAGAIN);
	return n;
}

static int raise_limit(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	if (limit.rlim_max < MANY + ROOM) {
		limit.rlim_max = MANY + ROOM;
		if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0)
			return 0;
	}
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	return 1;
}

static void *each_brings_its_signal(void *arg)
{
	struct timespec limit = timespec_ms(10000);
	sigset_t one;
	siginfo_t info;

	sigemptyset(&one);
	sigaddset(&one, sig);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &one, NULL));
	for (int round = 0; round < 2; round++) {	/* the second time in the place of the first ones */
		CHECK_EQ(make_up_to(MANY), MANY);
		memset(seen, 0, sizeof(seen));
		set_all(MANY);
		for (int i = 0; i < MANY; i++) {
			CHECK_EQ(sigtimedwait(&one, &info, &limit), sig);
			CHECK(info.si_code == SI_TIMER && info.si_value.sival_int >= 0 && info.si_value.sival_int < MANY);
			CHECK_EQ(seen[info.si_value.sival_int]++, 0);
		}
		delete_all(MANY);
	}
	return arg;
}

static void many_timers_signal_a_thread(void)
{
	thread_join(thread_start(each_brings_its_signal, NULL));
}

static void *make_past_the_limit(void *arg)
{
	struct rlimit was, low;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &was) == 0);
	low = was;
	low.rlim_cur = 50;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &low) == 0);
	int n = make_up_to(100);

	CHECK(n <= 50);
	delete_all(n);
	CHECK(setrlimit(RLIMIT_SIGPENDING, &was) == 0);
	return arg;
}

static void the_limit_holds(void)
{
	thread_join(thread_start(make_past_the_limit, NULL));
}

static void a_child_makes_its_own(void)
{
	CHECK_EQ(make_up_to(MANY), MANY);
	pid_t child = fork();

	if (child == 0) {
		CHECK_ERR(timer_delete(timers[MANY - 1]), EINVAL);
		many_timers_signal_a_thread();
		_exit(0);
	}
	delete_all(MANY);
	CHECK_CHILD(child);
}

int main(void)
{
	check_begin();
	sig = SIGRTMIN + 3;
	if (raise_limit()) {
		RUN(many_timers_signal_a_thread);
		RUN(a_child_makes_its_own);
	}
	RUN(the_limit_holds);
	return check_done();
}
