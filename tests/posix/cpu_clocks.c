/* cpu_clocks.c -- what a thread's own CPU clock says, to itself and to others
 *
 * threads: 4
 */
#include "check.h"
#include <sys/resource.h>

enum { THREADS = 4, MS = 1000000 };

static int64_t own_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static clockid_t clock_of(pthread_t thread)
{
	clockid_t id;

	CHECK_OK(pthread_getcpuclockid(thread, &id));
	return id;
}

/* By the process's clock: the first test's thread must not ask for its own. */
static void compute_unasked(int64_t ns)
{
	int64_t until = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < until)
		;
}

static void compute(int64_t ns)
{
	int64_t until = own_ns() + ns;

	while (own_ns() < until)
		;
}

static struct step computed = STEP_INIT, seen = STEP_INIT;

static void *compute_and_wait(void *arg)
{
	if (arg)
		compute_unasked((intptr_t)arg);
	step_add(&computed, 1);
	step_wait(&seen, 1);
	return NULL;
}

static void what_a_thread_computed_before_anybody_asked_is_its_own(void)
{
	const int64_t computes = 300 * MS;
	pthread_t worker = thread_start(compute_and_wait, (void *)computes), idle = thread_start(compute_and_wait, NULL);

	step_wait(&computed, 2);
	int64_t used_ns = clock_ns(clock_of(worker)), idled_ns = clock_ns(clock_of(idle));

	if (used_ns < computes / 3 || idled_ns > computes / 10)
		check_fail(__FILE__, __LINE__, 0, "of 300 ms one has %lld ns, the idle one %lld", (long long)used_ns,
			   (long long)idled_ns);
	step_add(&seen, 1);
	thread_join(worker);
	thread_join(idle);
}

static void *know_thyself(void *arg)
{
	clockid_t id = clock_of(pthread_self());
	int64_t began = own_ns(), last = began;

	for (int i = 0; i < 2000; i++) {
		int64_t a = own_ns(), b = clock_ns(id), c = own_ns();

		CHECK(last <= a && a <= b && b <= c);
		last = c;
		if (i % 100 == 0)
			sched_yield();
	}
	compute(5 * MS);
	CHECK(own_ns() - began >= 5 * MS);
	(void)arg;
	return NULL;
}

static void a_thread_knows_its_own_by_both_names(void)
{
	pthread_t threads[THREADS];

	know_thyself(NULL);
	threads_start(threads, THREADS, know_thyself);
	know_thyself(NULL);
	threads_join(threads, THREADS);
}

static void a_thread_that_sleeps_uses_nothing(void)
{
	int64_t began = own_ns();
	struct timespec t = timespec_ms(60);

	CHECK(nanosleep(&t, NULL) == 0);
	CHECK(own_ns() - began < 5 * MS);
}

static int64_t used[THREADS];

static void *compute_in_turns(void *arg)
{
	int64_t began = own_ns();

	for (int i = 0; i < 20; i++) {
		compute(MS);
		sched_yield();
	}
	used[(intptr_t)arg] = own_ns() - began;
	return NULL;
}

static void each_is_charged_for_its_own_and_no_more(void)
{
	pthread_t threads[THREADS];
	int64_t began = clock_ns(CLOCK_PROCESS_CPUTIME_ID), mine = own_ns(), all = 0;

	threads_start(threads, THREADS, compute_in_turns);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS; i++) {
		CHECK(used[i] >= 20 * MS);
		all += used[i];
	}
	CHECK(all <= clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began);
	CHECK(own_ns() - mine < 20 * MS);
}

static int stop;

static void *compute_without_a_call(void *arg)
{
	step_add(&computed, 1);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	step_wait(&seen, 1);
	(void)arg;
	return NULL;
}

