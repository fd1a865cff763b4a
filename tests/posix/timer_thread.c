/* timer_thread.c -- timers that run a function in a thread, or signal one thread
 *
 * No thread is made before the first timer.
 *
 * threads: 3
 */
#include "check.h"

enum { TIMERS = 8, THREADS = 3 };

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static pthread_t first;
static struct step fired[TIMERS] = {[0 ... TIMERS - 1] = STEP_INIT}, entered = STEP_INIT, told = STEP_INIT, left = STEP_INIT;

static timer_t make(struct sigevent *event)
{
	timer_t timer;

	CHECK(timer_create(CLOCK_MONOTONIC, event, &timer) == 0);
	return timer;
}

static void set(timer_t timer, int64_t ms, int64_t every_ms)
{
	struct itimerspec times = {timespec_ms(every_ms), timespec_ms(ms)};

	CHECK(timer_settime(timer, 0, &times, NULL) == 0);
}

static struct sigevent by_function(void (*fn)(union sigval), int value)
{
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD;
	event.sigev_notify_function = fn;
	event.sigev_value.sival_int = value;
	return event;
}

static int round_now;

/* A function of an earlier round may run late. */
static void note(union sigval value)
{
	CHECK(!pthread_equal(pthread_self(), first));
	if (value.sival_int / TIMERS == __atomic_load_n(&round_now, __ATOMIC_SEQ_CST))
		step_add(&fired[value.sival_int % TIMERS], 1);
}

/* Returns what note wants added to the number of a timer. */
static int begin(void)
{
	int next = __atomic_add_fetch(&round_now, 1, __ATOMIC_SEQ_CST);

	for (int i = 0; i < TIMERS; i++)
		step_reset(&fired[i]);
	return next * TIMERS;
}

static void a_function_is_run_once(void)
{
	struct sigevent event = by_function(note, begin());
	timer_t timer = make(&event);
	struct itimerspec left;

	set(timer, 10, 0);
	step_wait(&fired[0], 1);
	let_block();
	CHECK_EQ(step_at(&fired[0]), 1);
	CHECK(timer_gettime(timer, &left) == 0);
	CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
	CHECK(timer_delete(timer) == 0);
}

static void several_run_at_their_own_pace(void)
{
	timer_t timers[TIMERS];
	int base = begin();

	for (int i = 0; i < TIMERS; i++) {
		struct sigevent event = by_function(note, base + i);

		timers[i] = make(&event);
	}
	for (int i = 0; i < TIMERS; i++)
		set(timers[i], 5, i % 2 ? 3 : 5);
	for (int i = 0; i < TIMERS; i++)
		step_wait(&fired[i], 5);
	for (int i = 0; i < TIMERS; i++)
		CHECK(timer_delete(timers[i]) == 0);
	/* What was on its way may still come, then no more. */
	for (int total = -1, now = 0; now != total;) {
		total = now;
		now = 0;
		let_block();
		for (int i = 0; i < TIMERS; i++)
			now += step_at(&fired[i]);
	}
}

static void wait_within(union sigval value)
{
	(void)value;
	step_add(&entered, 1);
	step_wait(&told, 1);
	step_add(&left, 1);
}

static void functions_may_wait_at_once(void)
{
	struct sigevent event = by_function(wait_within, 0);
	timer_t timer = make(&event);

	step_reset(&entered);
	step_reset(&told);
	step_reset(&left);
	set(timer, 1, 2);
	step_wait(&entered, THREADS);
	set(timer, 0, 0);
	step_add(&told, 1);
	step_wait(&left, THREADS);
	CHECK(timer_delete(timer) == 0);
}

static void *use_in_a_thread(void *arg)
{
	a_function_is_run_once();
	several_run_at_their_own_pace();
	functions_may_wait_at_once();
	return arg;
}

static void threads_use_them_as_well(void)
{
	thread_join(thread_start(use_in_a_thread, NULL));
}

static struct sigevent by_signal(int sig, pid_t tid, int value)
{
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = sig;
	event.sigev_notify_thread_id = tid;
	event.sigev_value.sival_int = value;
	return event;
}

