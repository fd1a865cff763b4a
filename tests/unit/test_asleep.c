/* test_asleep.c -- whether a kernel thread sleeps is known of any number of threads, one after the other
 */
#include "unit.h"
#include <pthread.h>
#include <sys/syscall.h>
#include "asleep.c"

enum { AT_ONCE = 100, IN_TURN = 200 };

static int tids[AT_ONCE], stop;
static pthread_t threads[AT_ONCE];
static pthread_barrier_t all;

static void *sleep_in_a_wait(void *arg)
{
	__atomic_store_n((int *)arg, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	pthread_barrier_wait(&all);
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &stop, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

static void *compute(void *arg)
{
	__atomic_store_n((int *)arg, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	pthread_barrier_wait(&all);
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
		;
	return NULL;
}

static void begin(int n, void *(*main)(void *))
{
	stop = 0;
	pthread_barrier_init(&all, NULL, (unsigned)n + 1);
	for (int i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, main, &tids[i]), 0);
	pthread_barrier_wait(&all);
}

static void end(int n)
{
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &stop, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all);
}

/* It may be on its way into the wait. What is not known counts as computing. */
static bool falls_asleep(int tid)
{
	for (int i = 0; i < 2000; i++) {
		if (asleep(tid, false))
			return true;
		usleep(1000);
	}
	return false;
}

static int looks_open(void)
{
	int n = 0;

	for (int fd = own_next(0); fd >= 0; fd = own_next((unsigned)fd + 1))
		n++;
	return n;
}

static void it_is_known_of_threads_that_follow_ended_ones(void **state)
{
	for (int i = 0; i < IN_TURN; i++) {
		begin(1, sleep_in_a_wait);
		assert_true(falls_asleep(tids[0]));
		end(1);
	}
	begin(1, compute);
	assert_false(asleep(tids[0], true));
	end(1);
}

static void it_is_known_of_many_at_once(void **state)
{
	begin(AT_ONCE, sleep_in_a_wait);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < AT_ONCE; i++)
			assert_true(falls_asleep(tids[i]));
	end(AT_ONCE);
	assert_true(looks_open() <= MOST);
}

static void of_one_that_has_ended_it_is_unknown(void **state)
{
	begin(1, sleep_in_a_wait);
	assert_true(falls_asleep(tids[0]));
	end(1);
	usleep(10000);
	int before = looks_open();

	assert_true(asleep(tids[0], true));
	assert_false(asleep(tids[0], false));
	assert_int_equal(looks_open(), before - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_one_that_has_ended_it_is_unknown),
		cmocka_unit_test(it_is_known_of_threads_that_follow_ended_ones),
		cmocka_unit_test(it_is_known_of_many_at_once),
	};

	return RUN_GROUP(tests);
}
