/* semaphore.c -- unnamed semaphores: posts are counted, waits end by a post or in time
 *
 * threads: 40
 */
#include "check.h"
#include <limits.h>
#include <semaphore.h>

enum { ITEMS = 4000 };

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
static sem_t sem, space, filled;
static int ring[4];
static struct step arrived = STEP_INIT;

static void trywait_takes_what_is_there_and_no_more(void)
{
	int value;

	CHECK(sem_init(&sem, 0, 2) == 0);
	CHECK(sem_trywait(&sem) == 0);
	CHECK(sem_wait(&sem) == 0);
	CHECK_ERR(sem_trywait(&sem), EAGAIN);
	CHECK(sem_post(&sem) == 0);
	CHECK(sem_getvalue(&sem, &value) == 0);
	CHECK_EQ(value, 1);
	CHECK(sem_destroy(&sem) == 0);
	CHECK_ERR(sem_init(&sem, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
	CHECK(sem_init(&sem, 0, SEM_VALUE_MAX) == 0);
	CHECK_ERR(sem_post(&sem), EOVERFLOW);
	CHECK(sem_destroy(&sem) == 0);
}

static void a_wait_times_out_and_not_early(void)
{
	struct timespec until, bad = {1, 1000000000};

	CHECK(sem_init(&sem, 0, 0) == 0);
	for (int i = 0; i < 2; i++) {
		for (int64_t ms = -1000; ms <= 10; ms += 505) {
			until = deadline(clocks[i], ms);
			CHECK_ERR(sem_clockwait(&sem, clocks[i], &until), ETIMEDOUT);
			CHECK(is_past(clocks[i], &until));
		}
		CHECK_ERR(sem_clockwait(&sem, clocks[i], &bad), EINVAL);
	}
	until = deadline(CLOCK_REALTIME, 10);
	CHECK_ERR(sem_timedwait(&sem, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &until));
	CHECK(sem_post(&sem) == 0);
	CHECK(sem_timedwait(&sem, &until) == 0);
	CHECK(sem_destroy(&sem) == 0);
}

static void *take(void *arg)
{
	struct timespec until = deadline(clocks[(intptr_t)arg % 2], 60000);

	step_add(&arrived, 1);
	switch ((intptr_t)arg % 3) {
	case 0:
		CHECK(sem_wait(&sem) == 0);
		break;
	case 1:
		CHECK(sem_clockwait(&sem, clocks[(intptr_t)arg % 2], &until) == 0);
		break;
	case 2:
		until = deadline(CLOCK_REALTIME, 60000);
		CHECK(sem_timedwait(&sem, &until) == 0);
		break;
	}
	step_add(&arrived, 1);
	return NULL;
}

static void each_post_lets_one_waiter_go(void)
{
	pthread_t threads[40];
	int value;

	CHECK(sem_init(&sem, 0, 0) == 0);
	step_reset(&arrived);
	threads_start(threads, 40, take);
	step_wait(&arrived, 40);
	let_block();
	CHECK_EQ(step_at(&arrived), 40);
	for (int i = 0; i < 20; i++)
		CHECK(sem_post(&sem) == 0);
	step_wait(&arrived, 60);
	CHECK_EQ(step_at(&arrived), 60);
	for (int i = 0; i < 20; i++)
		CHECK(sem_post(&sem) == 0);
	threads_join(threads, 40);
	CHECK(sem_getvalue(&sem, &value) == 0);
	CHECK_EQ(value, 0);
	CHECK(sem_destroy(&sem) == 0);
}

static void *produce(void *arg)
{
	for (int i = 0; i < ITEMS; i++) {
		CHECK(sem_wait(&space) == 0);
		ring[i % 4] = i;
		CHECK(sem_post(&filled) == 0);
	}
	return arg;
}

static void a_ring_of_four_passes_everything_in_order(void)
{
	pthread_t thread;

	CHECK(sem_init(&space, 0, 4) == 0);
	CHECK(sem_init(&filled, 0, 0) == 0);
	thread = thread_start(produce, NULL);
	for (int i = 0; i < ITEMS; i++) {
		CHECK(sem_wait(&filled) == 0);
		CHECK_EQ(ring[i % 4], i);
		CHECK(sem_post(&space) == 0);
	}
	thread_join(thread);
	CHECK(sem_destroy(&space) == 0);
	CHECK(sem_destroy(&filled) == 0);
}

int main(void)
{
	check_begin();
	RUN(trywait_takes_what_is_there_and_no_more);
	RUN(a_wait_times_out_and_not_early);
	RUN(each_post_lets_one_waiter_go);
	RUN(a_ring_of_four_passes_everything_in_order);
	return check_done();
}
