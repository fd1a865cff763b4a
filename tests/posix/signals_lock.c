/* signals_lock.c -- a signal ends a wait for a lock of a file, in the first thread, unless its handler has SA_RESTART
 *
 * threads: 1
 */
#include "check.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>

static int file, stop;
static volatile sig_atomic_t handled;

static void *work(void *arg)
{
	struct timespec t = {0, 1000000};

	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
		CHECK(nanosleep(&t, NULL) == 0);
	return arg;
}

static void note(int sig)
{
	(void)sig;
	handled++;
}

static void alarm_in(long us, int flags)
{
	struct sigaction act = {.sa_handler = note, .sa_flags = flags};
	struct itimerval when = {.it_value = {0, us}};

	handled = 0;
	CHECK(sigaction(SIGALRM, &act, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &when, NULL) == 0);
}

static int by_fcntl(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLKW, &l);
}

static int by_flock(int fd)
{
	return flock(fd, LOCK_EX);
}

/* Hold the lock in another process until it is told to end; it opens the file itself. */
static pid_t hold(const char *path, int (*lock)(int), int ready, int go)
{
	pid_t pid = fork();
	char c = 0;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	int fd = open(path, O_RDWR);

	if (fd < 0 || lock(fd) || write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(1);
	_exit(0);
}

static void ends_or_goes_on(const char *path, int (*lock)(int))
{
	int ready[2], go[2], status;
	char c = 0;

	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid_t pid = hold(path, lock, ready[1], go[0]);

	CHECK(read(ready[0], &c, 1) == 1);
	alarm_in(50000, 0);
	CHECK(lock(file) == -1 && errno == EINTR);
	CHECK(handled == 1);
	alarm_in(50000, SA_RESTART);
	pid_t opener = fork();

	CHECK(opener >= 0);
	if (!opener) {
		usleep(200000);
		_exit(write(go[1], &c, 1) != 1);
	}
	CHECK(lock(file) == 0);
	CHECK(handled == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(waitpid(opener, &status, 0) == opener && status == 0);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
}

int main(void)
{
	char path[] = "/tmp/weft-lock.XXXXXX";
	pthread_t t;

	file = mkstemp(path);
	CHECK(file >= 0);
	CHECK(pthread_create(&t, NULL, work, NULL) == 0);
	ends_or_goes_on(path, by_fcntl);
	close(file);
	file = open(path, O_RDWR);
	ends_or_goes_on(path, by_flock);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(unlink(path) == 0);
	return 0;
}
