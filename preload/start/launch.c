/* launch.c -- the names by which a program without threads starts another one
 *
 * Once Weft is active the gate sees every execve (exec.c). Before that nothing is redirected, but shells, make and their like
 * never make a thread, and what they start may be a program that stumbles over this library. So the names of libc that start
 * programs are stood before; what libc starts by itself, a shell, is helped. Programs that do not look at LD_PRELOAD keep it:
 * they may start others (valgrind's tools do, and are static). A process whose threads are native passes all of it on, and so does one under a filter of system calls
 * that forbids us to look at the other program.
 *
 * A child of vfork leaves its memory behind in the parent when it has become another program; the next one gives it back. There
 * is never more than one, since its parent waits for it.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include "start/activate.h"
#include "gate/confine.h"
#include "process/exec.h"
#include "start/launch.h"
#include "start/interposer.h"

extern char **environ;

static int (*real_execve)(const char *, char *const *, char *const *);
static int (*real_execvpe)(const char *, char *const *, char *const *);
static int (*real_fexecve)(int, char *const *, char *const *);
static int (*real_execveat)(int, const char *, char *const *, char *const *, int);
static int (*real_posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,
			       char *const *);
static int (*real_posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,
				char *const *);
static long parent;		/* the process this library was loaded in */
static struct room *left;

void launch_init(int id)
{
	parent = id ? id : sys_getpid();
	real_execve = (__typeof__(real_execve))interposer_next("execve", NULL);
	real_execvpe = (__typeof__(real_execvpe))interposer_next("execvpe", NULL);
	real_fexecve = (__typeof__(real_fexecve))interposer_next("fexecve", NULL);
	real_execveat = (__typeof__(real_execveat))dlsym(RTLD_NEXT, "execveat");	/* glibc 2.34 */
	real_posix_spawn = (__typeof__(real_posix_spawn))interposer_next("posix_spawn", "GLIBC_2.15");
	real_posix_spawnp = (__typeof__(real_posix_spawnp))interposer_next("posix_spawnp", "GLIBC_2.15");
}

/* The environment to be passed, and memory for it that `end' is told of when the call has come back. */
static char *const *begin(struct room **room, const struct exec_target *x, char *const *env)
{
	if (unlikely(!real_execve))
		launch_init(0);
	*room = NULL;
	if (!activate_untried() || confine_stops(NULL))
		return env;
	if (sys_getpid() != parent) {
		exec_put(left);
		left = NULL;
	}
	*room = exec_room();
	if (sys_getpid() != parent)
		left = *room;
	return exec_choose(*room, x, env);
}

static void end(struct room *room)
{
	if (room == left)
		left = NULL;
	exec_put(room);
}

