/* process_shared.c -- locks in shared memory: between threads, and between two processes
 *
 * threads: 8
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include <semaphore.h>

enum { THREADS = 8, ROUNDS = 300 };

/* Everything that two processes share. */
static struct room {
	pthread_mutex_t mutex;
	pthread_rwlock_t rw;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	sem_t sem, back;
	long total, seen;
	int turn;
} * room;

static void room_make(unsigned parties)
{
	pthread_mutexattr_t mutex;
	pthread_rwlockattr_t rw;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	room = (struct room *)mmap(NULL, sizeof(*room), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)room != MAP_FAILED);
	CHECK_OK(pthread_mutexattr_init(&mutex));
	CHECK_OK(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED));
	CHECK_OK(pthread_mutex_init(&room->mutex, &mutex));
	CHECK_OK(pthread_rwlockattr_init(&rw));
	CHECK_OK(pthread_rwlockattr_setpshared(&rw, PTHREAD_PROCESS_SHARED));
	CHECK_OK(pthread_rwlock_init(&room->rw, &rw));
	CHECK_OK(pthread_condattr_init(&cond));
	CHECK_OK(pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED));
	CHECK_OK(pthread_condattr_setclock(&cond, CLOCK_MONOTONIC));
	CHECK_OK(pthread_cond_init(&room->cond, &cond));
	CHECK_OK(pthread_barrierattr_init(&barrier));
	CHECK_OK(pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED));
	CHECK_OK(pthread_barrier_init(&room->barrier, &barrier, parties));
	CHECK(sem_init(&room->sem, 1, 0) == 0);
	CHECK(sem_init(&room->back, 1, 0) == 0);
}

static void room_drop(void)
{
	CHECK_OK(pthread_mutex_destroy(&room->mutex));
	CHECK_OK(pthread_rwlock_destroy(&room->rw));
	CHECK_OK(pthread_cond_destroy(&room->cond));
	CHECK_OK(pthread_barrier_destroy(&room->barrier));
	CHECK(sem_destroy(&room->sem) == 0);
	CHECK(sem_destroy(&room->back) == 0);
	CHECK(munmap(room, sizeof(*room)) == 0);
}

static void *use_locks(void *arg)
{
	int result = pthread_barrier_wait(&room->barrier);

	CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_OK(pthread_mutex_lock(&room->mutex));
		long total = room->total;
		if (i % 16 == 0)
			sched_yield();
		room->total = total + 1;
		CHECK_OK(pthread_mutex_unlock(&room->mutex));

		CHECK_OK(i % 4 ? pthread_rwlock_rdlock(&room->rw)
			       : pthread_rwlock_wrlock(&room->rw));
		if (i % 4 == 0)
			room->seen++;
		CHECK_OK(pthread_rwlock_unlock(&room->rw));
	}
	pthread_barrier_wait(&room->barrier);
	CHECK_EQ(room->total % (THREADS * ROUNDS), 0);
	(void)arg;
	return NULL;
}

static void threads_use_shared_locks(void)
{
	pthread_t threads[THREADS];

	room_make(THREADS);
	threads_start(threads, THREADS, use_locks);
	threads_join(threads, THREADS);
	CHECK_EQ(room->total, THREADS * ROUNDS);
	CHECK_EQ(room->seen, THREADS * ROUNDS / 4);
	room_drop();
}

/* Two processes, four threads each. */
static void processes_use_shared_locks(void)
{
	pthread_t threads[THREADS / 2];
	pid_t child;

	room_make(THREADS);
	CHECK((child = fork()) >= 0);
	threads_start(threads, THREADS / 2, use_locks);
	threads_join(threads, THREADS / 2);
	if (child == 0)
		_exit(0);
	CHECK_CHILD(child);
	CHECK_EQ(room->total, THREADS * ROUNDS);
	CHECK_EQ(room->seen, THREADS * ROUNDS / 4);
	room_drop();
}

/* Another process's thread holds the lock: it is not one's own, whichever number that has. */
static void *find_it_taken(void *arg)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)arg;

	CHECK_EQ(pthread_mutex_trylock(mutex), EBUSY);
	CHECK_EQ(pthread_mutex_unlock(mutex), EPERM);
	CHECK(sem_post(&room->back) == 0);
	CHECK_OK(pthread_mutex_lock(mutex));
	CHECK_OK(pthread_mutex_unlock(mutex));
	return NULL;
}

