/* sched_inherited.c -- every thread has the nice value and the policy that the first one had before it made others
 *
 * threads: 9
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>

enum { WAITERS = 8, NICE = 5 };

static char path[] = "/tmp/sched_inherited.XXXXXX";
static struct step arrived = STEP_INIT;
static int quit;

/* The numbers of a thread's stat from the one with this number on; the name before them may hold anything. */
static long stat_number(const char *tid, int number)
{
	char file[300], text[1024], *at;
	ssize_t n;
	int fd;

	snprintf(file, sizeof file, "/proc/self/task/%s/stat", tid);
	fd = open(file, O_RDONLY);
	if (fd < 0)
		return -1;	/* it has ended */
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	at = strrchr(text, ')');
	for (int i = 2; i < number; i++)
		at = strchr(at + 1, ' ');
	return strtol(at, NULL, 10);
}

static void all_have(int number, long wanted, const char *what)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;

	CHECK(tasks != NULL);
	while ((e = readdir(tasks))) {
		long value = isdigit((unsigned char)e->d_name[0]) ? stat_number(e->d_name, number) : -1;

		if (value != -1 && value != wanted)
			check_fail(__FILE__, __LINE__, 0, "thread %s has %s %ld, not %ld", e->d_name, what, value, wanted);
	}
	closedir(tasks);
}

/* Waits where only the kernel sees it. */
static void *wait_for_the_lock(void *arg)
{
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0);
	step_add(&arrived, 1);
	CHECK(flock(fd, LOCK_EX) == 0);
	close(fd);
	(void)arg;
	return NULL;
}

static void *compute(void *arg)
{
	while (!__atomic_load_n(&quit, __ATOMIC_RELAXED))
		continue;
	return arg;
}

static void nice_value_and_policy_are_those_of_the_first(void)
{
	int fd = mkstemp(path);
	pthread_t threads[WAITERS], busy;

	CHECK(fd >= 0);
	CHECK(flock(fd, LOCK_EX) == 0);
	busy = thread_start(compute, NULL);
	threads_start(threads, WAITERS, wait_for_the_lock);
	step_wait(&arrived, WAITERS);
	for (int i = 0; i < 10; i++) {
		let_block();
		all_have(19, NICE, "nice value");
		all_have(41, SCHED_BATCH, "policy");
	}
	__atomic_store_n(&quit, 1, __ATOMIC_RELAXED);
	close(fd);
	thread_join(busy);
	threads_join(threads, WAITERS);
	CHECK(unlink(path) == 0);
}

int main(void)
{
	const struct sched_param none = {0};

	check_begin();
	CHECK(setpriority(PRIO_PROCESS, 0, NICE) == 0);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
	RUN(nice_value_and_policy_are_those_of_the_first);
	return check_done();
}