static int start(const char *path, char *const *argv, char *const *env)
{
	struct exec_target x = {.fd = AT_FDCWD, .name = path, .lenient = true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_execve(path, argv, passed);

	end(room);
	return r;
}

static int start_found(const char *file, char *const *argv, char *const *env)
{
	struct exec_target x = {.fd = AT_FDCWD, .name = file, .search = environ, .lenient = true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_execvpe(file, argv, passed);

	end(room);
	return r;
}

/* Arguments that come one by one: how many there are, `first' included; then into an array, with the NULL behind them. */
static size_t count(va_list *args)
{
	size_t n = 1;

	while (va_arg(*args, char *))
		n++;
	return n;
}

static void gather(char **argv, size_t n, const char *first, va_list *args)
{
	argv[0] = (char *)first;
	for (size_t i = 1; i <= n; i++)
		argv[i] = va_arg(*args, char *);
}

#define GATHER(argv, first, args)							\
	va_start(args, first);								\
	size_t n = count(&(args));							\
	va_end(args);									\
	char *argv[n + 1];								\
	va_start(args, first);								\
	gather(argv, n, first, &(args))

STANDS_FOR_ONE(launch_execve, execve, "GLIBC_2.2.5");
STANDIN int launch_execve(const char *path, char *const *argv, char *const *env);
int launch_execve(const char *path, char *const *argv, char *const *env)
{
	return start(path, argv, env);
}

STANDS_FOR_ONE(launch_execv, execv, "GLIBC_2.2.5");
STANDIN int launch_execv(const char *path, char *const *argv);
int launch_execv(const char *path, char *const *argv)
{
	return start(path, argv, environ);
}

STANDS_FOR_ONE(launch_execvp, execvp, "GLIBC_2.2.5");
STANDIN int launch_execvp(const char *file, char *const *argv);
int launch_execvp(const char *file, char *const *argv)
{
	return start_found(file, argv, environ);
}

STANDS_FOR_ONE(launch_execvpe, execvpe, "GLIBC_2.11");
STANDIN int launch_execvpe(const char *file, char *const *argv, char *const *env);
int launch_execvpe(const char *file, char *const *argv, char *const *env)
{
	return start_found(file, argv, env);
}

STANDS_FOR_ONE(launch_execl, execl, "GLIBC_2.2.5");
STANDIN int launch_execl(const char *path, const char *first, ...);
int launch_execl(const char *path, const char *first, ...)
{
	va_list args;

	GATHER(argv, first, args);
	va_end(args);
	return start(path, argv, environ);
}

STANDS_FOR_ONE(launch_execlp, execlp, "GLIBC_2.2.5");
STANDIN int launch_execlp(const char *file, const char *first, ...);
int launch_execlp(const char *file, const char *first, ...)
{
	va_list args;

	GATHER(argv, first, args);
	va_end(args);
	return start_found(file, argv, environ);
}

STANDS_FOR_ONE(launch_execle, execle, "GLIBC_2.2.5");
STANDIN int launch_execle(const char *path, const char *first, ...);
int launch_execle(const char *path, const char *first, ...)
{
	va_list args;

	GATHER(argv, first, args);
	char *const *env = va_arg(args, char *const *);

	va_end(args);
	return start(path, argv, env);
}

STANDS_FOR_ONE(launch_fexecve, fexecve, "GLIBC_2.2.5");
STANDIN int launch_fexecve(int fd, char *const *argv, char *const *env);
int launch_fexecve(int fd, char *const *argv, char *const *env)
{
	struct exec_target x = {.fd = fd, .name = "", .empty = true, .lenient = true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_fexecve(fd, argv, passed);

	end(room);
	return r;
}

STANDS_FOR_ONE(launch_execveat, execveat, "GLIBC_2.34");
STANDIN int launch_execveat(int fd, const char *name, char *const *argv, char *const *env, int flags);
int launch_execveat(int fd, const char *name, char *const *argv, char *const *env, int flags)
{
	struct exec_target x = {fd, name, flags & AT_EMPTY_PATH, NULL, true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_execveat(fd, name, argv, passed, flags);

	end(room);
	return r;
}

STANDS_FOR_ONE(launch_posix_spawn, posix_spawn, "GLIBC_2.15");
STANDIN int launch_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attr,
			       char *const *argv, char *const *env);
int launch_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attr,
		       char *const *argv, char *const *env)
{
	struct exec_target x = {.fd = AT_FDCWD, .name = path, .lenient = true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_posix_spawn(pid, path, files, attr, argv, passed);

	end(room);
	return r;
}

STANDS_FOR_ONE(launch_posix_spawnp, posix_spawnp, "GLIBC_2.15");
STANDIN int launch_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *files,
				const posix_spawnattr_t *attr, char *const *argv, char *const *env);
int launch_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attr,
			char *const *argv, char *const *env)
{
	struct exec_target x = {.fd = AT_FDCWD, .name = file, .search = environ, .lenient = true};
	struct room *room;
	char *const *passed = begin(&room, &x, env);
	int r = real_posix_spawnp(pid, file, files, attr, argv, passed);

	end(room);
	return r;
}
