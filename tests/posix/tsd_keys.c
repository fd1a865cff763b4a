/* tsd_keys.c -- thread-specific data: values per thread, destructors at the end, keys made and
 * deleted
 *
 * threads: 20
 */
#include "check.h"
#include <limits.h>

enum { KEYS = 100, THREADS = 20 };

static pthread_key_t keys[KEYS], again;
static struct step arrived = STEP_INIT;
static int destroyed, rounds;

static void count(void *value)
{
	CHECK(value != NULL);
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
}

static void *own_values(void *arg)
{
	char *base = (char *)&keys + ((intptr_t)arg + 1) * KEYS;

	for (int i = 0; i < KEYS; i++)
		CHECK(pthread_getspecific(keys[i]) == NULL);
	for (int i = 0; i < KEYS; i++)
		CHECK_OK(pthread_setspecific(keys[i], base + i));
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < KEYS; i++) {
		CHECK(pthread_getspecific(keys[i]) == base + i);
		if (i % 10 == 0)
			sched_yield();
	}
	return NULL;
}

static void values_are_each_threads_own_and_destroyed_at_its_end(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < KEYS; i++)
		CHECK_OK(pthread_key_create(&keys[i], i % 2 ? count : NULL));
	threads_start(threads, THREADS, own_values);
	threads_join(threads, THREADS);
	CHECK_EQ(destroyed, THREADS * KEYS / 2);
	for (int i = 0; i < KEYS; i++)
		CHECK_OK(pthread_key_delete(keys[i]));
}

static void set_again(void *value)
{
	rounds++;
	CHECK(pthread_getspecific(again) == NULL);
	CHECK_OK(pthread_setspecific(again, value));
	sched_yield();
}

static void *use_again(void *arg)
{
	CHECK_OK(pthread_setspecific(again, &again));
	return arg;
}

static void a_destructor_that_sets_again_runs_four_times(void)
{
	CHECK_OK(pthread_key_create(&again, set_again));
	thread_join(thread_start(use_again, NULL));
	CHECK_EQ(rounds, PTHREAD_DESTRUCTOR_ITERATIONS);
	CHECK_OK(pthread_key_delete(again));
}

static void *exit_in_depth(void *arg)
{
	CHECK_OK(pthread_setspecific(again, arg));
	pthread_exit(arg);
}

/* A destructor may block: other threads go on, the joiner waits for its end. */
static void block(void *value)
{
	struct timespec t = timespec_ms(5);

	nanosleep(&t, NULL);
	step_add((struct step *)value, 1);
}

static void a_destructor_may_block(void)
{
	static struct step ended = STEP_INIT;
	pthread_t threads[10];

	CHECK_OK(pthread_key_create(&again, block));
	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(exit_in_depth, &ended);
	for (int i = 0; i < 10; i++)
		CHECK(thread_join(threads[i]) == &ended);
	CHECK_EQ(step_at(&ended), 10);
	CHECK_OK(pthread_key_delete(again));
}

static void keys_run_out_and_come_back(void)
{
	static pthread_key_t all[PTHREAD_KEYS_MAX + 1];
	int n = 0;

	while (n <= PTHREAD_KEYS_MAX && pthread_key_create(&all[n], NULL) == 0)
		n++;
	CHECK(n > PTHREAD_KEYS_MAX / 2 && n <= PTHREAD_KEYS_MAX);
	CHECK_EQ(pthread_key_create(&all[n], NULL), EAGAIN);
	CHECK_EQ(pthread_setspecific(PTHREAD_KEYS_MAX + 1, NULL), EINVAL);
	while (n > 0)
		CHECK_OK(pthread_key_delete(all[--n]));
	CHECK_EQ(pthread_key_delete(all[0]), EINVAL);
	CHECK_OK(pthread_key_create(&all[0], NULL));
	CHECK(pthread_getspecific(all[0]) == NULL);
	CHECK_OK(pthread_key_delete(all[0]));
}

int main(void)
{
	check_begin();
	RUN(values_are_each_threads_own_and_destroyed_at_its_end);
	RUN(a_destructor_that_sets_again_runs_four_times);
	RUN(a_destructor_may_block);
	RUN(keys_run_out_and_come_back);
	return check_done();
}
