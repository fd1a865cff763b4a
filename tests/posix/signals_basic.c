/* signals_basic.c -- caught signals: which thread runs the handler, on which stack, with which mask
 *
 * threads: 4
 */
#include "check.h"
#include <semaphore.h>
#include <sys/time.h>

enum { THREADS = 4 };

static struct step arrived = STEP_INIT, told = STEP_INIT;
static volatile sig_atomic_t handled;
static __thread volatile sig_atomic_t handled_here;
static pthread_t runner;
static siginfo_t last;
static sem_t from_handler;
static volatile int over;

static void count(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)sig;
	(void)context;
	last = *info;
	runner = pthread_self();
	handled_here++;
	handled++;
	sem_post(&from_handler);
	errno = saved;
}

static void catch_signal(int sig, int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = count;
	action.sa_flags = SA_SIGINFO | SA_RESTART | flags;
	CHECK(sigaction(sig, &action, NULL) == 0);
	handled = 0;
}

static void change_mask(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_OK(pthread_sigmask(how, &set, NULL));
}

static void await_handler(void)
{
	while (sem_wait(&from_handler) < 0)
		CHECK_EQ(errno, EINTR);
}

static int is_pending(int sig)
{
	sigset_t set;

	CHECK(sigpending(&set) == 0);
	return sigismember(&set, sig);
}

static void *send_to_self(void *arg)
{
	for (int i = 1; i <= 20; i++) {
		/* Handled before the call that sends it to the own thread returns. */
		CHECK_OK(pthread_kill(pthread_self(), SIGUSR1));
		CHECK_EQ(handled_here, i);
		sched_yield();
	}
	(void)arg;
	return NULL;
}

static void a_signal_to_oneself_is_handled_at_once(void)
{
	pthread_t threads[THREADS];

	catch_signal(SIGUSR1, 0);
	threads_start(threads, THREADS, send_to_self);
	threads_join(threads, THREADS);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_EQ(handled_here, 1);
	handled_here = 0;
	CHECK(kill(getpid(), 0) == 0);
	while (sem_trywait(&from_handler) == 0)
		continue;
}

static void *wait_until_told(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_EQ(handled_here, 1);
	(void)arg;
	return NULL;
}

static void *compute_until_told(void *arg)
{
	step_add(&arrived, 1);
	while (!over)
		continue;
	CHECK_EQ(handled_here, 1);
	(void)arg;
	return NULL;
}

static void pthread_kill_reaches_that_thread(void *(*main)(void *))
{
	pthread_t threads[THREADS];

	catch_signal(SIGUSR1, 0);
	step_reset(&arrived);
	step_reset(&told);
	over = 0;
	threads_start(threads, THREADS, main);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < THREADS; i++) {
		CHECK_OK(pthread_kill(threads[i], SIGUSR1));
		await_handler();
		CHECK(pthread_equal(runner, threads[i]));
		CHECK_EQ(last.si_signo, SIGUSR1);
		CHECK_EQ(last.si_code, SI_TKILL);
		CHECK_EQ(last.si_pid, getpid());
	}
	over = 1;
	step_add(&told, 1);
	threads_join(threads, THREADS);
	CHECK_EQ(handled, THREADS);
}

static void a_waiting_thread_runs_the_handler(void)
{
	pthread_kill_reaches_that_thread(wait_until_told);
}

static void a_computing_thread_runs_the_handler(void)
{
	pthread_kill_reaches_that_thread(compute_until_told);
}

static void *take_process_signals(void *arg)
{
	change_mask(SIG_UNBLOCK, SIGUSR1);
	step_add(&arrived, 1);
	step_wait(&told, 1);
	return arg;
}

