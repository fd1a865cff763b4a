/* child.h -- processes that a run starts, and the end of them all
 *
 * For the process of one run, which is the reaper of whatever its children leave behind. SIGTERM and SIGINT end a wait: they are
 * blocked and looked at here.
 *
 * Threads: one.
 * Errors:  -errno.
 * Memory:  none.
 */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct child {
	const char *path; /* NULL: argv[0], looked up in PATH */
	char **argv, **env;
	const char *out, *err; /* files for its output */
	int cpu_first, cpu_count; /* so many CPUs that we may use, from this number on */
	int pass;	       /* a descriptor that becomes its number 3, or -1 */
	/* set by child_start and child_wait: */
	pid_t pid;
	int pidfd;
	int64_t begun_ns, ended_ns;
	bool ended;
	int status; /* as from waitpid */
	struct rusage used;
};

/* child_reaper -- be told of what children leave behind, and end with `parent'. */
int child_reaper(pid_t parent);

/* child_forgive -- forget the signals until now: what follows is done in spite of them, and ended by the next one. */
void child_forgive(void);

/* child_start -- start it in a process group of its own. Returns 0, or -errno of what failed, exec included. */
int child_start(struct child *c);

/* child_wait -- until it has ended, until_ns (CLOCK_MONOTONIC), or until `fd' (-1: none) can be read. Returns 0 when the child
 * has ended, 1 when fd is ready, -ETIMEDOUT, or -EINTR: the run is to end. */
int child_wait(struct child *c, int64_t until_ns, int fd);

/* child_every -- from now on do this every `period_ns' while a child is waited for; with NULL no longer. */
void child_every(int64_t period_ns, void (*call)(void *arg), void *arg);

/* child_stop -- send the signal; after `patience_ns' SIGKILL to its whole group. Returns true if the signal was enough. */
bool child_stop(struct child *c, int sig, int64_t patience_ns);

/* child_sweep -- kill and reap all that is left. Returns how many processes that were. */
unsigned child_sweep(void);

int64_t child_now(void);

/* child_path -- the file that a command's name stands for, to be freed; NULL for none. */
char *child_path(const char *name);

#endif
