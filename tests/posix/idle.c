/* idle.c -- a process whose threads all wait does not wake up
 *
 * Each thread waits in another way, for something that does not come. The switches that the kernel threads of the process make
 * are counted over two seconds.
 *
 * threads: 16
 * kthreads: any
 * blocked: 100
 * timeout: 60
 */
#include "check.h"
#include <dirent.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { MOST_SWITCHES = 20, SECONDS = 2 };

static pid_t child;
static char path[64];

static void *in_pause(void *arg)
{
	pause();
	return arg;
}

static void *in_read(void *arg)
{
	int ends[2];
	char c;

	CHECK_OK(pipe(ends));
	CHECK(read(ends[0], &c, 1) < 0);
	return arg;
}

static void *in_wait_any(void *arg)
{
	CHECK(waitpid(-1, NULL, 0) < 0);
	return arg;
}

static void *in_wait_stopped(void *arg)
{
	CHECK(waitpid(child, NULL, WUNTRACED) < 0);
	return arg;
}

static void *in_wait_group(void *arg)
{
	CHECK(waitpid(0, NULL, 0) < 0);
	return arg;
}

static void *in_waitid(void *arg)
{
	siginfo_t info;

	CHECK(waitid(P_ALL, 0, &info, WEXITED) < 0);
	return arg;
}

static void *in_flock(void *arg)
{
	CHECK(flock(open(path, O_RDWR), LOCK_EX) < 0);
	return arg;
}

static void *in_sigwait(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	CHECK(sigwait(&set, &sig));
	return arg;
}

static void *in_epoll(void *arg)
{
	struct epoll_event event;

	CHECK(epoll_wait(epoll_create1(0), &event, 1, -1) < 0);
	return arg;
}

static void *in_poll(void *arg)
{
	CHECK(poll(NULL, 0, 3600 * 1000) < 0);
	return arg;
}

static void *in_sleep(void *arg)
{
	CHECK(sleep(3600) > 0);
	return arg;
}

static void *in_semaphore(void *arg)
{
	sem_t sem;

	sem_init(&sem, 0, 0);
	CHECK(sem_wait(&sem) < 0);
	return arg;
}

static void *in_accept(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_OK(listen(fd, 1));
	CHECK(accept(fd, NULL, NULL) < 0);
	return arg;
}

static void *in_message(void *arg)
{
	struct { long kind; char text[8]; } message;
	int queue = msgget(IPC_PRIVATE, 0600);

	CHECK(queue >= 0);
	*(int *)arg = queue;
	CHECK(msgrcv(queue, &message, sizeof message.text, 0, 0) < 0);
	return arg;
}

static void *in_futex_bitset_shared(void *arg)
{
	uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return arg;
}

static void *in_recv(void *arg)
{
	struct timeval hour = {3600, 0};
	int pair[2];
	char c;

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour));
	CHECK(recv(pair[0], &c, 1, 0) < 0);
	return arg;
}

/* How often have the kernel threads of this process gone to sleep by themselves? */
static long switches(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	long sum = 0, n;

	CHECK(dir != NULL);
	while ((entry = readdir(dir))) {
		char name[300], line[256];

		snprintf(name, sizeof name, "/proc/self/task/%s/status", entry->d_name);
		FILE *file = *entry->d_name == '.' ? NULL : fopen(name, "r");

		while (file && fgets(line, sizeof line, file))
			if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
				sum += n;
		if (file)
			fclose(file);
	}
	closedir(dir);
	return sum;
}

static void nothing_wakes_up(void)
{
	long made = 0;

	/* A machine with other work may switch for reasons of its own. */
	for (int tries = 0; tries < 4; tries++) {
		usleep(500 * 1000);
		long before = switches();

		sleep(SECONDS);
		made = switches() - before;
		if (made <= MOST_SWITCHES)
			return;
	}
	fprintf(stderr, "%ld switches in %d s\n", made, SECONDS);
	CHECK(made <= MOST_SWITCHES);
}

int main(void)
{
	static void *(*const waits[])(void *) = {
		in_pause, in_read, in_wait_any, in_wait_stopped, in_wait_group, in_waitid, in_flock, in_sigwait, in_epoll,
		in_poll, in_sleep, in_semaphore, in_accept, in_message, in_futex_bitset_shared, in_recv,
	};
	enum { N = sizeof waits / sizeof *waits };
	static int queue = -1;
	int lock;

	check_begin();
	snprintf(path, sizeof path, "/tmp/idle.%d", (int)getpid());
	lock = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	/* Some alone, then all. */
	for (int i = 0; i < N; i++) {
		thread_start(waits[i], &queue);
		if (i < 3 || i == N - 1)
			nothing_wakes_up();
	}
	unlink(path);
	msgctl(queue, IPC_RMID, NULL);
	return check_done();
}
