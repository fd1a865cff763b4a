/* child.c -- see child.h */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"

static int signals = -1; /* a signalfd: somebody wants the run to end */

static struct {
	int64_t period_ns, next_ns;
	void (*call)(void *arg);
	void *arg;
} every;

int64_t child_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int child_reaper(pid_t parent)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) || prctl(PR_SET_PDEATHSIG, SIGTERM))
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

void child_forgive(void)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof info) > 0)
		;
}

static void set_cpus(const struct child *c)
{
	cpu_set_t all, set;
	int seen = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof all, &all))
		return;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && i >= c->cpu_first && seen++ < c->cpu_count)
			CPU_SET(i, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof set, &set);
}

static int redirect(const char *path, int to)
{
	int fd = open(path, to ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0600);

	return fd < 0 || (fd != to && dup2(fd, to) < 0) ? -1 : 0;
}

static void become(const struct child *c, int said)
{
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_cpus(c);
	if (!redirect("/dev/null", 0) && !redirect(c->out, 1) &&
	    !(strcmp(c->out, c->err) ? redirect(c->err, 2) : dup2(1, 2) - 2) &&
	    (c->pass < 0 || c->pass == 3 || dup2(c->pass, 3) == 3)) {
		if (c->pass == 3)
			fcntl(3, F_SETFD, 0);
		if (c->path)
			execve(c->path, c->argv, c->env);
		else
			execvpe(c->argv[0], c->argv, c->env);
	}
	int error = errno;

	if (write(said, &error, sizeof error) < 0)
		_exit(126);
	_exit(127);
}

int child_start(struct child *c)
{
	int said[2], error = 0;

	if (pipe2(said, O_CLOEXEC))
		return -errno;
	/* Not 3, which may be given away. */
	int tell = fcntl(said[1], F_DUPFD_CLOEXEC, 10);

	close(said[1]);
	c->ended = false;
	c->begun_ns = child_now();
	c->pid = fork();
	if (c->pid == 0)
		become(c, tell);
	error = errno;
	close(tell);
	if (c->pid < 0) {
		close(said[0]);
		return -error;
	}
	error = 0;
	setpgid(c->pid, c->pid);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (read(said[0], &error, sizeof error) != sizeof error)
		error = 0;
	close(said[0]);
	if (error) {
		waitpid(c->pid, NULL, 0);
		close(c->pidfd);
		c->ended = true; /* the number is no longer ours to send signals to */
	}
	return -error;
}

void child_every(int64_t period_ns, void (*call)(void *arg), void *arg)
{
	every.period_ns = period_ns;
	every.next_ns = child_now();
	every.call = call;
	every.arg = arg;
}

/* next_ns -- until when to wait; does what is due. */
static int64_t next_ns(int64_t now_ns, int64_t until_ns)
{
	if (!every.call)
		return until_ns;
	if (now_ns >= every.next_ns) {
		every.next_ns = now_ns + every.period_ns;
		every.call(every.arg);
	}
	return every.next_ns < until_ns ? every.next_ns : until_ns;
}

int child_wait(struct child *c, int64_t until_ns, int fd)
{
	while (!c->ended) {
		struct pollfd p[3] = {{c->pidfd, POLLIN, 0}, {signals, POLLIN, 0}, {fd, POLLIN, 0}};
		int64_t now = child_now(), wake = next_ns(now, until_ns), left = wake > now ? wake - now : 0;
		struct timespec wait = {left / 1000000000, left % 1000000000};
		int n = ppoll(p, 3, &wait, NULL);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		if (p[1].revents)
			return -EINTR;
		if (p[0].revents) {
			c->ended_ns = child_now();
			wait4(c->pid, &c->status, 0, &c->used);
			c->ended = true;
			close(c->pidfd);
		} else if (p[2].revents) {
			return 1;
		} else if (!n && now >= until_ns) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

bool child_stop(struct child *c, int sig, int64_t patience_ns)
{
	if (c->ended)
		return true;
	kill(c->pid, sig);
	if (child_wait(c, child_now() + patience_ns, -1) == 0)
		return true;
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL);
	child_wait(c, child_now() + 5000000000ll, -1);
	return false;
}

/* kill_children -- by the kernel's list of this process's own children, the adopted ones among them. */
static unsigned kill_children(void)
{
	char path[64];
	unsigned n = 0;
	int pid;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1)
		n += kill(pid, SIGKILL) == 0;
	if (f)
		fclose(f);
	return n;
}

unsigned child_sweep(void)
{
	unsigned n = 0;

	for (;;) {
		n += kill_children();
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			return n;
	}
}

char *child_path(const char *name)
{
	const char *dir = getenv("PATH");
	struct stat st;
	char *path;

	if (strchr(name, '/'))
		return strdup(name);
	for (dir = dir ? dir : "/bin:/usr/bin"; *dir; dir += strspn(dir, ":")) {
		size_t n = strcspn(dir, ":");

		if (asprintf(&path, "%.*s/%s", (int)n, dir, name) < 0)
			return NULL;
		if (!stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK))
			return path;
		free(path);
		dir += n;
	}
	return NULL;
}
