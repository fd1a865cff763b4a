/* constructor.c -- threads made before main begins, some of which live until after it has ended
 *
 * threads: 5
 */
#include "check.h"

static struct step arrived = STEP_INIT, told = STEP_INIT;
static pthread_t early[4];
static __thread int own;

static void *wait_until_told(void *arg)
{
	own = (int)(intptr_t)arg;
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK_EQ(own, (intptr_t)arg);
	return arg;
}

static void *end_at_once(void *arg)
{
	CHECK_EQ(own, 0);
	return arg;
}

__attribute__((constructor)) static void begin(void)
{
	for (intptr_t i = 0; i < 4; i++)
		early[i] = thread_start(wait_until_told, (void *)i);
	step_wait(&arrived, 4);
	for (int i = 0; i < 20; i++)
		CHECK(thread_join(thread_start(end_at_once, &own)) == &own);
}

static int late_runs;

static void *run_late(void *arg)
{
	late_runs++;
	return arg;
}

__attribute__((destructor)) static void end(void)
{
	thread_join(thread_start(run_late, NULL));
	if (late_runs != 1)
		_exit(1);
}

static void threads_from_before_main_work_with_later_ones(void)
{
	pthread_t late = thread_start(wait_until_told, (void *)4);

	step_wait(&arrived, 5);
	step_add(&told, 1);
	for (intptr_t i = 0; i < 4; i++)
		CHECK(thread_join(early[i]) == (void *)i);
	CHECK(thread_join(late) == (void *)4);
}

int main(void)
{
	check_begin();
	RUN(threads_from_before_main_work_with_later_ones);
	return check_done();
}
