/* cleanup.c -- what runs when a thread ends: cleanup handlers, then destructors of its data, in
 * this order
 *
 * threads: 1
 */
#include "check.h"

static __thread char order[16];
static __thread int count;
static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void note(void *arg)
{
	order[count++] = *(char *)arg;
}

static void note_and_block(void *arg)
{
	struct timespec t = timespec_ms(2);

	nanosleep(&t, NULL);
	sched_yield();
	note(arg);
}

static void destroy(void *value)
{
	note((void *)"d");
	CHECK(strcmp(order, (char *)value) == 0);
}

__attribute__((noinline)) static void inner(int how)
{
	pthread_cleanup_push(note_and_block, (void *)"3");
	if (how == 0)
		pthread_exit((void *)"exit");
	pthread_cleanup_pop(how == 1);
}

static void *exit_from_depth(void *arg)
{
	CHECK_OK(pthread_setspecific(key, "321d"));
	pthread_cleanup_push(note, (void *)"1");
	pthread_cleanup_push(note, (void *)"2");
	inner(0);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return arg;
}

static void *pop_and_return(void *arg)
{
	CHECK_OK(pthread_setspecific(key, "31d"));
	pthread_cleanup_push(note, (void *)"1");
	pthread_cleanup_push(note, (void *)"2");
	inner(1);
	inner(2);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(1);
	return arg;
}

static void pthread_exit_runs_handlers_last_first_then_destructors(void)
{
	pthread_t threads[10];

	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(exit_from_depth, NULL);
	for (int i = 0; i < 10; i++)
		CHECK(strcmp((char *)thread_join(threads[i]), "exit") == 0);
}

static void handlers_that_were_popped_do_not_run(void)
{
	thread_join(thread_start(pop_and_return, NULL));
}

static void unlock(void *arg)
{
	CHECK_OK(pthread_mutex_unlock((pthread_mutex_t *)arg));
}

static void *exit_with_the_lock(void *arg)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlock, &mutex);
	sched_yield();
	pthread_exit(arg);
	pthread_cleanup_pop(0);
}

static void a_handler_gives_back_the_lock(void)
{
	pthread_t threads[10];

	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(exit_with_the_lock, NULL);
	threads_join(threads, 10);
	CHECK_OK(pthread_mutex_trylock(&mutex));
	CHECK_OK(pthread_mutex_unlock(&mutex));
}

int main(void)
{
	check_begin();
	CHECK_OK(pthread_key_create(&key, destroy));
	RUN(pthread_exit_runs_handlers_last_first_then_destructors);
	RUN(handlers_that_were_popped_do_not_run);
	RUN(a_handler_gives_back_the_lock);
	return check_done();
}