/* Two timers, one signal: none gets lost, and each brings its value. */
static void *take_signals(void *arg)
{
	int sig = SIGRTMIN + 3, seen[2] = {0, 0};
	timer_t timers[2];
	sigset_t one;
	siginfo_t info;

	sigemptyset(&one);
	sigaddset(&one, sig);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &one, NULL));
	for (int i = 0; i < 2; i++) {
		struct sigevent event = by_signal(sig, gettid(), 100 + i);

		timers[i] = make(&event);
		set(timers[i], 5, 0);
	}
	while (!seen[0] || !seen[1]) {
		CHECK_EQ(sigwaitinfo(&one, &info), sig);
		CHECK_EQ(info.si_code, SI_TIMER);
		CHECK(info.si_value.sival_int == 100 || info.si_value.sival_int == 101);
		seen[info.si_value.sival_int - 100]++;
	}
	CHECK(seen[0] == 1 && seen[1] == 1);
	/* Nobody takes it for a while. */
	set(timers[0], 1, 1);
	usleep(60000);
	CHECK_EQ(sigwaitinfo(&one, &info), sig);
	CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 100);
	CHECK(info.si_overrun >= 20);
	CHECK_EQ(timer_getoverrun(timers[0]), info.si_overrun);
	for (int i = 0; i < 2; i++)
		CHECK(timer_delete(timers[i]) == 0);
	CHECK_ERR(timer_delete(timers[0]), EINVAL);
	return arg;
}

static void the_thread_named_takes_the_signal(void)
{
	take_signals(NULL);
	thread_join(thread_start(take_signals, NULL));
}

static __thread volatile sig_atomic_t handled;

static void handle(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGUSR1 && info->si_code == SI_TIMER && info->si_value.sival_int == gettid())
		handled = handled + 1;
}

static void *be_interrupted(void *arg)
{
	struct sigevent event = by_signal(SIGUSR1, gettid(), gettid());
	timer_t timer = make(&event);
	struct timespec t = timespec_ms(2000);

	step_add(&entered, 1);
	step_wait(&entered, THREADS);
	set(timer, 10, 0);
	CHECK_ERR(nanosleep(&t, NULL), EINTR);
	CHECK_EQ(handled, 1);
	set(timer, 5, 5);
	while (handled < 5)	/* computing */
		;
	CHECK(timer_delete(timer) == 0);
	(void)arg;
	return NULL;
}

static void a_handler_runs_in_the_thread_named(void)
{
	struct sigaction action;
	pthread_t threads[THREADS];

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle;
	action.sa_flags = SA_SIGINFO;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	step_reset(&entered);
	threads_start(threads, THREADS, be_interrupted);
	threads_join(threads, THREADS);
	step_add(&entered, THREADS - 1);
	be_interrupted(NULL);
}

static void *end(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

static void mistakes_get_their_errno(void)
{
	struct sigevent event;
	timer_t timer;
	pid_t tid;

	thread_join(thread_start(end, &tid));
	while (tgkill(getpid(), tid, 0) == 0)
		usleep(1000);
	event = by_signal(SIGUSR1, tid, 0);
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = by_signal(SIGUSR1, 0x3ffffffe, 0);
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = by_signal(0, gettid(), 0);
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = by_signal(65, gettid(), 0);
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = by_signal(SIGUSR1, gettid(), 0);
	CHECK_ERR(timer_create(4711, &event, &timer), EINVAL);
}

static void a_child_has_no_timers(void)
{
	struct sigevent event = by_signal(SIGUSR1, gettid(), gettid()), call;
	timer_t timer = make(&event), calls;
	pid_t child = fork();

	if (child == 0) {
		CHECK_ERR(timer_delete(timer), EINVAL);
		call = by_function(note, begin());
		calls = make(&call);
		set(calls, 5, 0);
		step_wait(&fired[0], 1);
		_exit(0);
	}
	CHECK_CHILD(child);
	CHECK(timer_delete(timer) == 0);
}

int main(void)
{
	check_begin();
	first = pthread_self();
	RUN(a_function_is_run_once);
	RUN(several_run_at_their_own_pace);
	RUN(functions_may_wait_at_once);
	RUN(threads_use_them_as_well);
	RUN(the_thread_named_takes_the_signal);
	RUN(a_handler_runs_in_the_thread_named);
	RUN(mistakes_get_their_errno);
	RUN(a_child_has_no_timers);
	return check_done();
}
