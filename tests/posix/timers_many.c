/* timers_many.c -- a process has as many timers that signal one thread as the kernel lets it have
 *
 * threads: 1
 */
#include "check.h"
#include <sys/resource.h>
#include <time.h>

enum { MOST = 6000, ALONE = 97, TOGETHER = 7 };	/* every 97th, every 7th */

static timer_t timers[MOST + 1];
static volatile int taken[MOST + 1];
static struct step ready = STEP_INIT;
static pid_t receiver;

static void note(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_code == SI_TIMER)
		taken[info->si_value.sival_int]++;
}

static void *receive(void *over)
{
	sigset_t set;

	receiver = (pid_t)syscall(SYS_gettid);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	step_add(&ready, 1);
	step_wait(over, 1);
	return NULL;
}

static int make(int i)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_value.sival_int = i};

	event._sigev_un._tid = receiver;
	return timer_create(CLOCK_MONOTONIC, &event, &timers[i]);
}

static void fire(int i)
{
	struct itimerspec once = {.it_value.tv_nsec = 1};

	CHECK(timer_settime(timers[i], 0, &once, NULL) == 0);
}

static void each_of_many_tells_its_thread(void)
{
	for (int i = 0; i < MOST; i++)
		CHECK(make(i) == 0);
	for (int i = 0; i < MOST; i += ALONE) {
		fire(i);
		while (!taken[i])
			let_block();
	}
	for (int i = 0; i < MOST; i++) {
		CHECK_EQ(taken[i], i % ALONE == 0);
		CHECK_EQ(timer_getoverrun(timers[i]), 0);
	}
}

static void those_that_fire_at_once_are_all_told(void)
{
	struct itimerspec soon = {0};
	int n = 0;

	memset((void *)taken, 0, sizeof taken);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &soon.it_value) == 0);
	soon.it_value.tv_sec++;
	for (int i = 1; i < MOST; i += TOGETHER)
		CHECK(timer_settime(timers[i], TIMER_ABSTIME, &soon, NULL) == 0);
	while (n < (MOST - 2) / TOGETHER + 1) {
		let_block();
		n = 0;
		for (int i = 1; i < MOST; i += TOGETHER)
			n += taken[i] == 1;
	}
}

static void deleted_ones_make_room(void)
{
	struct rlimit limit;

	for (int i = 0; i < MOST; i += 2)
		CHECK(timer_delete(timers[i]) == 0);
	CHECK(timer_delete(timers[0]) == -1 && errno == EINVAL);
	for (int i = 0; i < MOST; i += 2) {
		taken[i] = 0;
		CHECK(make(i) == 0);
	}
	fire(MOST - 2);
	while (!taken[MOST - 2])
		let_block();
	CHECK(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	limit.rlim_cur = 1;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	CHECK(make(MOST) == -1 && errno == EAGAIN);
	for (int i = 0; i < MOST; i++)
		CHECK(timer_delete(timers[i]) == 0);
}

int main(void)
{
	static struct step over = STEP_INIT;
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct rlimit limit;
	pthread_t thread;
	sigset_t set;

	check_begin();
	CHECK(getrlimit(RLIMIT_SIGPENDING, &limit) == 0 && limit.rlim_max > MOST);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	thread = thread_start(receive, &over);
	step_wait(&ready, 1);
	RUN(each_of_many_tells_its_thread);
	RUN(those_that_fire_at_once_are_all_told);
	RUN(deleted_ones_make_room);
	step_add(&over, 1);
	thread_join(thread);
	return check_done();
}
