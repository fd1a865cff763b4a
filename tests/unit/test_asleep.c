/* test_asleep.c -- every kernel thread is told apart, however many there are and were */
#include "unit.h"
#include <poll.h>
#include <pthread.h>
#include "asleep.h"
#include "sys.h"

enum { ROUNDS = 3, THREADS = 100 };

static int gate[2], tids[THREADS];
static volatile int busy_tid, over;

static void *sleeper(void *tid)
{
	char c;

	__atomic_store_n((int *)tid, (int)sys_gettid(), __ATOMIC_RELEASE);
	return (void *)(intptr_t)read(gate[0], &c, 1);
}

static void *busy(void *arg)
{
	busy_tid = (int)sys_gettid();
	while (!over)
		;
	return arg;
}

static bool is_asleep_soon(const int *tid)
{
	for (int i = 0; i < 5000; i++) {
		int id = __atomic_load_n(tid, __ATOMIC_ACQUIRE);

		if (id && asleep(id, false))
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

static void sleepers_are_known_when_there_are_and_were_more_than_rows(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(pipe(gate), 0);
		memset(tids, 0, sizeof tids);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, sleeper, &tids[i]), 0);
		for (int i = 0; i < THREADS; i++)
			assert_true(is_asleep_soon(&tids[i]));
		close(gate[1]);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		close(gate[0]);
	}
}

static void one_that_computes_is_not_asleep(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, busy, NULL), 0);
	while (!busy_tid)
		poll(NULL, 0, 1);
	for (int i = 0; i < 10; i++)
		assert_false(asleep(busy_tid, true));
	over = 1;
	pthread_join(thread, NULL);
}

static void one_that_ended_is_unknown(void **state)
{
	(void)state;
	assert_true(asleep(busy_tid, true));
	assert_false(asleep(busy_tid, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleepers_are_known_when_there_are_and_were_more_than_rows),
		cmocka_unit_test(one_that_computes_is_not_asleep),
		cmocka_unit_test(one_that_ended_is_unknown),
	};

	own_kinds[0] = &asleep_kind;
	own_kinds[1] = own_kinds[2] = &asleep_kind;
	return RUN_GROUP(tests);
}
