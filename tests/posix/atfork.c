/* atfork.c -- pthread_atfork: order of the handlers, and locks that they carry over a fork
 *
 * threads: 5
 */
#include "check.h"

static char order[32];
static int recording, over;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct step arrived = STEP_INIT;
static long a, b;

static void note(const char *c)
{
	if (recording)
		strcat(order, c);
}

static void prepare_1(void)
{
	note("1");
}

static void parent_1(void)
{
	note("p");
}

static void child_1(void)
{
	note("c");
}

static void lock(void)
{
	note("2");
	CHECK_OK(pthread_mutex_lock(&mutex));
}

static void unlock_parent(void)
{
	note("P");
	CHECK_OK(pthread_mutex_unlock(&mutex));
}

static void unlock_child(void)
{
	note("C");
	CHECK_OK(pthread_mutex_unlock(&mutex));
}

static void handlers_run_in_order(void)
{
	pid_t child;

	recording = 1;
	CHECK((child = fork()) >= 0);
	if (child == 0)
		_exit(strcmp(order, "21cC") != 0);
	CHECK_CHILD(child);
	CHECK(strcmp(order, "21pP") == 0);
	recording = 0;
}

static void *change_both(void *arg)
{
	step_add(&arrived, 1);
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		CHECK_OK(pthread_mutex_lock(&mutex));
		a++;
		sched_yield();
		b++;
		CHECK_OK(pthread_mutex_unlock(&mutex));
		sched_yield();
	}
	(void)arg;
	return NULL;
}

static void *fork_often(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			CHECK_OK(pthread_mutex_lock(&mutex));
			CHECK_EQ(a, b);
			CHECK_OK(pthread_mutex_unlock(&mutex));
			_exit(0);
		}
		CHECK_CHILD(child);
	}
	(void)arg;
	return NULL;
}

static void a_lock_taken_by_prepare_is_whole_in_the_child(void)
{
	pthread_t workers[4], forkers[2];

	threads_start(workers, 4, change_both);
	step_wait(&arrived, 4);
	threads_start(forkers, 2, fork_often);
	threads_join(forkers, 2);
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	threads_join(workers, 4);
	CHECK_EQ(a, b);
}

int main(void)
{
	check_begin();
	CHECK_OK(pthread_atfork(prepare_1, parent_1, child_1));
	CHECK_OK(pthread_atfork(lock, unlock_parent, unlock_child));
	RUN(handlers_run_in_order);
	RUN(a_lock_taken_by_prepare_is_whole_in_the_child);
	return check_done();
}
