/* mutex_robust.c -- a mutex whose owner ends while it holds it
 *
 * threads: 5
 * kthreads: any
 */
#include "check.h"

enum { MANY = 20 };

static pthread_mutex_t *mutex, many[MANY];
static struct step arrived = STEP_INIT, told = STEP_INIT;

static void robust_init(pthread_mutex_t *m, int type, int shared)
{
	pthread_mutexattr_t attr;

	CHECK_OK(pthread_mutexattr_init(&attr));
	CHECK_OK(pthread_mutexattr_settype(&attr, type));
	CHECK_OK(pthread_mutexattr_setpshared(&attr, shared));
	CHECK_OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	CHECK_OK(pthread_mutex_init(m, &attr));
	CHECK_OK(pthread_mutexattr_destroy(&attr));
}

static void *lock_and_end(void *arg)
{
	CHECK_OK(pthread_mutex_lock(mutex));
	return arg;
}

static void *lock_and_end_when_told(void *arg)
{
	CHECK_OK(pthread_mutex_lock(mutex));
	step_add(&arrived, 1);
	step_wait(&told, 1);
	pthread_exit(arg);
}

static void the_next_owner_is_told_and_may_repair(void)
{
	static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				    PTHREAD_MUTEX_ERRORCHECK};
	struct timespec until = deadline(CLOCK_REALTIME, 60000);

	for (int i = 0; i < 9; i++) {
		robust_init(mutex, types[i % 3], PTHREAD_PROCESS_PRIVATE);
		thread_join(thread_start(lock_and_end, NULL));
		if (i / 3 == 0)
			CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
		else if (i / 3 == 1)
			CHECK_EQ(pthread_mutex_trylock(mutex), EOWNERDEAD);
		else
			CHECK_EQ(pthread_mutex_timedlock(mutex, &until), EOWNERDEAD);
		CHECK_OK(pthread_mutex_consistent(mutex));
		CHECK_OK(pthread_mutex_unlock(mutex));
		CHECK_EQ(pthread_mutex_consistent(mutex), EINVAL);
		CHECK_OK(pthread_mutex_lock(mutex));
		CHECK_OK(pthread_mutex_unlock(mutex));
		CHECK_OK(pthread_mutex_destroy(mutex));
	}
}

static void unrepaired_it_is_lost(void)
{
	robust_init(mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_PRIVATE);
	thread_join(thread_start(lock_and_end, NULL));
	CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
	CHECK_OK(pthread_mutex_unlock(mutex));
	CHECK_EQ(pthread_mutex_lock(mutex), ENOTRECOVERABLE);
	CHECK_EQ(pthread_mutex_trylock(mutex), ENOTRECOVERABLE);
	CHECK_OK(pthread_mutex_destroy(mutex));
}

/* The first who comes is told; each repairs and ends with it again. */
static void *inherit_and_end(void *arg)
{
	step_add(&arrived, 1);
	CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
	CHECK_OK(pthread_mutex_consistent(mutex));
	(void)arg;
	return NULL;
}

static void blocked_waiters_inherit_one_after_the_other(void)
{
	for (int round = 0; round < 10; round++) {
		pthread_t owner, threads[4];

		robust_init(mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_PRIVATE);
		step_reset(&arrived);
		step_reset(&told);
		owner = thread_start(lock_and_end_when_told, NULL);
		step_wait(&arrived, 1);
		threads_start(threads, 4, inherit_and_end);
		step_wait(&arrived, 5);
		if (round % 5 == 0)
			let_block();
		step_add(&told, 1);
		thread_join(owner);
		threads_join(threads, 4);
		CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
		CHECK_OK(pthread_mutex_consistent(mutex));
		CHECK_OK(pthread_mutex_unlock(mutex));
		CHECK_OK(pthread_mutex_destroy(mutex));
	}
}

static void *lock_many(void *arg)
{
	for (int i = 0; i < MANY; i++)
		CHECK_OK(pthread_mutex_lock(&many[i]));
	for (int i = 0; i < MANY; i += 3)
		CHECK_OK(pthread_mutex_unlock(&many[i]));
	return arg;
}

static void all_that_a_thread_held_are_handed_on(void)
{
	for (int i = 0; i < MANY; i++)
		robust_init(&many[i], PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_PRIVATE);
	thread_join(thread_start(lock_many, NULL));
	for (int i = 0; i < MANY; i++) {
		int result = pthread_mutex_lock(&many[i]);

		CHECK_EQ(result, i % 3 ? EOWNERDEAD : 0);
		if (result)
			CHECK_OK(pthread_mutex_consistent(&many[i]));
		CHECK_OK(pthread_mutex_unlock(&many[i]));
		CHECK_OK(pthread_mutex_destroy(&many[i]));
	}
}

static void *time_out(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 10);

	CHECK_EQ(pthread_mutex_timedlock(mutex, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &until));
	until = deadline(CLOCK_MONOTONIC, 10);
	CHECK_EQ(pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_trylock(mutex), EBUSY);
	return arg;
}

static void a_living_owner_keeps_others_out(void)
{
	robust_init(mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_PRIVATE);
	CHECK_OK(pthread_mutex_lock(mutex));
	thread_join(thread_start(time_out, NULL));
	CHECK_OK(pthread_mutex_unlock(mutex));
	CHECK_OK(pthread_mutex_destroy(mutex));
}

/* The owner is a process that ends: by its last thread, or by _exit with threads left. */
static void a_process_that_ends_hands_it_on(void)
{
	for (int way = 0; way < 2; way++) {
		pid_t child;

		robust_init(mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PROCESS_SHARED);
		CHECK((child = fork()) >= 0);
		if (child == 0) {
			if (way == 0)
				thread_join(thread_start(lock_and_end, NULL));
			else
				lock_and_end(NULL);
			_exit(0);
		}
		CHECK_CHILD(child);
		CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
		CHECK_OK(pthread_mutex_consistent(mutex));
		CHECK_OK(pthread_mutex_unlock(mutex));
		CHECK_OK(pthread_mutex_destroy(mutex));
	}
}

int main(void)
{
	check_begin();
	mutex = (pthread_mutex_t *)mmap(NULL, sizeof(*mutex), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)mutex != MAP_FAILED);
	RUN(the_next_owner_is_told_and_may_repair);
	RUN(unrepaired_it_is_lost);
	RUN(blocked_waiters_inherit_one_after_the_other);
	RUN(all_that_a_thread_held_are_handed_on);
	RUN(a_living_owner_keeps_others_out);
	RUN(a_process_that_ends_hands_it_on);
	return check_done();
}
