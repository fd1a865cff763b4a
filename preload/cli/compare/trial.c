/* trial.c -- see trial.h
 *
 * A server's run: prepare, start, wait until it is ready, load, stop, clean up. Its costs are taken between the first and the last
 * instant of the load's window, where the load is ours, else around the load. The server has the first CPU, the load the last.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare/blocked.h"
#include "child.h"
#include "compare/cost.h"
#include "compare/fill.h"
#include "compare/loadrun.h"
#include "compare/serving.h"
#include "compare/counters.h"
#include "compare/trial.h"

#define SECOND	 1000000000ll
#define PATIENCE (20 * SECOND) /* with a server that is told to stop: ten thousand threads take their time */

static volatile sig_atomic_t interrupted;
static volatile pid_t running;

void trial_interrupt(int sig)
{
	interrupted = 1;
	if (running > 0)
		kill(running, SIGTERM);
}

/* -- in the process of the run ---------------------------------------------------------------------- */

struct run {
	const struct trial *trial;
	struct outcome *to;
	struct histogram *latency;
	struct fill fill;
	char dir[64], out[96], err[96];
	char **env;
	struct child program;
};

static int fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct run *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->to->error, sizeof r->to->error, format, ap);
	va_end(ap);
	return -ECANCELED;
}

/* own_network -- with loopback alone, for root; else the host's. */
static void own_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (unshare(CLONE_NEWNET))
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &lo);
		close(fd);
	}
}

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || getsockname(fd, (struct sockaddr *)&a, &n))
		a.sin_port = 0;
	close(fd);
	return ntohs(a.sin_port);
}

static int last_cpu(void)
{
	cpu_set_t set;
	int last = 0;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			last = i;
	return last;
}

static char **padded(char **env, unsigned padding)
{
	size_t n = 0;
	char **result, *pad = malloc(padding + 8);

	while (env[n])
		n++;
	result = calloc(n + 2, sizeof *result);
	if (!result || !pad)
		return env;
	memcpy(result, env, n * sizeof *env);
	memcpy(pad, "PADDED=", 7);
	memset(pad + 7, 'x', padding);
	pad[7 + padding] = 0;
	result[n] = pad;
	return result;
}

static int set_up(struct run *r)
{
	const struct trial *t = r->trial;
	const struct run_program *p = t->program;

	own_network();
	strcpy(r->dir, "/tmp/weft-compare.XXXXXX");
	if (!mkdtemp(r->dir)) {
		r->dir[0] = 0;
		return fail(r, "no directory in /tmp: %s", strerror(errno));
	}
	snprintf(r->out, sizeof r->out, "%s/.stdout", r->dir);
	snprintf(r->err, sizeof r->err, "%s/.stderr", r->dir);
	r->fill = (struct fill){
		.port = free_port(), .dir = r->dir, .cpu = last_cpu(), .seconds = (double)t->plan->seconds / 1e9,
		.connections = t->connections,
	};
	r->env = padded(p->env, t->padding);
	if (p->helped)
		r->env = counters_environment(r->env, r->dir);
	r->program = (struct child){
		.path = p->path, .argv = fill_words(&r->fill, p->argv), .env = r->env, .out = r->out, .err = r->err,
		.cpu_count = t->plan->server ? 1 : 1024, .pass = -1,
	};
	return r->program.argv && r->env ? 0 : fail(r, "no memory");
}

/* command -- run a line of shell. Its failure is the run's. */
static int command(struct run *r, const char *what, const char *line)
{
	char *argv[] = {(char *)"sh", (char *)"-c", line ? fill_text(&r->fill, line) : NULL, NULL}, out[96];
	struct child c = {.argv = argv, .env = environ, .out = out, .err = out, .cpu_count = 1024, .pass = -1};

	if (!line)
		return 0;
	snprintf(out, sizeof out, "%s/.command", r->dir);
	int status = child_start(&c);

	if (!status)
		status = child_wait(&c, child_now() + r->trial->plan->timeout, -1);
	if (status == -EINTR)
		return status;
	if (!status && WIFEXITED(c.status) && !WEXITSTATUS(c.status))
		return 0;
	child_stop(&c, SIGKILL, 0);
	return fail(r, "%s `%s' failed%s", what, argv[2], loadrun_tail(out));
}

