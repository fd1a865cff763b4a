/* starter.c -- a thread of this program starts another one in each way there is
 *
 *     starter WAY PROGRAM [ARG...]
 *
 * Ends with PROGRAM's status. WAY is one of the names below; `dir' and `fd' are execveat.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char **command;

static int status_of(pid_t child)
{
	int status = 0;

	if (child < 0 || waitpid(child, &status, 0) != child)
		return 120;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 121;
}

static void exec_by(const char *way)
{
	if (!strcmp(way, "dir")) {
		char path[4096], name[4096];

		snprintf(path, sizeof(path), "%s", command[0]);
		snprintf(name, sizeof(name), "%s", command[0]);
		syscall(SYS_execveat, open(dirname(path), O_RDONLY | O_DIRECTORY), basename(name), command, environ, 0);
	} else if (!strcmp(way, "fd")) {
		syscall(SYS_execveat, open(command[0], O_RDONLY), "", command, environ, AT_EMPTY_PATH);
	} else {
		execve(command[0], command, environ);
	}
	_exit(122);
}

static int pipe_through(void)
{
	FILE *f = popen(command[0], "r");
	int c;

	while (f && (c = getc(f)) != EOF)
		putchar(c);
	fflush(stdout);
	return f ? WEXITSTATUS(pclose(f)) : 123;
}

static void *start(void *arg)
{
	const char *way = arg;
	pid_t child;

	if (!strcmp(way, "system"))
		exit(WEXITSTATUS(system(command[0])));
	if (!strcmp(way, "popen"))
		exit(pipe_through());
	if (!strcmp(way, "spawn")) {
		if (posix_spawn(&child, command[0], NULL, NULL, command, environ))
			exit(124);
		exit(status_of(child));
	}
	if (!strcmp(way, "exec"))
		exec_by(way);
	child = !strcmp(way, "fork") ? fork() : vfork();
	if (child == 0)
		exec_by(way);
	exit(status_of(child));
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (argc < 3)
		return 125;
	command = argv + 2;
	pthread_attr_init(&attr);
	if (!strcmp(argv[1], "vfork"))
		pthread_attr_setstacksize(&attr, 16384);
	if (pthread_create(&thread, &attr, start, argv[1]))
		return 126;
	pause();
	return 127;
}
