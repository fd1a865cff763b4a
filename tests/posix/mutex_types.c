/* mutex_types.c -- mutexes of every type: exclusion, who may lock again, who may unlock
 *
 * threads: 8
 */
#include "check.h"

enum { THREADS = 8, ROUNDS = 500 };

static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK,
			    PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_DEFAULT};

static pthread_mutex_t mutex;
static struct step arrived = STEP_INIT, told = STEP_INIT;
static int inside;
static long total;

static void mutex_make(int type)
{
	pthread_mutexattr_t attr;

	CHECK_OK(pthread_mutexattr_init(&attr));
	CHECK_OK(pthread_mutexattr_settype(&attr, type));
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
		if (i % 8 == 0)
			sched_yield();
		total++;
		CHECK_EQ(--inside, 0);
		CHECK_OK(pthread_mutex_unlock(&mutex));
		if (i % 16 == 0)
			sched_yield();
	}
	(void)arg;
	return NULL;
}

static void contend(int type)
{
	pthread_t threads[THREADS];

	mutex_make(type);
	step_reset(&arrived);
	total = 0;
	threads_start(threads, THREADS, add);
	threads_join(threads, THREADS);
	CHECK_EQ(total, THREADS * ROUNDS);
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void one_thread_at_a_time_is_inside(void)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		contend(types[i]);
}

static void *hold_until_told(void *arg)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_OK(pthread_mutex_unlock(&mutex));
	return arg;
}

static void trylock_fails_while_another_holds_it(void)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		pthread_t thread;

		mutex_make(types[i]);
		step_reset(&arrived);
		step_reset(&told);
		thread = thread_start(hold_until_told, NULL);
		step_wait(&arrived, 1);
		CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
		CHECK_EQ(pthread_mutex_destroy(&mutex), EBUSY);
		step_add(&told, 1);
		CHECK_OK(pthread_mutex_lock(&mutex));
		CHECK_OK(pthread_mutex_unlock(&mutex));
		thread_join(thread);
		CHECK_OK(pthread_mutex_trylock(&mutex));
		CHECK_OK(pthread_mutex_unlock(&mutex));
		CHECK_OK(pthread_mutex_destroy(&mutex));
	}
}

static void a_recursive_mutex_counts(void)
{
	pthread_t thread;

	mutex_make(PTHREAD_MUTEX_RECURSIVE);
	for (int i = 0; i < 1000; i++)
		CHECK_OK(i % 2 ? pthread_mutex_lock(&mutex) : pthread_mutex_trylock(&mutex));
	step_reset(&arrived);
	step_reset(&told);
	step_add(&told, 1);
	thread = thread_start(hold_until_told, NULL);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(step_at(&arrived), 0);
		CHECK_OK(pthread_mutex_unlock(&mutex));
	}
	step_wait(&arrived, 1);
	thread_join(thread);
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void *unlock_what_another_holds(void *arg)
{
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
	return arg;
}

static void error_checking_names_the_mistake(void)
{
	mutex_make(PTHREAD_MUTEX_ERRORCHECK);
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_OK(pthread_mutex_lock(&mutex));
	CHECK_EQ(pthread_mutex_lock(&mutex), EDEADLK);
	CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
	thread_join(thread_start(unlock_what_another_holds, NULL));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));

	mutex_make(PTHREAD_MUTEX_RECURSIVE);
	CHECK_OK(pthread_mutex_lock(&mutex));
	thread_join(thread_start(unlock_what_another_holds, NULL));
	CHECK_OK(pthread_mutex_unlock(&mutex));
	CHECK_OK(pthread_mutex_destroy(&mutex));
}

static void attributes_are_kept(void)
{
	pthread_mutexattr_t attr;
	int value;

	CHECK_OK(pthread_mutexattr_init(&attr));
	CHECK_OK(pthread_mutexattr_gettype(&attr, &value));
	CHECK_EQ(value, PTHREAD_MUTEX_DEFAULT);
	CHECK_EQ(pthread_mutexattr_settype(&attr, 77), EINVAL);
	CHECK_OK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
	CHECK_OK(pthread_mutexattr_gettype(&attr, &value));
	CHECK_EQ(value, PTHREAD_MUTEX_ERRORCHECK);
	CHECK_OK(pthread_mutexattr_getpshared(&attr, &value));
	CHECK_EQ(value, PTHREAD_PROCESS_PRIVATE);
	CHECK_OK(pthread_mutexattr_destroy(&attr));
}

int main(void)
{
	check_begin();
	RUN(one_thread_at_a_time_is_inside);
	RUN(trylock_fails_while_another_holds_it);
	RUN(a_recursive_mutex_counts);
	RUN(error_checking_names_the_mistake);
	RUN(attributes_are_kept);
	return check_done();
}
