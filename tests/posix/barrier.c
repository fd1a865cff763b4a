/* barrier.c -- nobody passes a barrier before all have come, and one of them is told so
 *
 * threads: 24
 */
#include "check.h"

enum { THREADS = 24, ROUNDS = 100 };

static pthread_barrier_t barrier;
static int came[ROUNDS], serial[ROUNDS];

static void *pass(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int result;

		__atomic_add_fetch(&came[i], 1, __ATOMIC_SEQ_CST);
		result = pthread_barrier_wait(&barrier);
		CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
		CHECK_EQ(__atomic_load_n(&came[i], __ATOMIC_SEQ_CST), THREADS);
		if (result)
			__atomic_add_fetch(&serial[i], 1, __ATOMIC_SEQ_CST);
	}
	(void)arg;
	return NULL;
}

static void nobody_passes_before_all_have_come(void)
{
	pthread_t threads[THREADS];

	memset(came, 0, sizeof(came));
	memset(serial, 0, sizeof(serial));
	CHECK_OK(pthread_barrier_init(&barrier, NULL, THREADS));
	threads_start(threads, THREADS, pass);
	threads_join(threads, THREADS);
	CHECK_OK(pthread_barrier_destroy(&barrier));
	for (int i = 0; i < ROUNDS; i++)
		CHECK_EQ(serial[i], 1);
}

static void *pass_and_destroy(void *arg)
{
	pthread_barrier_t *b = (pthread_barrier_t *)arg;

	if (pthread_barrier_wait(b) == PTHREAD_BARRIER_SERIAL_THREAD) {
		CHECK_OK(pthread_barrier_destroy(b));
		memset(b, 0x5a, sizeof(*b));
	}
	return NULL;
}

/* POSIX: destroying waits until all have left. */
static void the_serial_thread_may_destroy_it(void)
{
	for (int i = 0; i < 50; i++) {
		pthread_t threads[4];
		pthread_barrier_t b;

		CHECK_OK(pthread_barrier_init(&b, NULL, 4));
		for (int k = 0; k < 4; k++)
			threads[k] = thread_start(pass_and_destroy, &b);
		threads_join(threads, 4);
	}
}

static void a_barrier_of_none_is_refused(void)
{
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
	CHECK_OK(pthread_barrier_init(&barrier, NULL, 1));
	CHECK_EQ(pthread_barrier_wait(&barrier), PTHREAD_BARRIER_SERIAL_THREAD);
	CHECK_OK(pthread_barrier_destroy(&barrier));
}

int main(void)
{
	check_begin();
	RUN(nobody_passes_before_all_have_come);
	RUN(the_serial_thread_may_destroy_it);
	RUN(a_barrier_of_none_is_refused);
	return check_done();
}
