/* spin_yield.c -- threads that spin: with sched_yield, without it, and on locks of their own making
 *
 * threads: 8
 */
#include "check.h"

enum { THREADS = 8 };

static int turn, lock_word;
static long total;
static struct step arrived = STEP_INIT;

static int get(int *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(int *word, int value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void *take_turns_yielding(void *arg)
{
	int n = (int)(intptr_t)arg;

	for (int i = 0; i < 200; i++) {
		while (get(&turn) % THREADS != n)
			sched_yield();
		set(&turn, get(&turn) + 1);
	}
	return NULL;
}

static void turns_go_round_by_sched_yield(void)
{
	pthread_t threads[THREADS];

	set(&turn, 0);
	threads_start(threads, THREADS, take_turns_yielding);
	threads_join(threads, THREADS);
	CHECK_EQ(get(&turn), THREADS * 200);
}

static void *take_turns_spinning(void *arg)
{
	int n = (int)(intptr_t)arg;

	for (int i = 0; i < 10; i++) {
		while (get(&turn) % 3 != n)
			continue;
		set(&turn, get(&turn) + 1);
	}
	return NULL;
}

/* Nobody gives way: only being interrupted lets the next one run where there are fewer CPUs than
 * threads. */
static void turns_go_round_by_interruption(void)
{
	pthread_t threads[3];

	set(&turn, 0);
	threads_start(threads, 3, take_turns_spinning);
	threads_join(threads, 3);
	CHECK_EQ(get(&turn), 30);
}

static void *add_under_spin_lock(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < 2000; i++) {
		for (int tries = 0; __atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE); tries++)
			if (tries > 100)
				sched_yield();
		total++;
		__atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
	}
	(void)arg;
	return NULL;
}

static void spin_locks_of_the_programs_own_work(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, add_under_spin_lock);
	threads_join(threads, THREADS);
	CHECK_EQ(total, THREADS * 2000);
}

static pthread_spinlock_t spin;

static void *add_under_pthread_spin(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		CHECK_OK(pthread_spin_lock(&spin));
		total++;
		CHECK_OK(pthread_spin_unlock(&spin));
	}
	(void)arg;
	return NULL;
}

static void pthread_spin_locks_work(void)
{
	pthread_t threads[THREADS];

	total = 0;
	CHECK_OK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
	threads_start(threads, THREADS, add_under_pthread_spin);
	threads_join(threads, THREADS);
	CHECK_EQ(total, THREADS * 2000);
	CHECK_OK(pthread_spin_trylock(&spin));
	CHECK_EQ(pthread_spin_trylock(&spin), EBUSY);
	CHECK_OK(pthread_spin_unlock(&spin));
	CHECK_OK(pthread_spin_destroy(&spin));
}

static int over;

static void *spin_for_ever(void *arg)
{
	step_add(&arrived, 1);
	while (!get(&over))
		continue;
	(void)arg;
	return NULL;
}

/* Four threads that never wait, and main sleeps, reads and locks beside them. */
static void a_sleeper_wakes_beside_spinning_threads(void)
{
	struct timespec t = timespec_ms(5);
	pthread_t threads[4];
	int fds[2];
	char c;

	step_reset(&arrived);
	threads_start(threads, 4, spin_for_ever);
	step_wait(&arrived, 4);
	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 20; i++) {
		CHECK(nanosleep(&t, NULL) == 0);
		CHECK_EQ(write(fds[1], "x", 1), 1);
		CHECK_EQ(read(fds[0], &c, 1), 1);
	}
	set(&over, 1);
	threads_join(threads, 4);
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
}

enum { SPELLS = 9 };

static int64_t spinning_since; /* ms; 0 while both give way */
static int64_t waited[SPELLS];

static void *give_way_then_spin(void *arg)
{
	for (int i = 0; i < SPELLS; i++) {
		for (int64_t end = now_ms() + 50; now_ms() < end;)
			sched_yield();
		__atomic_store_n(&spinning_since, now_ms(), __ATOMIC_RELEASE);
		while (__atomic_load_n(&spinning_since, __ATOMIC_ACQUIRE))
			continue;
	}
	(void)arg;
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	return *(const int64_t *)a > *(const int64_t *)b ? 1 : -1;
}

/* Threads that have handed on the CPU quickly for a while are looked at less often; one that then
 * keeps it is found all the same. */
static void one_that_ceases_to_give_way_is_interrupted(void)
{
	pthread_t thread = thread_start(give_way_then_spin, NULL);

	for (int i = 0; i < SPELLS; i++) {
		int64_t since;

		while (!(since = __atomic_load_n(&spinning_since, __ATOMIC_ACQUIRE)))
			sched_yield();
		waited[i] = now_ms() - since;
		__atomic_store_n(&spinning_since, 0, __ATOMIC_RELEASE);
	}
	thread_join(thread);
	qsort(waited, SPELLS, sizeof(waited[0]), by_size);
	CHECK(waited[SPELLS / 2] <= 50);
}

int main(void)
{
	check_begin();
	RUN(one_that_ceases_to_give_way_is_interrupted);
	RUN(turns_go_round_by_sched_yield);
	RUN(turns_go_round_by_interruption);
	RUN(spin_locks_of_the_programs_own_work);
	RUN(pthread_spin_locks_work);
	RUN(a_sleeper_wakes_beside_spinning_threads);
	return check_done();
}
