/* c11_threads.c -- threads, locks, conditions and thread-specific storage as C11 has them
 *
 * threads: 10
 */
#include "check.h"
#include <threads.h>

enum { THREADS = 10 };

static mtx_t mutex;
static cnd_t cond;
static tss_t key;
static once_flag flag = ONCE_FLAG_INIT;
static thread_local int own;
static int total, waiting, go, destroyed, runs;

static int twice(void *arg)
{
	own += *(int *)arg;
	thrd_yield();
	return own * 2;
}

static int leave(void *arg)
{
	thrd_exit(*(int *)arg + 1);
}

static void a_thread_returns_an_int(void)
{
	thrd_t threads[THREADS];
	int numbers[THREADS], result;

	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		CHECK_EQ(thrd_create(&threads[i], i % 2 ? twice : leave, &numbers[i]),
			 thrd_success);
	}
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(thrd_join(threads[i], &result), thrd_success);
		CHECK_EQ(result, i % 2 ? i * 2 : i + 1);
	}
	CHECK(thrd_equal(thrd_current(), thrd_current()));
}

static int add(void *arg)
{
	for (int i = 0; i < 500; i++) {
		CHECK_EQ(mtx_lock(&mutex), thrd_success);
		total++;
		if (i % 50 == 0)
			thrd_yield();
		CHECK_EQ(mtx_unlock(&mutex), thrd_success);
	}
	return arg != NULL;
}

static void start_and_join(thrd_start_t main)
{
	thrd_t threads[THREADS];
	int result;

	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(thrd_create(&threads[i], main, NULL), thrd_success);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(thrd_join(threads[i], &result), thrd_success);
		CHECK_EQ(result, 0);
	}
}

static void a_mutex_lets_one_in(void)
{
	static const int types[] = {mtx_plain, mtx_timed, mtx_plain | mtx_recursive,
				    mtx_timed | mtx_recursive};

	for (int i = 0; i < 4; i++) {
		total = 0;
		CHECK_EQ(mtx_init(&mutex, types[i]), thrd_success);
		start_and_join(add);
		CHECK_EQ(total, THREADS * 500);
		mtx_destroy(&mutex);
	}
}

static int time_out(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 10);

	CHECK_EQ(mtx_trylock(&mutex), thrd_busy);
	CHECK_EQ(mtx_timedlock(&mutex, &until), thrd_timedout);
	CHECK(is_past(CLOCK_REALTIME, &until));
	return arg != NULL;
}

static void a_timed_mutex_times_out(void)
{
	CHECK_EQ(mtx_init(&mutex, mtx_timed), thrd_success);
	CHECK_EQ(mtx_lock(&mutex), thrd_success);
	start_and_join(time_out);
	CHECK_EQ(mtx_unlock(&mutex), thrd_success);
	mtx_destroy(&mutex);
}

static int wait_for_go(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 60000);

	CHECK_EQ(mtx_lock(&mutex), thrd_success);
	waiting++;
	CHECK_EQ(cnd_broadcast(&cond), thrd_success);
	while (!go)
		CHECK_EQ(waiting % 2 ? cnd_wait(&cond, &mutex)
				     : cnd_timedwait(&cond, &mutex, &until),
			 thrd_success);
	CHECK_EQ(mtx_unlock(&mutex), thrd_success);
	return arg != NULL;
}

static int give_go(void *arg)
{
	CHECK_EQ(mtx_lock(&mutex), thrd_success);
	while (waiting < THREADS)
		CHECK_EQ(cnd_wait(&cond, &mutex), thrd_success);
	go = 1;
	CHECK_EQ(cnd_broadcast(&cond), thrd_success);
	CHECK_EQ(mtx_unlock(&mutex), thrd_success);
	return arg != NULL;
}

static void a_condition_wakes_all(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 10);
	thrd_t giver;

	CHECK_EQ(mtx_init(&mutex, mtx_plain), thrd_success);
	CHECK_EQ(cnd_init(&cond), thrd_success);
	CHECK_EQ(thrd_create(&giver, give_go, NULL), thrd_success);
	start_and_join(wait_for_go);
	CHECK_EQ(thrd_join(giver, NULL), thrd_success);
	CHECK_EQ(mtx_lock(&mutex), thrd_success);
	while (cnd_timedwait(&cond, &mutex, &until) != thrd_timedout)
		continue;
	CHECK(is_past(CLOCK_REALTIME, &until));
	CHECK_EQ(mtx_unlock(&mutex), thrd_success);
	cnd_destroy(&cond);
	mtx_destroy(&mutex);
}

static void destroy(void *value)
{
	CHECK(value == &key);
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void run(void)
{
	runs++;
	thrd_yield();
}

static int use_storage(void *arg)
{
	struct timespec t = timespec_ms(1);

	call_once(&flag, run);
	CHECK_EQ(runs, 1);
	CHECK(tss_get(key) == NULL);
	CHECK_EQ(tss_set(key, &key), thrd_success);
	CHECK_EQ(thrd_sleep(&t, NULL), 0);
	CHECK(tss_get(key) == &key);
	return arg != NULL;
}

static void storage_is_destroyed_at_the_end(void)
{
	CHECK_EQ(tss_create(&key, destroy), thrd_success);
	start_and_join(use_storage);
	CHECK_EQ(destroyed, THREADS);
	tss_delete(key);
}

static int count_down(void *arg)
{
	step_add((struct step *)arg, 1);
	return 0;
}

static void a_detached_thread_runs_to_its_end(void)
{
	static struct step ended = STEP_INIT;

	for (int i = 0; i < THREADS; i++) {
		thrd_t thread;

		CHECK_EQ(thrd_create(&thread, count_down, &ended), thrd_success);
		CHECK_EQ(thrd_detach(thread), thrd_success);
	}
	step_wait(&ended, THREADS);
}

int main(void)
{
	check_begin();
	RUN(a_thread_returns_an_int);
	RUN(a_mutex_lets_one_in);
	RUN(a_timed_mutex_times_out);
	RUN(a_condition_wakes_all);
	RUN(storage_is_destroyed_at_the_end);
	RUN(a_detached_thread_runs_to_its_end);
	return check_done();
}
