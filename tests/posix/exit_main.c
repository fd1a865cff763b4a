/* exit_main.c -- how a process ends: main's pthread_exit, exit and _exit of any thread, return from
 * main
 *
 * The last part is this process itself: main ends, the last of four threads ends the process by
 * returning.
 *
 * threads: 4
 */
#include "check.h"

static pthread_t main_thread;
static struct step arrived = STEP_INIT, told = STEP_INIT;
static int pipe_fds[2];

static void *exit_7(void *arg)
{
	exit(7);
	return arg;
}

static void *quit_8(void *arg)
{
	_exit(8);
	return arg;
}

static void *wait_long(void *arg)
{
	step_add(&arrived, 1);
	for (;;)
		pause();
	return arg;
}

static void *end_late(void *arg)
{
	struct timespec t = timespec_ms(20);

	CHECK_OK(pthread_join(main_thread, NULL));
	nanosleep(&t, NULL);
	return arg;
}

static void tell(void)
{
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
}

/* Runs in a child; whatever returns is the child's status. */
static int end_in_way(int way)
{
	pthread_t threads[3];

	main_thread = pthread_self();
	CHECK(atexit(tell) == 0);
	for (int i = 0; i < 3; i++)
		threads[i] = thread_start(wait_long, NULL);
	step_wait(&arrived, 3);
	switch (way) {
	case 0:
		return 6;
	case 1:
		thread_start(exit_7, NULL);
		wait_long(NULL);
		break;
	case 2:
		thread_start(quit_8, NULL);
		wait_long(NULL);
		break;
	case 3:
		thread_start(exit_7, NULL);
		pthread_exit(NULL);
	case 4:
		for (int i = 0; i < 3; i++)
			CHECK_OK(pthread_cancel(threads[i]));
		thread_start(end_late, NULL);
		pthread_exit(NULL);
	}
	return 99;
}

static void every_end_has_its_status_and_runs_atexit_once(void)
{
	static const int status[] = {6, 7, 8, 7, 0}, told_at_exit[] = {1, 1, 0, 1, 1};

	for (int way = 0; way < 5; way++) {
		char text[8];
		pid_t child;

		CHECK(pipe(pipe_fds) == 0);
		CHECK((child = fork()) >= 0);
		if (child == 0)
			exit(end_in_way(way));
		CHECK(close(pipe_fds[1]) == 0);
		CHECK_EQ(child_status(child), status[way] << 8);
		CHECK_EQ(read(pipe_fds[0], text, sizeof(text)), told_at_exit[way]);
		CHECK(close(pipe_fds[0]) == 0);
	}
}

static void *outlive_main(void *arg)
{
	struct timespec t = timespec_ms(5);

	step_add(&arrived, 1);
	if (arg == NULL)
		CHECK_OK(pthread_join(main_thread, NULL));
	step_add(&told, 1);
	step_wait(&told, 4);
	nanosleep(&t, NULL);
	return NULL;
}

static void finish(void)
{
	CHECK_EQ(step_at(&told), 4);
	check_done();
}

int main(void)
{
	check_begin();
	RUN(every_end_has_its_status_and_runs_atexit_once);
	CHECK(atexit(finish) == 0);
	main_thread = pthread_self();
	for (intptr_t i = 0; i < 4; i++)
		thread_start(outlive_main, (void *)i);
	step_wait(&arrived, 4);
	pthread_exit(NULL);
}
