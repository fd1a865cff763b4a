/* starter.c -- starts another program in each way there is, from a thread or without ever making one
 *
 *     starter thread|alone WAY PROGRAM
 *
 * Ends with PROGRAM's status. WAY is one of the names below; `dir' and `fd' are execveat. `exec' becomes PROGRAM, the other
 * functions of the exec family do so in a child of vfork.
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

#if !__GLIBC_PREREQ(2, 34)
#define execveat(...) syscall(SYS_execveat, __VA_ARGS__)
#endif

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
	char path[4096], name[4096];

	snprintf(path, sizeof(path), "%s", command[0]);
	snprintf(name, sizeof(name), "%s", command[0]);
	if (!strcmp(way, "dir"))
		execveat(open(dirname(path), O_RDONLY | O_DIRECTORY), basename(name), command, environ, 0);
	else if (!strcmp(way, "fd"))
		execveat(open(command[0], O_RDONLY), "", command, environ, AT_EMPTY_PATH);
	else if (!strcmp(way, "fexecve"))
		fexecve(open(command[0], O_RDONLY), command, environ);
	else if (!strcmp(way, "execv"))
		execv(command[0], command);
	else if (!strcmp(way, "execl"))
		execl(command[0], command[0], NULL);
	else if (!strcmp(way, "execle"))
		execle(command[0], command[0], NULL, environ);
	else if (!strcmp(way, "execlp"))
		execlp(basename(name), command[0], NULL);
	else if (!strcmp(way, "execvp"))
		execvp(basename(name), command);
	else if (!strcmp(way, "execvpe"))
		execvpe(basename(name), command, environ);
	else
		execve(command[0], command, environ);
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

static int spawn(const char *way)
{
	char name[4096];
	pid_t child;

	snprintf(name, sizeof(name), "%s", command[0]);
	if (!strcmp(way, "spawn") ? posix_spawn(&child, command[0], NULL, NULL, command, environ)
				  : posix_spawnp(&child, basename(name), NULL, NULL, command, environ))
		return 124;
	return status_of(child);
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0, c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* One after the other: no memory is left of them here. */
static int start_many(void)
{
	int status = 0, before = 0;

	for (int i = 0; i < 60; i++) {
		pid_t child = vfork();

		if (child == 0)
			exec_by("execve");
		status = status_of(child);
		if (i == 5)
			before = mappings();
	}
	return mappings() > before + 10 ? 119 : status;
}

static void *start(void *arg)
{
	const char *way = arg;
	pid_t child;

	if (!strcmp(way, "system"))
		exit(WEXITSTATUS(system(command[0])));
	if (!strcmp(way, "popen"))
		exit(pipe_through());
	if (!strcmp(way, "many"))
		exit(start_many());
	if (!strncmp(way, "spawn", 5))
		exit(spawn(way));
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

	if (argc < 4)
		return 125;
	command = argv + 3;
	if (!strcmp(argv[1], "alone"))
		start(argv[2]);
	pthread_attr_init(&attr);
	if (!strcmp(argv[2], "vfork"))
		pthread_attr_setstacksize(&attr, 16384);
	if (pthread_create(&thread, &attr, start, argv[2]))
		return 126;
	pause();
	return 127;
}
