/* credentials.c -- who gives up privileges gives them up for all threads, and for those made later
 *
 * threads: 0
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <ctype.h>
#include <dirent.h>
#include <sys/file.h>
#include <sys/stat.h>
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

/* Every kernel thread of the process has these ids, whatever it does. */
static void all_have(const char *what, const char *wanted)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;
	char path[300], line[300];
	size_t n = strlen(what);

	CHECK(tasks != NULL);
	while ((e = readdir(tasks))) {
		snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
		FILE *f = isdigit((unsigned char)e->d_name[0]) ? fopen(path, "r") : NULL;

		while (f && fgets(line, sizeof line, f))
			if (!strncmp(line, what, n) && strcmp(line + n, wanted))
				check_fail(__FILE__, __LINE__, 0, "thread %s has %s", e->d_name, line);
		if (f)
			fclose(f);
	}
	closedir(tasks);
}

static void *compute_nothing(void *arg)
{
	return arg;
}

static char closed[] = "/tmp/credentials.XXXXXX", lock_path[sizeof closed + 8];	/* a directory of root's alone */
static volatile int quit, begun;

/* It makes no call before the change, and calls that name files after it. */
static void *compute(void *arg)
{
	char path[sizeof closed + 16];

	snprintf(path, sizeof path, "%s/%d", closed, (int)(intptr_t)arg);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	while (!quit)
		;
	CHECK_ERR(mkdir(path, 0700), EACCES);
	CHECK_ERR(access(path, F_OK), EACCES);
	return NULL;
}

static void *sleep_often(void *arg)
{
	struct timespec t = timespec_ms(1);

	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	while (!quit)
		nanosleep(&t, NULL);
	return compute(arg);
}

/* In a call in which the kernel has it, and which goes on afterwards. */
static void *wait_for_lock(void *arg)
{
	int fd = open(lock_path, O_RDWR);

	CHECK(fd >= 0);
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	CHECK(flock(fd, LOCK_EX) == 0);
	close(fd);
	return compute(arg);
}

static void *wait_for_child(void *arg)
{
	siginfo_t info;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		usleep(3000);
		_exit(0);
	}
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED) == 0);
	return sleep_often(arg);
}

static void *come_and_go(void *arg)
{
	__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
	while (!quit)
		thread_join(thread_start(compute_nothing, NULL));
	return compute(arg);
}

static void change_beside(void *(*const body[])(void *), int n)
{
	pthread_t threads[16];
	int fd = open(lock_path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	for (int i = 0; i < n; i++)
		threads[i] = thread_start(body[i], (void *)(intptr_t)i);
	while (begun < n)
		usleep(1000);
	usleep(20000);
	for (int i = 0; i < 70; i++)
		CHECK(seteuid(i & 1 ? 0 : NOBODY) == 0);
	CHECK(setgroups(2, (gid_t[]){7, 9}) == 0);
	all_have("Groups:\t", "7 9 \n");
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	all_have("Gid:\t", "65534\t65534\t65534\t65534\n");
	CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	all_have("Uid:\t", "65534\t65534\t65534\t65534\n");
	all_have("Groups:\t", " \n");
	all_have("CapEff:\t", "0000000000000000\n");
	all_have("CapPrm:\t", "0000000000000000\n");
	quit = 1;
	close(fd);
	threads_join(threads, n);
}

static void beside(void *(*const body[])(void *), int n)
{
	pid_t pid;

	if (geteuid() != 0)
		return;
	CHECK((pid = fork()) >= 0);
	if (pid == 0) {
		change_beside(body, n);
		_exit(0);
	}
	CHECK_CHILD(pid);
}

static void busy_threads_have_it_when_the_call_returns(void)
{
	beside((void *(*const[])(void *)){compute, compute, sleep_often}, 3);
}

static void threads_that_wait_have_it_when_the_call_returns(void)
{
	beside((void *(*const[])(void *)){wait_for_lock, wait_for_child, wait_for_lock, sleep_often, wait_for_child}, 5);
}

static void threads_that_are_born_meanwhile_have_it(void)
{
	beside((void *(*const[])(void *)){come_and_go, compute, come_and_go, wait_for_lock}, 4);
}

int main(void)
{
	check_begin();
	RUN(privileges_are_dropped_by_all_threads);
	CHECK(mkdtemp(closed) != NULL);
	snprintf(lock_path, sizeof lock_path, "%s/lock", closed);
	RUN(busy_threads_have_it_when_the_call_returns);
	RUN(threads_that_wait_have_it_when_the_call_returns);
	RUN(threads_that_are_born_meanwhile_have_it);
	unlink(lock_path);
	rmdir(closed);
	return check_done();
}