static void *hold_it(void *arg)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)arg;

	CHECK_OK(pthread_mutex_lock(mutex));
	for (int i = 0; i < THREADS; i++)
		CHECK(sem_post(&room->sem) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(sem_wait(&room->back) == 0);
	CHECK_OK(pthread_mutex_unlock(mutex));
	return NULL;
}

static void *wait_and_find_it_taken(void *arg)
{
	CHECK(sem_wait(&room->sem) == 0);
	return find_it_taken(arg);
}

static void an_owner_in_another_process_is_another_owner(void)
{
	static const int kinds[] = {PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};

	for (int kind = 0; kind < 2; kind++) {
		pthread_t threads[THREADS];
		pthread_mutexattr_t attr;
		pid_t child;

		room_make(THREADS);
		CHECK_OK(pthread_mutexattr_init(&attr));
		CHECK_OK(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
		CHECK_OK(pthread_mutexattr_settype(&attr, kinds[kind]));
		CHECK_OK(pthread_mutex_init(&room->mutex, &attr));
		CHECK((child = fork()) >= 0);
		if (child == 0) {
			for (int i = 0; i < THREADS; i++)
				threads[i] = thread_start(wait_and_find_it_taken, &room->mutex);
			threads_join(threads, THREADS);
			_exit(0);
		}
		thread_join(thread_start(hold_it, &room->mutex));
		CHECK_CHILD(child);
		room_drop();
	}
}

static void take_turns(int mine)
{
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_OK(pthread_mutex_lock(&room->mutex));
		while (room->turn != mine)
			CHECK_OK(pthread_cond_wait(&room->cond, &room->mutex));
		room->turn = !mine;
		CHECK_OK(pthread_cond_broadcast(&room->cond));
		CHECK_OK(pthread_mutex_unlock(&room->mutex));
	}
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(sem_wait(mine ? &room->sem : &room->back) == 0);
		CHECK(sem_post(mine ? &room->back : &room->sem) == 0);
	}
}

static void *take_turn_one(void *arg)
{
	take_turns(1);
	return arg;
}

static void two_threads_take_turns(void)
{
	pthread_t thread;

	room_make(2);
	CHECK(sem_post(&room->sem) == 0);
	thread = thread_start(take_turn_one, NULL);
	take_turns(0);
	thread_join(thread);
	room_drop();
}

/* The other process's part is taken by a thread of it, this one's by a thread as well. */
static void *fork_and_take_turns(void *arg)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		thread_join(thread_start(take_turn_one, NULL));
		_exit(0);
	}
	take_turns(0);
	CHECK_CHILD(child);
	return arg;
}

static void two_processes_take_turns(void)
{
	room_make(2);
	CHECK(sem_post(&room->sem) == 0);
	thread_join(thread_start(fork_and_take_turns, NULL));
	room_drop();
}

static void *time_out(void *arg)
{
	struct timespec until = deadline(CLOCK_MONOTONIC, 20), real = deadline(CLOCK_REALTIME, 20);
	int result;

	CHECK_OK(pthread_mutex_lock(&room->mutex));
	do
		result = pthread_cond_timedwait(&room->cond, &room->mutex, &until);
	while (result == 0);
	CHECK_EQ(result, ETIMEDOUT);
	CHECK(is_past(CLOCK_MONOTONIC, &until));
	CHECK_OK(pthread_mutex_unlock(&room->mutex));
	CHECK_ERR(sem_timedwait(&room->sem, &real), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &real));
	until = deadline(CLOCK_MONOTONIC, 20);
	CHECK_EQ(pthread_rwlock_clockwrlock(&room->rw, CLOCK_MONOTONIC, &until), ETIMEDOUT);
	CHECK(is_past(CLOCK_MONOTONIC, &until));
	(void)arg;
	return NULL;
}

static void waits_for_shared_locks_time_out(void)
{
	pthread_t threads[4];

	room_make(2);
	CHECK_OK(pthread_rwlock_rdlock(&room->rw));
	threads_start(threads, 4, time_out);
	threads_join(threads, 4);
	CHECK_OK(pthread_rwlock_unlock(&room->rw));
	room_drop();
}

int main(void)
{
	check_begin();
	RUN(threads_use_shared_locks);
	RUN(two_threads_take_turns);
	RUN(waits_for_shared_locks_time_out);
	RUN(processes_use_shared_locks);
	RUN(an_owner_in_another_process_is_another_owner);
	RUN(two_processes_take_turns);
	return check_done();
}
