/* dlmopen_calls.c -- threads wait in calls of a second libc, in a namespace of its own that came before or after the first thread
 *
 * libs: -ldl
 * args: before
 * args: after
 * threads: 8
 */
#include "check.h"
#include <dlfcn.h>

enum { READERS = 8 };

static ssize_t (*second_read)(int, void *, size_t);
static int fds[READERS][2];
static struct step told = STEP_INIT;

static void load(void)
{
	void *libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);

	if (!libc)
		check_fail(__FILE__, __LINE__, 0, "%s", dlerror());
	*(void **)&second_read = dlsym(libc, "read");
	CHECK(second_read && (void *)second_read != dlsym(RTLD_DEFAULT, "read"));
}

static void *read_there(void *arg)
{
	char byte = 0;

	CHECK_EQ(second_read(fds[(intptr_t)arg][0], &byte, 1), 1);
	CHECK_EQ(byte, 'x');
	return NULL;
}

static void *stand_by(void *arg)
{
	step_wait(&told, 1);
	return arg;
}

static void calls_of_a_second_libc_wait(void)
{
	pthread_t first = thread_start(stand_by, NULL), threads[READERS];

	if (!second_read)
		load();
	for (int i = 0; i < READERS; i++)
		CHECK(pipe(fds[i]) == 0);
	threads_start(threads, READERS, read_there);
	for (int i = 0; i < 3; i++)
		let_block();
	for (int i = 0; i < READERS; i++)
		CHECK(write(fds[i][1], "x", 1) == 1);
	threads_join(threads, READERS);
	step_add(&told, 1);
	thread_join(first);
}

int main(int argc, char **argv)
{
	check_begin();
	if (argc == 2 && !strcmp(argv[1], "before"))
		load();
	RUN(calls_of_a_second_libc_wait);
	return check_done();
}
