/* mutex_pi.c -- mutexes that lend their owner a waiter's priority
 *
 * threads: 8
 * kthreads: any
 * blocked: 100
 */
#include "check.h"

enum { THREADS = 8, ROUNDS = 300 };

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct step arrived = STEP_INIT, told = STEP_INIT;
static int inside, tokens;
static long total;

static void pi_init(int type, int robust)
{
	pthread_mutexattr_t attr;

	CHECK_OK(pthread_mutexattr_init(&attr));
	CHECK_OK(pthread_mutexattr_settype(&attr, type));
	CHECK_OK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
	if (robust)
		CHECK_OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	CHECK_OK(pthread_mutex_init(&mutex, &attr));
	CHECK_OK(pthread_mutexattr_destroy(&attr));
}

static void *add(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_OK(pthread_mutex_lock(&mutex));
		CHECK_EQ(inside++, 0);
		if (i % 16 == 0)
			sched_yield();
		total++;
		CHECK_EQ(--inside, 0);
		CHECK_OK(pthread_mutex_unlock(&mutex));
	}
	(void)arg;
	return NULL;
}

static void one_thread_at_a_time_is_inside(void)
{
	static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				    PTHREAD_MUTEX_ERRORCHECK};

	for (int i = 0; i < 3; i++) {
		pthread_t threads[THREADS];

		pi_init(types[i], 0);
		step_reset(&arrived);
		total = 0;
		threads_start(threads, THREADS, add);
		threads_join(threads, THREADS);
		CHECK_EQ(total, THREADS * ROUNDS);
		CHECK_OK(pthread_mutex_destroy(&mutex));
	}
}

static void *time_out(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 10);

	CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
	CHECK_EQ(pthread_mutex_timedlock(&mutex, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &until));
	(void)arg;
	return NULL;
}

static void a_held_mutex_times_out(void)
{
	pthread_t threads[4];

	pi_init(PTHREAD_MUTEX_NORMAL, 0);
	CHECK_OK(pthread_mutex_lock(&mutex));
	threads_start(threads, 4, time_out);
	threads_join(threads, 4);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void types_behave_as_they_should(void)
{
	pi_init(PTHREAD_MUTEX_ERRORCHECK, 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_OK(pthread_mutex_lock(&mutex));
	CHECK_EQ(pthread_mutex_lock(&mutex), EDEADLK);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));
	pi_init(PTHREAD_MUTEX_RECURSIVE, 0);
	for (int i = 0; i < 10; i++)
		CHECK_OK(pthread_mutex_lock(&mutex));
	for (int i = 0; i < 10; i++)
		CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void *take_token(void *arg)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	step_add(&arrived, 1);
	while (tokens == 0)
		CHECK_OK(pthread_cond_wait(&cond, &mutex));
	tokens--;
	CHECK_OK(pthread_mutex_unlock(&mutex));
	(void)arg;
	return NULL;
}

static void a_condition_works_with_it(void)
{
	pthread_t threads[THREADS];

	pi_init(PTHREAD_MUTEX_NORMAL, 0);
	step_reset(&arrived);
	threads_start(threads, THREADS, take_token);
	step_wait(&arrived, THREADS);
	CHECK_OK(pthread_mutex_lock(&mutex));
	tokens = THREADS;
	CHECK_OK(pthread_cond_broadcast(&cond));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	threads_join(threads, THREADS);
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void *lock_and_end_when_told(void *arg)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	return arg;
}

static void *inherit(void *arg)
{
	step_add(&arrived, 1);
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_OK(pthread_mutex_consistent(&mutex));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	return arg;
}

static void a_robust_one_tells_of_its_owners_end(void)
{
	for (int i = 0; i < 5; i++) {
		pthread_t owner, heir;

		pi_init(PTHREAD_MUTEX_NORMAL, 1);
		step_reset(&arrived);
		step_reset(&told);
		owner = thread_start(lock_and_end_when_told, NULL);
		step_wait(&arrived, 1);
		heir = thread_start(inherit, NULL);
		step_wait(&arrived, 2);
		step_add(&told, 1);
		thread_join(owner);
		thread_join(heir);
		CHECK_OK(pthread_mutex_lock(&mutex));
		CHECK_OK(pthread_mutex_unlock(&mutex));
		CHECK_OK(pthread_mutex_destroy(&mutex));
	}
}

int main(void)
{
	check_begin();
	RUN(one_thread_at_a_time_is_inside);
	RUN(a_held_mutex_times_out);
	RUN(types_behave_as_they_should);
	RUN(a_condition_works_with_it);
	RUN(a_robust_one_tells_of_its_owners_end);
	return check_done();
}
