/* detach.c -- threads that nobody joins
 *
 * threads: 8
 */
#include "check.h"

enum { BATCH = 8 };

static struct step ended = STEP_INIT, told = STEP_INIT;

static void *end(void *arg)
{
	char frame[4096];

	memset(frame, 1, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
	step_add(&ended, 1);
	return arg;
}

static void *end_when_told(void *arg)
{
	step_wait(&told, 1);
	return end(arg);
}

static void *detach_self(void *arg)
{
	int state;
	pthread_attr_t attr;

	CHECK_OK(pthread_detach(pthread_self()));
	CHECK_OK(pthread_getattr_np(pthread_self(), &attr));
	CHECK_OK(pthread_attr_getdetachstate(&attr, &state));
	CHECK_EQ(state, PTHREAD_CREATE_DETACHED);
	CHECK_OK(pthread_attr_destroy(&attr));
	return end(arg);
}

static void threads_made_detached_run_to_their_end(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	step_reset(&ended);
	for (int i = 0; i < 2000; i++) {
		CHECK_OK(pthread_create(&thread, &attr, end, NULL));
		if (i % BATCH == 0)
			step_wait(&ended, i - BATCH);
	}
	step_wait(&ended, 2000);
	CHECK_OK(pthread_attr_destroy(&attr));
}

static void a_detached_thread_cannot_be_joined(void)
{
	pthread_t threads[BATCH];

	step_reset(&ended);
	step_reset(&told);
	threads_start(threads, BATCH, end_when_told);
	for (int i = 0; i < BATCH; i++) {
		CHECK_OK(pthread_detach(threads[i]));
		CHECK_EQ(pthread_detach(threads[i]), EINVAL);
		CHECK_EQ(pthread_join(threads[i], NULL), EINVAL);
	}
	CHECK_EQ(step_at(&ended), 0);
	step_add(&told, 1);
	step_wait(&ended, BATCH);
}

static void a_thread_may_detach_itself(void)
{
	step_reset(&ended);
	for (int i = 0; i < 100; i++)
		thread_start(detach_self, NULL);
	step_wait(&ended, 100);
}

/* Detaching what has ended already frees it: only that nothing breaks can be seen. */
static void a_thread_may_be_detached_after_its_end(void)
{
	pthread_t threads[BATCH];

	for (int round = 0; round < 20; round++) {
		step_reset(&ended);
		for (int i = 0; i < BATCH; i++)
			threads[i] = thread_start(end, NULL);
		step_wait(&ended, BATCH);
		for (int i = 0; i < BATCH; i++)
			CHECK_OK(pthread_detach(threads[i]));
	}
}

int main(void)
{
	check_begin();
	RUN(threads_made_detached_run_to_their_end);
	RUN(a_detached_thread_cannot_be_joined);
	RUN(a_thread_may_detach_itself);
	RUN(a_thread_may_be_detached_after_its_end);
	return check_done();
}