static void anothers_clock_runs_while_it_computes_and_never_back(void)
{
	pthread_t threads[2];
	int64_t last[2], first[2];
	clockid_t ids[2];

	step_reset(&computed);
	step_reset(&seen);
	threads_start(threads, 2, compute_without_a_call);
	step_wait(&computed, 2);
	for (int i = 0; i < 2; i++) {
		ids[i] = clock_of(threads[i]);
		first[i] = last[i] = clock_ns(ids[i]);
	}
	for (int looks = 0; last[0] - first[0] < 10 * MS || last[1] - first[1] < 10 * MS; looks++) {
		for (int i = 0; i < 2; i++) {
			int64_t now = clock_ns(ids[i]);

			if (now < last[i])
				check_fail(__FILE__, __LINE__, 0, "%lld behind %lld", (long long)now,
					   (long long)last[i]);
			last[i] = now;
		}
		if (looks % 1000 == 0)
			usleep(500);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	usleep(1000);
	step_add(&seen, 1);
	threads_join(threads, 2);
}

static void the_clock_of_one_that_waits_stands_still(void)
{
	pthread_t thread;
	int64_t was;

	step_reset(&computed);
	step_reset(&seen);
	thread = thread_start(compute_and_wait, (void *)(2l * MS));
	step_wait(&computed, 1);
	let_block();
	was = clock_ns(clock_of(thread));
	compute(20 * MS);
	CHECK_EQ(clock_ns(clock_of(thread)), was);
	step_add(&seen, 1);
	thread_join(thread);
}

static pthread_t first;

static void *look_at_the_first(void *arg)
{
	clockid_t id = clock_of(first);
	int64_t was = clock_ns(id);

	CHECK(was >= *(int64_t *)arg);
	compute(20 * MS);
	CHECK(clock_ns(id) - was < 5 * MS);
	return NULL;
}

static void the_first_threads_clock_is_like_any_others(void)
{
	int64_t had = own_ns();

	first = pthread_self();
	thread_join(thread_start(look_at_the_first, &had));
}

static void *leave_clock(void *arg)
{
	*(clockid_t *)arg = clock_of(pthread_self());
	return NULL;
}

static clockid_t id_of_tid(pid_t tid)
{
	return (clockid_t)(~(unsigned)tid << 3 | 6);
}

static void what_is_no_clock_of_ours_is_refused(void)
{
	clockid_t id;
	pthread_t thread = thread_start(leave_clock, &id);
	struct timespec t, own;
	pid_t child = fork();

	if (child == 0)
		pause();
	thread_join(thread);
	while (clock_gettime(id, &t) == 0)	/* the kernel may take a moment longer than the join */
		sched_yield();
	CHECK_EQ(errno, EINVAL);
	CHECK_ERR(clock_getres(id, &t), EINVAL);
	CHECK_ERR(clock_gettime(id_of_tid(0x3fffff), &t), EINVAL);
	CHECK_ERR(clock_gettime(id_of_tid(child), &t), EINVAL);
	CHECK_ERR(clock_gettime(CLOCK_THREAD_CPUTIME_ID, bad_address()), EFAULT);
	CHECK_ERR(clock_gettime(clock_of(pthread_self()), bad_address()), EFAULT);
	CHECK_ERR(clock_gettime(4711, &t), EINVAL);
	CHECK(clock_getres(CLOCK_THREAD_CPUTIME_ID, &own) == 0);
	CHECK(clock_getres(clock_of(pthread_self()), &t) == 0);
	CHECK(t.tv_sec == own.tv_sec && t.tv_nsec == own.tv_nsec);
	CHECK_ERR(clock_settime(clock_of(pthread_self()), &t), EPERM);
	CHECK_OK(clock_getcpuclockid(child, &id));
	CHECK(clock_gettime(id, &t) == 0 && t.tv_sec == 0);
	CHECK(kill(child, SIGKILL) == 0);
	CHECK_EQ(child_status(child), SIGKILL);
}

static void *what_is_no_clock(void *arg)
{
	what_is_no_clock_of_ours_is_refused();
	return arg;
}

static void threads_are_refused_the_same(void)
{
	thread_join(thread_start(what_is_no_clock, NULL));
}

static void *fork_and_ask(void *arg)
{
	compute(30 * MS);
	int64_t had = own_ns();
	pid_t child = fork();

	if (child == 0) {
		int64_t began = own_ns();

		CHECK(began < 20 * MS);
		compute(2 * MS);
		CHECK(own_ns() < 30 * MS);
		thread_join(thread_start(know_thyself, NULL));
		_exit(0);
	}
	CHECK_CHILD(child);
	CHECK(own_ns() >= had);
	return arg;
}

static void a_child_begins_anew(void)
{
	thread_join(thread_start(fork_and_ask, NULL));
}

int main(void)
{
	check_begin();
	RUN(what_a_thread_computed_before_anybody_asked_is_its_own);
	RUN(a_thread_knows_its_own_by_both_names);
	RUN(a_thread_that_sleeps_uses_nothing);
	RUN(each_is_charged_for_its_own_and_no_more);
	RUN(anothers_clock_runs_while_it_computes_and_never_back);
	RUN(the_clock_of_one_that_waits_stands_still);
	RUN(the_first_threads_clock_is_like_any_others);
	RUN(what_is_no_clock_of_ours_is_refused);
	RUN(threads_are_refused_the_same);
	RUN(a_child_begins_anew);
	return check_done();
}