static void a_process_signal_goes_to_a_thread_that_does_not_block_it(void)
{
	union sigval value;
	pthread_t thread;

	catch_signal(SIGUSR1, 0);
	change_mask(SIG_BLOCK, SIGUSR1);
	step_reset(&arrived);
	step_reset(&told);
	thread = thread_start(take_process_signals, NULL);
	step_wait(&arrived, 1);
	for (int i = 0; i < 10; i++) {
		CHECK(kill(getpid(), SIGUSR1) == 0);
		await_handler();
		CHECK(pthread_equal(runner, thread));
		CHECK_EQ(last.si_code, SI_USER);
		CHECK_EQ(last.si_uid, getuid());
	}
	value.sival_int = 4711;
	CHECK(sigqueue(getpid(), SIGUSR1, value) == 0);
	await_handler();
	CHECK_EQ(last.si_code, SI_QUEUE);
	CHECK_EQ(last.si_value.sival_int, 4711);
	step_add(&told, 1);
	thread_join(thread);
	change_mask(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(handled, 11);
}

static void blocked_everywhere_it_stays_pending(void)
{
	catch_signal(SIGUSR2, 0);
	change_mask(SIG_BLOCK, SIGUSR2);
	CHECK(kill(getpid(), SIGUSR2) == 0);
	CHECK(kill(getpid(), SIGUSR2) == 0);
	CHECK(is_pending(SIGUSR2));
	CHECK_EQ(handled, 0);
	change_mask(SIG_UNBLOCK, SIGUSR2);
	CHECK_EQ(handled, 1);
	CHECK(!is_pending(SIGUSR2));
	await_handler();
}

static void *mask_is_own(void *arg)
{
	sigset_t set;

	/* Inherited from who made the thread, changed only here. */
	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	CHECK(sigismember(&set, SIGUSR2) == 1 && sigismember(&set, SIGUSR1) == 0);
	change_mask(SIG_BLOCK, (intptr_t)arg % 2 ? SIGUSR1 : SIGTERM);
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < 20; i++) {
		sched_yield();
		CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
		CHECK_EQ(sigismember(&set, SIGUSR1), (intptr_t)arg % 2);
		CHECK_EQ(sigismember(&set, SIGTERM), !((intptr_t)arg % 2));
	}
	/* Sent to a thread that blocks it: pending there, and nowhere else. */
	CHECK_OK(pthread_kill(pthread_self(), SIGUSR2));
	CHECK(is_pending(SIGUSR2));
	CHECK_EQ(handled_here, 0);
	change_mask(SIG_UNBLOCK, SIGUSR2);
	CHECK_EQ(handled_here, 1);
	return NULL;
}

static void each_thread_has_its_own_mask(void)
{
	pthread_t threads[THREADS];
	sigset_t set;

	catch_signal(SIGUSR2, 0);
	change_mask(SIG_BLOCK, SIGUSR2);
	step_reset(&arrived);
	threads_start(threads, THREADS, mask_is_own);
	threads_join(threads, THREADS);
	CHECK(!is_pending(SIGUSR2));
	change_mask(SIG_UNBLOCK, SIGUSR2);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	CHECK(!sigismember(&set, SIGUSR1) && !sigismember(&set, SIGTERM));
	while (sem_trywait(&from_handler) == 0)
		continue;
}

static void *ring_alarms(void *arg)
{
	struct itimerval soon = {{0, 0}, {0, 5000}}, often = {{0, 2000}, {0, 2000}},
			 none = {{0, 0}, {0, 0}};

	catch_signal(SIGALRM, 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	await_handler();
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 5; i++)
		await_handler();
	while (handled < 10)
		continue;
	CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
	CHECK_EQ(last.si_signo, SIGALRM);
	while (sem_trywait(&from_handler) == 0)
		continue;
	return arg;
}

static void timers_run_the_handler(void)
{
	ring_alarms(NULL);
	thread_join(thread_start(ring_alarms, NULL));
	catch_signal(SIGALRM, 0);
	while (sem_trywait(&from_handler) == 0)		/* of one that chose this thread before the timer stopped */
		continue;
	CHECK_EQ(alarm(1), 0);
	await_handler();
	CHECK_EQ(alarm(0), 0);
}

