/* rwlock.c -- readers together, writers alone, and time-outs on both clocks
 *
 * threads: 20
 */
#include "check.h"

static const int kinds[] = {PTHREAD_RWLOCK_PREFER_READER_NP, PTHREAD_RWLOCK_PREFER_WRITER_NP,
			    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP};
static pthread_rwlock_t rw;
static int readers, writers, value_a, value_b;
static struct step arrived = STEP_INIT, told = STEP_INIT;

static void rw_make(int kind)
{
	pthread_rwlockattr_t attr;

	CHECK_OK(pthread_rwlockattr_init(&attr));
	CHECK_OK(pthread_rwlockattr_setkind_np(&attr, kind));
	CHECK_OK(pthread_rwlock_init(&rw, &attr));
	CHECK_OK(pthread_rwlockattr_destroy(&attr));
}

static void read_once(int yield)
{
	CHECK_OK(pthread_rwlock_rdlock(&rw));
	__atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(__atomic_load_n(&writers, __ATOMIC_SEQ_CST), 0);
	int seen = value_a;
	if (yield)
		sched_yield();
	CHECK_EQ(value_b, seen);
	__atomic_sub_fetch(&readers, 1, __ATOMIC_SEQ_CST);
	CHECK_OK(pthread_rwlock_unlock(&rw));
}

static void write_once(int yield)
{
	CHECK_OK(pthread_rwlock_wrlock(&rw));
	CHECK_EQ(__atomic_add_fetch(&writers, 1, __ATOMIC_SEQ_CST), 1);
	CHECK_EQ(__atomic_load_n(&readers, __ATOMIC_SEQ_CST), 0);
	value_a++;
	if (yield)
		sched_yield();
	value_b++;
	__atomic_sub_fetch(&writers, 1, __ATOMIC_SEQ_CST);
	CHECK_OK(pthread_rwlock_unlock(&rw));
}

static void *use(void *arg)
{
	int n = (int)(intptr_t)arg;

	step_add(&arrived, 1);
	step_wait(&arrived, 20);
	for (int i = 0; i < 100; i++) {
		if ((n + i) % 5 == 0)
			write_once(i % 4 == 0);
		else
			read_once(i % 4 == 0);
	}
	return NULL;
}

static void writers_are_alone_and_readers_see_whole_values(void)
{
	pthread_t threads[20];

	for (int i = 0; i < 3; i++) {
		rw_make(kinds[i]);
		step_reset(&arrived);
		value_a = value_b = 0;
		threads_start(threads, 20, use);
		threads_join(threads, 20);
		CHECK_EQ(value_a, 400);
		CHECK_OK(pthread_rwlock_destroy(&rw));
	}
}

static void *read_until_told(void *arg)
{
	CHECK_OK(pthread_rwlock_rdlock(&rw));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_OK(pthread_rwlock_unlock(&rw));
	return arg;
}

static void *write_until_told(void *arg)
{
	CHECK_OK(pthread_rwlock_wrlock(&rw));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_OK(pthread_rwlock_unlock(&rw));
	return arg;
}

static void readers_hold_it_together_and_keep_writers_out(void)
{
	pthread_t threads[10], writer;

	rw_make(kinds[0]);
	step_reset(&arrived);
	step_reset(&told);
	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(read_until_told, NULL);
	step_wait(&arrived, 10);
	CHECK_OK(pthread_rwlock_tryrdlock(&rw));
	CHECK_OK(pthread_rwlock_unlock(&rw));
	CHECK_EQ(pthread_rwlock_trywrlock(&rw), EBUSY);
	writer = thread_start(write_until_told, NULL);
	let_block();
	CHECK_EQ(step_at(&arrived), 10);
	step_add(&told, 1);
	step_wait(&arrived, 11);
	thread_join(writer);
	threads_join(threads, 10);
	CHECK_OK(pthread_rwlock_destroy(&rw));
}

static void time_out(clockid_t clock, int64_t ms, int reading_too)
{
	struct timespec until = deadline(clock, ms);

	CHECK_EQ(pthread_rwlock_clockwrlock(&rw, clock, &until), ETIMEDOUT);
	CHECK(is_past(clock, &until));
	until = deadline(CLOCK_REALTIME, ms);
	CHECK_EQ(pthread_rwlock_timedwrlock(&rw, &until), ETIMEDOUT);
	if (!reading_too)
		return;
	until = deadline(clock, ms);
	CHECK_EQ(pthread_rwlock_clockrdlock(&rw, clock, &until), ETIMEDOUT);
	CHECK(is_past(clock, &until));
	until = deadline(CLOCK_REALTIME, ms);
	CHECK_EQ(pthread_rwlock_timedrdlock(&rw, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &until));
}

static void waits_time_out_and_not_early(void)
{
	for (int i = 0; i < 2; i++) {
		pthread_t holder;

		rw_make(kinds[2 * i]);
		step_reset(&arrived);
		step_reset(&told);
		holder = thread_start(i ? write_until_told : read_until_told, NULL);
		step_wait(&arrived, 1);
		for (int64_t ms = -500; ms <= 5; ms += 505) {
			time_out(CLOCK_MONOTONIC, ms, i);
			time_out(CLOCK_REALTIME, ms, i);
		}
		step_add(&told, 1);
		thread_join(holder);
		/* A writer that gave up has left nothing behind that keeps readers out. */
		CHECK_OK(pthread_rwlock_tryrdlock(&rw));
		CHECK_OK(pthread_rwlock_unlock(&rw));
		CHECK_OK(pthread_rwlock_trywrlock(&rw));
		CHECK_EQ(pthread_rwlock_wrlock(&rw), EDEADLK);
		CHECK_EQ(pthread_rwlock_rdlock(&rw), EDEADLK);
		CHECK_EQ(pthread_rwlock_tryrdlock(&rw), EBUSY);
		CHECK_OK(pthread_rwlock_unlock(&rw));
		CHECK_OK(pthread_rwlock_destroy(&rw));
	}
}

int main(void)
{
	check_begin();
	RUN(writers_are_alone_and_readers_see_whole_values);
	RUN(readers_hold_it_together_and_keep_writers_out);
	RUN(waits_time_out_and_not_early);
	return check_done();
}
