/* names.c -- names of threads, by pthread and by prctl
 *
 * threads: 6
 */
#include "check.h"
#include <sys/prctl.h>

enum { THREADS = 6 };

static struct step arrived = STEP_INIT, told = STEP_INIT;

static void check_name_is(const char *wanted)
{
	char name[16];

	CHECK_OK(pthread_getname_np(pthread_self(), name, sizeof(name)));
	CHECK(strcmp(name, wanted) == 0);
	CHECK(prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, wanted) == 0);
}

static void *name_self(void *arg)
{
	char name[16];

	/* A new thread has the name of who made it. */
	check_name_is("names");
	snprintf(name, sizeof(name), "thread %d", (int)(intptr_t)arg);
	if ((intptr_t)arg % 2)
		CHECK_OK(pthread_setname_np(pthread_self(), name));
	else
		CHECK(prctl(PR_SET_NAME, name) == 0);
	step_add(&arrived, 1);
	step_wait(&told, 1);
	for (int i = 0; i < 10; i++) {
		check_name_is(name);
		sched_yield();
	}
	return NULL;
}

static void each_thread_has_its_own_name(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, name_self);
	step_wait(&arrived, THREADS);
	check_name_is("names");
	for (int i = 0; i < THREADS; i++) {
		char name[16], wanted[16];

		snprintf(wanted, sizeof(wanted), "thread %d", i);
		CHECK_OK(pthread_getname_np(threads[i], name, sizeof(name)));
		CHECK(strcmp(name, wanted) == 0);
	}
	step_add(&told, 1);
	threads_join(threads, THREADS);
	check_name_is("names");
}

static void *be_named(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&told, 1);
	check_name_is("by another");
	return arg;
}

static void another_thread_can_be_named(void)
{
	pthread_t thread;
	char name[16];

	step_reset(&arrived);
	step_reset(&told);
	thread = thread_start(be_named, NULL);
	step_wait(&arrived, 1);
	CHECK_OK(pthread_setname_np(thread, "by another"));
	CHECK_OK(pthread_getname_np(thread, name, sizeof(name)));
	CHECK(strcmp(name, "by another") == 0);
	step_add(&told, 1);
	thread_join(thread);
}

static void names_too_long_are_refused_or_cut(void)
{
	char small[4];

	CHECK_EQ(pthread_setname_np(pthread_self(), "sixteen letters!"), ERANGE);
	CHECK_EQ(pthread_getname_np(pthread_self(), small, sizeof(small)), ERANGE);
	CHECK(prctl(PR_SET_NAME, "more than fifteen letters") == 0);
	check_name_is("more than fifte");
	CHECK(prctl(PR_SET_NAME, "names") == 0);
	check_name_is("names");
}

int main(void)
{
	check_begin();
	CHECK(prctl(PR_SET_NAME, "names") == 0);
	RUN(each_thread_has_its_own_name);
	RUN(another_thread_can_be_named);
	RUN(names_too_long_are_refused_or_cut);
	return check_done();
}