static __thread char *stack_low, *stack_high;
static __thread volatile int inside;

static void look_at_stack(int sig)
{
	char here;
	char *at = &here;
	sigset_t set;

	(void)sig;
	inside = at >= stack_low && at < stack_high;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	inside += 2 * sigismember(&set, SIGUSR1) + 4 * sigismember(&set, SIGTERM);
}

static void *use_own_stack(void *arg)
{
	stack_t stack, was;
	pthread_attr_t attr;
	void *low;
	size_t size;

	CHECK_OK(pthread_getattr_np(pthread_self(), &attr));
	CHECK_OK(pthread_attr_getstack(&attr, &low, &size));
	CHECK_OK(pthread_attr_destroy(&attr));
	stack_low = (char *)low;
	stack_high = stack_low + size;
	CHECK_OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_EQ(inside, 1 + 2 + 4);

	memset(&stack, 0, sizeof(stack));
	stack.ss_size = 64 << 10;
	stack.ss_sp = malloc(stack.ss_size);
	CHECK(sigaltstack(&stack, &was) == 0);
	CHECK_EQ(was.ss_flags, SS_DISABLE);
	stack_low = (char *)stack.ss_sp;
	stack_high = stack_low + stack.ss_size;
	for (int i = 0; i < 10; i++) {
		inside = 0;
		CHECK_OK(pthread_kill(pthread_self(), SIGUSR2));
		CHECK_EQ(inside, 1 + 2 + 4);
		sched_yield();
		CHECK(sigaltstack(NULL, &was) == 0);
		CHECK(was.ss_sp == stack.ss_sp && was.ss_flags == 0);
	}
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0);
	free(stack_low);
	(void)arg;
	return NULL;
}

static void handlers_run_on_the_threads_stack_or_its_alternate_one(void)
{
	pthread_t threads[THREADS];
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = look_at_stack;
	sigaddset(&action.sa_mask, SIGTERM);
	sigaddset(&action.sa_mask, SIGUSR1);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	action.sa_flags = SA_ONSTACK;
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	threads_start(threads, THREADS, use_own_stack);
	threads_join(threads, THREADS);
}

static void *signals_of_all(void *arg)
{
	for (int i = 0; i < 100; i++) {
		CHECK(kill(getpid(), SIGUSR1) == 0);
		sched_yield();
	}
	(void)arg;
	return NULL;
}

static void dispositions_are_shared(void)
{
	pthread_t threads[THREADS];
	struct sigaction now;

	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	threads_start(threads, THREADS, signals_of_all);
	threads_join(threads, THREADS);
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0);
	CHECK(now.sa_handler == SIG_IGN);
	catch_signal(SIGUSR1, SA_RESETHAND);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_EQ(handled, 1);
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0);
	CHECK(now.sa_handler == SIG_DFL);
}

static void *die(void *arg)
{
	CHECK(raise(SIGTERM) == 0);
	return arg;
}

static void an_uncaught_signal_ends_the_process(void)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		signal(SIGTERM, SIG_DFL);
		thread_join(thread_start(die, NULL));
		_exit(0);
	}
	status = child_status(child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void)
{
	check_begin();
	CHECK(sem_init(&from_handler, 0, 0) == 0);
	RUN(a_signal_to_oneself_is_handled_at_once);
	RUN(a_waiting_thread_runs_the_handler);
	RUN(a_computing_thread_runs_the_handler);
	RUN(a_process_signal_goes_to_a_thread_that_does_not_block_it);
	RUN(blocked_everywhere_it_stays_pending);
	RUN(each_thread_has_its_own_mask);
	RUN(timers_run_the_handler);
	RUN(handlers_run_on_the_threads_stack_or_its_alternate_one);
	RUN(dispositions_are_shared);
	RUN(an_uncaught_signal_ends_the_process);
	return check_done();
}
