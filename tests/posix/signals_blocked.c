/* signals_blocked.c -- a program whose threads all block every signal, as those do that have one thread for signals
 *
 * threads: 2
 */
#include "check.h"

static int stop;

static void *compute(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return arg;
}

/* Some threads compute and enter the kernel never; those that sleep get their turns all the same. */
static void who_computes_does_not_keep_others_from_running(void)
{
	int64_t began = now_ms();
	pthread_t threads[2];

	stop = 0;
	threads_start(threads, 2, compute);
	for (int i = 0; i < 20; i++) {
		struct timespec t = timespec_ms(5);

		CHECK(nanosleep(&t, NULL) == 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	CHECK(now_ms() - began < 5000);
}

static const int kinds[] = {SIGUSR1, SIGURG, SIGCHLD, SIGTERM, SIGALRM};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static int is_pending(int sig)
{
	sigset_t set;

	CHECK(sigpending(&set) == 0);
	return sigismember(&set, sig);
}

/* A signal comes in its own time to the process, at once to the thread that sent it. */
static void wait_pending(int sig)
{
	while (!is_pending(sig))
		usleep(1000);
}

static void what_all_block_stays_pending_until_it_is_taken(void)
{
	for (int i = 0; i < KINDS; i++) {
		sigset_t one;
		siginfo_t info;
		struct timespec none = {0, 0};

		sigemptyset(&one);
		sigaddset(&one, kinds[i]);
		CHECK(!is_pending(kinds[i]));
		CHECK_ERR(sigtimedwait(&one, &info, &none), EAGAIN);
		CHECK(kill(getpid(), kinds[i]) == 0);
		wait_pending(kinds[i]);
		CHECK_EQ(sigwaitinfo(&one, &info), kinds[i]);
		CHECK_EQ(info.si_pid, getpid());
		CHECK_EQ(info.si_code, SI_USER);
		CHECK(!is_pending(kinds[i]));
	}
}

static struct step waiting = STEP_INIT;

static void *take_one(void *arg)
{
	int sig = 0;
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, *(const int *)arg);
	step_add(&waiting, 1);
	CHECK_OK(sigwait(&one, &sig));
	CHECK_EQ(sig, *(const int *)arg);
	return NULL;
}

static void a_thread_that_waits_for_it_takes_it(void)
{
	pthread_t threads[KINDS];

	for (int i = 0; i < KINDS; i++)
		threads[i] = thread_start(take_one, (void *)&kinds[i]);
	step_wait(&waiting, KINDS);
	let_block();
	for (int i = 0; i < KINDS; i++)
		CHECK(kill(getpid(), kinds[i]) == 0);
	threads_join(threads, KINDS);
}

static volatile sig_atomic_t handled;

static void count(int sig)
{
	handled = handled + (sig == SIGURG || sig == SIGUSR1);
}

static void what_was_pending_is_handled_when_one_lets_it_through(void)
{
	struct sigaction action = {.sa_handler = count}, was;
	sigset_t one, all;

	sigemptyset(&one);
	sigaddset(&one, SIGURG);
	CHECK(sigaction(SIGURG, &action, &was) == 0);
	CHECK(kill(getpid(), SIGURG) == 0);
	wait_pending(SIGURG);
	CHECK_EQ(handled, 0);
	CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &one, &all));
	CHECK_EQ(handled, 1);
	CHECK(kill(getpid(), SIGURG) == 0);
	while (handled != 2)
		usleep(1000);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
	CHECK(sigaction(SIGURG, &was, NULL) == 0);
}

static void *pass_by(void *arg)
{
	sigset_t one;

	step_add(&waiting, 1);
	step_wait(&waiting, 100);
	sigemptyset(&one);
	sigaddset(&one, *(const int *)arg);
	CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &one, NULL));
	return NULL;
}

/* Sent to the process and to a thread, ignored for a moment, then caught: nothing comes of it. */
static void what_is_pending_is_dropped_when_it_is_ignored(void)
{
	static const int two[] = {SIGUSR1, SIGURG};

	for (int i = 0; i < 2; i++) {
		struct sigaction action = {.sa_handler = count}, ignore = {.sa_handler = SIG_IGN}, was;
		pthread_t thread;
		sigset_t one;

		sigemptyset(&one);
		sigaddset(&one, two[i]);
		step_reset(&waiting);
		CHECK(sigaction(two[i], &action, &was) == 0);
		thread = thread_start(pass_by, (void *)&two[i]);
		step_wait(&waiting, 1);
		handled = 0;
		CHECK_OK(pthread_kill(thread, two[i]));
		CHECK(kill(getpid(), two[i]) == 0);
		wait_pending(two[i]);
		CHECK(sigaction(two[i], &ignore, NULL) == 0);
		CHECK(!is_pending(two[i]));
		CHECK(sigaction(two[i], &action, NULL) == 0);
		CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &one, NULL));
		step_add(&waiting, 100);
		thread_join(thread);
		CHECK_EQ(handled, 0);
		CHECK_OK(pthread_sigmask(SIG_BLOCK, &one, NULL));
		CHECK(sigaction(two[i], &was, NULL) == 0);
	}
}

int main(void)
{
	sigset_t all;

	sigfillset(&all);
	check_begin();
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &all, NULL));
	RUN(who_computes_does_not_keep_others_from_running);
	RUN(what_all_block_stays_pending_until_it_is_taken);
	RUN(a_thread_that_waits_for_it_takes_it);
	RUN(what_was_pending_is_handled_when_one_lets_it_through);
	RUN(what_is_pending_is_dropped_when_it_is_ignored);
	RUN(who_computes_does_not_keep_others_from_running);
	return check_done();
}
