/* fd_table_grows.c -- threads open thousands of descriptors while others work on
 *
 * The kernel enlarges the table of descriptors of a process with threads by waiting for all CPUs, some ten milliseconds each
 * time. No hub may stand still for that.
 *
 * threads: 5
 * blocked: 5
 */
#include "check.h"
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { OPENERS = 2, WORKERS = 3, EACH = 1900, TOTAL = OPENERS * EACH };

static int open_count;
static struct step arrived = STEP_INIT;

static void *opener(void *arg)
{
	int *fds = arg;

	step_add(&arrived, 1);
	for (int i = 0; i < EACH; i++) {
		fds[i] = i % 3 ? eventfd(0, EFD_CLOEXEC) : dup(0);
		CHECK(fds[i] >= 0);
		__atomic_add_fetch(&open_count, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void *worker(void *arg)
{
	struct timespec t = {0, 1000000};
	long rounds = 0;

	(void)arg;
	step_add(&arrived, 1);
	while (__atomic_load_n(&open_count, __ATOMIC_SEQ_CST) < TOTAL || rounds < 100) {
		CHECK(nanosleep(&t, NULL) == 0);
		rounds++;
	}
	return NULL;
}

int main(void)
{
	static int fds[OPENERS][EACH];
	static char seen[65536];
	struct rlimit limit;
	pthread_t t[OPENERS + WORKERS];

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	CHECK(limit.rlim_cur > (rlim_t)TOTAL + 100 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 0; i < OPENERS + WORKERS; i++)
		CHECK(pthread_create(&t[i], NULL, i < OPENERS ? opener : worker, i < OPENERS ? fds[i] : NULL) == 0);
	for (int i = 0; i < OPENERS + WORKERS; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	for (int i = 0; i < TOTAL; i++) {
		int fd = fds[i / EACH][i % EACH];

		CHECK(fd < TOTAL + 100 && !seen[fd]++);
		CHECK(close(fd) == 0);
	}
	return 0;
}