static uint64_t hash_of(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t hash = 0xcbf29ce484222325u;
	int c;

	while (f && (c = getc_unlocked(f)) != EOF)
		hash = (hash ^ (uint64_t)c) * 0x100000001b3u;
	if (f)
		fclose(f);
	return hash;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int run_command_line(struct run *r)
{
	struct child *c = &r->program;
	double *to = r->to->figure;
	int status = child_start(c);

	if (status)
		return fail(r, "%s: %s", c->argv[0], strerror(-status));
	if (r->trial->look)
		blocked_watch(r->dir);
	status = child_wait(c, child_now() + r->trial->plan->timeout, -1);
	if (r->trial->look)
		blocked_end(&r->to->carriers);
	if (status == -EINTR)
		return status;
	if (status)
		return fail(r, "%s is not done after %g s", c->argv[0], (double)r->trial->plan->timeout / 1e9);
	r->to->status = c->status;
	r->to->output = hash_of(r->out);
	to[FIGURE_WALL] = (double)(c->ended_ns - c->begun_ns) / 1e9;
	to[FIGURE_USER] = seconds(c->used.ru_utime);
	to[FIGURE_SYSTEM] = seconds(c->used.ru_stime);
	to[FIGURE_PEAK] = (double)c->used.ru_maxrss * 1024;
	to[FIGURE_FAULTS] = (double)(c->used.ru_minflt + c->used.ru_majflt);
	to[FIGURE_SWITCHES] = (double)(c->used.ru_nvcsw + c->used.ru_nivcsw);
	return loadrun_metrics(r->trial->plan, c->argv[0], c->status, r->out, r->err, r->to);
}

static int run_server(struct run *r)
{
	struct child *c = &r->program;
	const struct compareplan *plan = r->trial->plan;
	const char *condition = fill_text(&r->fill, plan->ready);
	char why[300];

	if (!condition)
		return fail(r, "no memory");
	/* Else the load would go to a stranger. */
	if (serving_already(condition))
		return fail(r, "somebody else serves at %s already", condition);
	int status = child_start(c);

	if (status)
		return fail(r, "%s: %s", c->argv[0], strerror(-status));
	status = serving_wait(c, condition, plan->timeout, why, sizeof why);
	if (status == -ENOTCONN)
		return fail(r, "%s%s", why, loadrun_tail(r->err));
	if (status)
		return status;
	status = loadrun(plan, &r->fill, c, r->trial->look, r->to, r->latency);
	if (status == -EINTR)
		return status;
	/* A load that fails because nobody serves any more says so in many ways; this is the one that helps. */
	child_wait(c, 0, -1);
	if (c->ended)
		return fail(r, "the server has ended under load (%s %d)%s", WIFEXITED(c->status) ? "status" : "signal",
			    WIFEXITED(c->status) ? WEXITSTATUS(c->status) : WTERMSIG(c->status), loadrun_tail(r->err));
	if (status)
		return status;
	if (!child_stop(c, plan->stop_signal, plan->timeout < PATIENCE ? plan->timeout : PATIENCE))
		return fail(r, "the server ignores SIG%s: it was killed", compareplan_signal(plan->stop_signal));
	r->to->status = c->status;
	/* Of its whole life: the kernel tells of threads that have ended only at the end of all. */
	r->to->figure[FIGURE_FAULTS] = (double)(c->used.ru_minflt + c->used.ru_majflt);
	r->to->figure[FIGURE_SWITCHES] = (double)(c->used.ru_nvcsw + c->used.ru_nivcsw);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

/* clean_up -- after a run that failed or is to end as well: what --prepare has made must not meet the next one. */
static int clean_up(struct run *r, int status)
{
	char error[OUTCOME_ERROR];

	if (!status)
		return command(r, "--cleanup", r->trial->plan->cleanup);
	memcpy(error, r->to->error, sizeof error);
	child_forgive();
	command(r, "--cleanup", r->trial->plan->cleanup);
	memcpy(r->to->error, error, sizeof error);
	return status;
}

static int run(const struct trial *t, struct outcome_shared *shared)
{
	struct outcome *to = &shared->outcome;
	struct run r = {.trial = t, .to = to, .latency = &shared->latency};
	int status = set_up(&r);

	if (!status)
		status = command(&r, "--prepare", t->plan->prepare);
	if (!status)
		status = t->plan->server ? run_server(&r) : run_command_line(&r);
	if (r.program.pid > 0 && !r.program.ended)
		child_stop(&r.program, SIGKILL, 0);
	child_sweep();
	if (t->program->helped && *r.dir)
		counters_read(r.dir, &to->tasks);
	if (*r.dir)
		status = clean_up(&r, status);
	child_sweep();
	if (*r.dir)
		nftw(r.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return status;
}

/* -- in the parent ---------------------------------------------------------------------------------- */

int trial_run(const struct trial *t, struct outcome_shared *shared)
{
	struct outcome *to = &shared->outcome;
	pid_t self = getpid();
	int status = 0, error;
	sigset_t set, before;

	memset(&shared->latency, 0, sizeof shared->latency);
	*to = (struct outcome){.status = -1};
	for (unsigned i = 0; i < FIGURES; i++)
		to->figure[i] = NAN;
	for (unsigned i = 0; i < OUTCOME_METRICS; i++)
		to->metric[i] = NAN;
	if (interrupted)
		return -EINTR;
	fflush(NULL);
	/* A signal between the fork and our noting of its number would be passed on to nobody. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	running = fork();
	error = errno;
	if (running == 0) {
		setpgid(0, 0);
		status = child_reaper(self);
		if (!status)
			status = run(t, shared);
		else
			snprintf(to->error, sizeof to->error, "a run cannot begin: %s", strerror(-status));
		_exit(status == -EINTR ? 2 : 0);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (running < 0) {
		snprintf(to->error, sizeof to->error, "fork: %s", strerror(error));
		return 0;
	}
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	running = 0;
	if (!interrupted && (!WIFEXITED(status) || WEXITSTATUS(status)) && !*to->error)
		snprintf(to->error, sizeof to->error, "the process of the run was ended from outside");
	return interrupted ? -EINTR : 0;
}
