/* sched_calls.c -- thread ids, policies and priorities as the calls that take an id tell and change
 * them
 *
 * threads: 8
 */
#include "check.h"
#include <sched.h>
#include <sys/resource.h>

enum { THREADS = 8 };

static pid_t tids[THREADS];
static struct step arrived = STEP_INIT, told = STEP_INIT;

static pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void *tell_tid(void *arg)
{
	tids[(intptr_t)arg] = own_tid();
	CHECK_EQ(gettid(), own_tid());
	step_add(&arrived, 1);
	step_wait(&told, 1);
	for (int i = 0; i < 20; i++) {
		sched_yield();
		CHECK_EQ(own_tid(), tids[(intptr_t)arg]);
	}
	return NULL;
}

static void thread_ids_are_unique_and_stay(void)
{
	pthread_t threads[THREADS];

	CHECK_EQ(own_tid(), getpid());
	step_reset(&arrived);
	step_reset(&told);
	threads_start(threads, THREADS, tell_tid);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < THREADS; i++) {
		CHECK(tids[i] > 0 && tids[i] != getpid());
		for (int k = 0; k < i; k++)
			CHECK(tids[i] != tids[k]);
		CHECK_EQ(tgkill(getpid(), tids[i], 0), 0);
		CHECK_EQ(sched_getscheduler(tids[i]), SCHED_OTHER);
		errno = 0;
		CHECK_EQ(getpriority(PRIO_PROCESS, tids[i]), getpriority(PRIO_PROCESS, 0));
		CHECK_EQ(errno, 0);
	}
	step_add(&told, 1);
	threads_join(threads, THREADS);
	CHECK_EQ(own_tid(), getpid());
	CHECK_ERR(tgkill(getpid(), 0x3ffffffe, 0), ESRCH);
	CHECK_ERR(tgkill(getpid(), -1, 0), EINVAL);
}

static void *change_own(void *arg)
{
	int n = (int)(intptr_t)arg, policy;
	struct sched_param param = {0};

	if (n % 2)
		CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0);
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(sched_getscheduler(0), n % 2 ? SCHED_BATCH : SCHED_OTHER);
		CHECK_EQ(sched_getscheduler(own_tid()), n % 2 ? SCHED_BATCH : SCHED_OTHER);
		param.sched_priority = 7;
		CHECK(sched_getparam(0, &param) == 0);
		CHECK_EQ(param.sched_priority, 0);
		sched_yield();
	}
	/* pthread_setschedparam names the thread by its id. */
	CHECK_OK(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param));
	CHECK_OK(pthread_getschedparam(pthread_self(), &policy, &param));
	CHECK_EQ(policy, SCHED_BATCH);
	CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
	CHECK_OK(pthread_setschedprio(pthread_self(), 0));
	return NULL;
}

static void a_policy_belongs_to_one_thread(void)
{
	pthread_t threads[THREADS];

	step_reset(&arrived);
	threads_start(threads, THREADS, change_own);
	threads_join(threads, THREADS);
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
}

static void another_threads_policy_can_be_changed(void)
{
	struct sched_param param = {0};
	pthread_t thread;
	int policy;

	step_reset(&arrived);
	step_reset(&told);
	thread = thread_start(tell_tid, NULL);
	step_wait(&arrived, 1);
	CHECK_OK(pthread_setschedparam(thread, SCHED_IDLE, &param));
	CHECK_OK(pthread_getschedparam(thread, &policy, &param));
	CHECK_EQ(policy, SCHED_IDLE);
	CHECK_EQ(sched_getscheduler(tids[0]), SCHED_IDLE);
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	step_add(&told, 1);
	thread_join(thread);
}

static void *mistakes(void *arg)
{
	struct sched_param param = {5};
	struct timespec t;

	CHECK_ERR(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	CHECK_ERR(sched_setscheduler(0, 99, &param), EINVAL);
	CHECK_ERR(sched_setscheduler(-1, SCHED_OTHER, &param), EINVAL);
	CHECK_ERR(sched_getscheduler(0x3ffffffe), ESRCH);
	CHECK_ERR(sched_getparam(0x3ffffffe, &param), ESRCH);
	CHECK_EQ(pthread_setschedprio(pthread_self(), 5), EINVAL);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_ERR(sched_get_priority_min(99), EINVAL);
	CHECK(sched_rr_get_interval(0, &t) == 0);
	CHECK_EQ(sched_yield(), 0);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

static void *burn(void *arg)
{
	clockid_t clock;
	int64_t start;
	volatile unsigned n = 0;

	CHECK_OK(pthread_getcpuclockid(pthread_self(), &clock));
	CHECK(clock_ns(clock) >= 0);
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start < 5000000)
		n++;
	CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) > 0);
	(void)arg;
	return NULL;
}

static void cpu_clocks_run(void)
{
	pthread_t threads[4];

	threads_start(threads, 4, burn);
	threads_join(threads, 4);
}

int main(void)
{
	check_begin();
	RUN(thread_ids_are_unique_and_stay);
	RUN(a_policy_belongs_to_one_thread);
	RUN(another_threads_policy_can_be_changed);
	RUN(mistakes_get_their_errno);
	RUN(cpu_clocks_run);
	return check_done();
}
