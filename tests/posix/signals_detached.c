/* signals_detached.c -- a signal that every thread blocks stays pending, also when one of them
 * waits in the kernel since before
 *
 * threads: 2
 * blocked: 100
 */
#include "check.h"
#include <sys/file.h>

static sigset_t set;
static char path[] = "/tmp/signals-detached.XXXXXX";

static void *wait_for_lock(void *arg)
{
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0);
	CHECK(flock(fd, LOCK_EX) == 0);
	CHECK(close(fd) == 0);
	return arg;
}

static void *tick(void *arg)
{
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (;;)
		usleep(1000);
	return arg;
}

static void a_signal_blocked_by_all_stays_pending(void)
{
	int file = mkstemp(path);

	CHECK(file >= 0);
	CHECK(flock(file, LOCK_EX) == 0);
	thread_start(tick, NULL);
	pthread_t waiter = thread_start(wait_for_lock, NULL);

	let_block();
	let_block();
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 5; i++) {
		struct timespec limit = timespec_ms(2000);

		CHECK(kill(getpid(), SIGTERM) == 0);
		CHECK_EQ(sigtimedwait(&set, NULL, &limit), SIGTERM);
	}
	CHECK(flock(file, LOCK_UN) == 0);
	thread_join(waiter);
	CHECK(close(file) == 0);
	CHECK(unlink(path) == 0);
}

int main(void)
{
	check_begin();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	RUN(a_signal_blocked_by_all_stays_pending);
	return check_done();
}
