/* credentials.c -- who gives up privileges gives them up for all threads, and for those made later
 *
 * threads: 0
 */
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>

enum { THREADS = 8, NOBODY = 65534 };

static struct step arrived = STEP_INIT, dropped = STEP_INIT;

static void has_nothing(void)
{
	uid_t real, effective, saved;
	gid_t group[3];

	CHECK(getresuid(&real, &effective, &saved) == 0);
	CHECK(real == NOBODY && effective == NOBODY && saved == NOBODY);
	CHECK(getresgid(&group[0], &group[1], &group[2]) == 0);
	CHECK(group[0] == NOBODY && group[1] == NOBODY && group[2] == NOBODY);
	CHECK_EQ(getgroups(0, NULL), 0);
	CHECK(open("/etc/shadow", O_RDONLY) < 0);
}

static void *look(void *arg)
{
	struct timespec t = timespec_ms(1);

	step_add(&arrived, 1);
	step_wait(&dropped, 1);
	for (int i = 0; i < 20; i++) {
		has_nothing();
		nanosleep(&t, NULL);
	}
	(void)arg;
	return NULL;
}

static void child(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, look);
	step_wait(&arrived, THREADS);
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	step_add(&dropped, 1);
	has_nothing();
	threads_join(threads, THREADS);
	threads_start(threads, THREADS, look);
	threads_join(threads, THREADS);
	CHECK(setuid(0) < 0);
}

static void privileges_are_dropped_by_all_threads(void)
{
	pid_t pid;

	if (geteuid() != 0)
		return;		/* nothing to give up */
	CHECK((pid = fork()) >= 0);
	if (pid == 0) {
		child();
		_exit(0);
	}
	CHECK_CHILD(pid);
}

int main(void)
{
	check_begin();
	RUN(privileges_are_dropped_by_all_threads);
	return check_done();
}
