/* signals_wait.c -- threads that wait for signals: sigwait, sigwaitinfo, sigtimedwait, sigsuspend
 *
 * threads: 4
 */
#include "check.h"

enum { THREADS = 4, ROUNDS = 50 };

static sigset_t set;
static struct step arrived = STEP_INIT, got = STEP_INIT;
static int taken[THREADS * ROUNDS];
static volatile sig_atomic_t handled;

static void *take_values(void *arg)
{
	siginfo_t info;

	(void)arg;
	step_add(&arrived, 1);
	for (;;) {
		/* Linux: woken for a signal that another thread was faster to take, it is EINTR. */
		if (sigwaitinfo(&set, &info) < 0) {
			CHECK_EQ(errno, EINTR);
			continue;
		}
		if (info.si_signo == SIGUSR2)
			return NULL;
		CHECK_EQ(info.si_signo, SIGRTMIN + 1);
		CHECK_EQ(info.si_code, SI_QUEUE);
		CHECK_EQ(info.si_pid, getpid());
		__atomic_add_fetch(&taken[info.si_value.sival_int], 1, __ATOMIC_SEQ_CST);
		step_add(&got, 1);
	}
}

static void queued_signals_are_each_taken_once(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, take_values);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 0; i < THREADS * ROUNDS; i++) {
		union sigval value;

		value.sival_int = i;
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, value) == 0);
	}
	step_wait(&got, THREADS * ROUNDS);
	for (int i = 0; i < THREADS; i++)
		CHECK_OK(pthread_kill(threads[i], SIGUSR2));
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS * ROUNDS; i++)
		CHECK_EQ(taken[i], 1);
}

static void *wait_in_vain(void *arg)
{
	struct timespec t = timespec_ms(20), zero = {0, 0}, bad = {0, -1};
	int64_t start = clock_ns(CLOCK_MONOTONIC);

	CHECK_ERR(sigtimedwait(&set, NULL, &t), EAGAIN);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 20000000);
	CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
	CHECK_ERR(sigtimedwait(&set, NULL, &bad), EINVAL);
	(void)arg;
	return NULL;
}

static void waiting_times_out(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, wait_in_vain);
	threads_join(threads, THREADS);
}

static void *take_own(void *arg)
{
	int sig = 0;

	step_add(&arrived, 1);
	CHECK_OK(sigwait(&set, &sig));
	CHECK_EQ(sig, SIGUSR1);
	(void)arg;
	return NULL;
}

/* Sent to one thread, a signal ends the wait of that one only. */
static void a_signal_to_a_thread_is_taken_by_it(void)
{
	pthread_t threads[THREADS];

	step_reset(&arrived);
	threads_start(threads, THREADS, take_own);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 0; i < THREADS; i++) {
		CHECK_OK(pthread_kill(threads[i], SIGUSR1));
		thread_join(threads[i]);
	}
}

static void the_order_of_queued_signals_is_kept(void)
{
	for (int i = 0; i < 20; i++) {
		union sigval value;

		value.sival_int = i;
		CHECK(sigqueue(getpid(), SIGRTMIN + 2, value) == 0);
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, value) == 0);
	}
	/* The lower number first, each in the order in which they came. */
	for (int i = 0; i < 40; i++) {
		siginfo_t info;

		CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + 1 + i / 20);
		CHECK_EQ(info.si_value.sival_int, i % 20);
	}
}

static void count(int sig)
{
	(void)sig;
	handled++;
}

static void *suspend(void *arg)
{
	sigset_t mask;

	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR1));
	sigdelset(&mask, SIGUSR1);
	step_add(&arrived, 1);
	/* Sent before or while it is suspended: it cannot be lost. */
	CHECK_ERR(sigsuspend(&mask), EINTR);
	CHECK_EQ(handled, 1);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR1));
	return arg;
}

static void sigsuspend_loses_nothing(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = count;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		handled = 0;
		step_reset(&arrived);
		thread = thread_start(suspend, NULL);
		if (i % 2)
			step_wait(&arrived, 1);
		if (i == 1)
			let_block();
		CHECK_OK(pthread_kill(thread, SIGUSR1));
		thread_join(thread);
	}
}

static void *poll_with_mask(void *arg)
{
	sigset_t mask;

	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	sigdelset(&mask, SIGUSR1);
	step_add(&arrived, 1);
	CHECK_ERR(ppoll(NULL, 0, NULL, &mask), EINTR);
	CHECK_EQ(handled, 1);
	return arg;
}

static void ppoll_takes_the_signal_that_its_mask_lets_in(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		handled = 0;
		step_reset(&arrived);
		thread = thread_start(poll_with_mask, NULL);
		if (i % 2)
			step_wait(&arrived, 1);
		if (i == 1)
			let_block();
		CHECK_OK(pthread_kill(thread, SIGUSR1));
		thread_join(thread);
	}
}

int main(void)
{
	check_begin();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	RUN(queued_signals_are_each_taken_once);
	RUN(waiting_times_out);
	RUN(a_signal_to_a_thread_is_taken_by_it);
	RUN(the_order_of_queued_signals_is_kept);
	RUN(sigsuspend_loses_nothing);
	RUN(ppoll_takes_the_signal_that_its_mask_lets_in);
	return check_done();
}
