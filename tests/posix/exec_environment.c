/* exec_environment.c -- the environment that a started program gets is the one that was passed
 *
 * The program starts itself as the child: "exec_environment child COUNT" asserts what it finds.
 *
 * threads: 4
 */
#include "check.h"
#include <limits.h>
#include <spawn.h>

extern char **environ;

enum { THREADS = 4, ENTRIES = 300, ROUNDS = 40 };

static char *made[ENTRIES + 2];
static char text[ENTRIES][32];

/* NAME0=0, NAME1=1, … and, when it is there, our own LD_PRELOAD in the midst of them. */
static void make_environment(void)
{
	size_t n = 0;

	for (int i = 0; i < ENTRIES; i++) {
		if (i == ENTRIES / 2)
			for (char **e = environ; *e; e++)
				if (!strncmp(*e, "LD_PRELOAD=", 11))
					made[n++] = *e;
		snprintf(text[i], sizeof(text[i]), "NAME%d=%d", i, i);
		made[n++] = text[i];
	}
	made[n] = NULL;
}

static int child_main(void)
{
	int seen = 0;

	for (char **e = environ; *e; e++) {
		int name, value;

		if (sscanf(*e, "NAME%d=%d", &name, &value) != 2)
			continue;
		if (name != seen || value != seen)
			return 1;
		seen++;
	}
	return seen == ENTRIES ? 0 : 2;
}

static char self[PATH_MAX];
static char *const args[] = {(char *)"exec_environment", (char *)"child", NULL};

static pid_t by_spawn(void)
{
	pid_t pid;

	CHECK_OK(posix_spawn(&pid, self, NULL, NULL, args, made));
	return pid;
}

static pid_t by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve("/nonexistent/program", args, made);
		execve(self, args, made);
		_exit(9);
	}
	return pid;
}

static pid_t by_fork(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execve("/nonexistent/program", args, made);
		execve(self, args, made);
		_exit(9);
	}
	return pid;
}

static pid_t by_descriptor(void)
{
	int fd = open(self, O_RDONLY | O_CLOEXEC);
	pid_t pid = vfork();

	if (pid == 0) {
		fexecve(fd, args, made);
		_exit(9);
	}
	close(fd);
	return pid;
}

static pid_t (*const ways[])(void) = {by_spawn, by_vfork, by_fork, by_descriptor};

static void *start_some(void *arg)
{
	for (int i = 0; i < 8; i++) {
		pid_t pid = ways[(i + (int)(intptr_t)arg) % 4]();

		CHECK(pid > 0);
		CHECK_CHILD(pid);
	}
	return NULL;
}

static void it_arrives_whole_from_any_thread(void)
{
	pthread_t threads[THREADS];

	start_some(NULL);
	threads_start(threads, THREADS, start_some);
	start_some(NULL);
	threads_join(threads, THREADS);
}

static void a_small_stack_is_enough(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN));
	CHECK_OK(pthread_create(&thread, &attr, start_some, NULL));
	thread_join(thread);
	CHECK_OK(pthread_attr_destroy(&attr));
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0, c;

	CHECK(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void *start_many(void *arg)
{
	int before = 0;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = ways[i % 2]();

		CHECK(pid > 0);
		CHECK_CHILD(pid);
		if (i == 5)
			before = mappings();
	}
	CHECK(mappings() < before + ROUNDS / 4);
	return arg;
}

static void nothing_is_left_of_it_in_the_parent(void)
{
	thread_join(thread_start(start_many, NULL));
}

/* Strings that end with a page behind which nothing is, and an array that does. */
static void *at_the_end_of_a_page(void *arg)
{
	long page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, (size_t)(4 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char **array = (char **)(p + page) - 3, *string = p + 3 * page - 4;
	pid_t pid;
	int status;

	CHECK((void *)p != MAP_FAILED);
	CHECK(munmap(p + page, (size_t)page) == 0 && munmap(p + 3 * page, (size_t)page) == 0);
	memcpy(string, "LD=", 4);
	array[0] = string;
	array[1] = string + 2;
	array[2] = NULL;
	CHECK_OK(posix_spawn(&pid, self, NULL, NULL, args, array));
	status = child_status(pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	CHECK(munmap(p, (size_t)page) == 0 && munmap(p + 2 * page, (size_t)page) == 0);
	return arg;
}

static void strings_may_end_with_their_page(void)
{
	at_the_end_of_a_page(NULL);
	thread_join(thread_start(at_the_end_of_a_page, NULL));
}

static void *mistakes(void *arg)
{
	char *bad[] = {(char *)"A=1", (char *)bad_address(), NULL}, *none[] = {NULL};
	pid_t pid;

	CHECK_ERR(execve(self, args, (char **)bad_address()), EFAULT);
	CHECK_ERR(execve(self, args, bad), EFAULT);
	CHECK_ERR(execve((char *)bad_address(), args, made), EFAULT);
	CHECK_ERR(execve("/nonexistent/program", args, made), ENOENT);
	CHECK_ERR(execve("", args, made), ENOENT);
	CHECK_ERR(execve("/", args, made), EACCES);
	CHECK_ERR(execve("/etc/passwd", args, made), EACCES);
	CHECK_ERR(syscall(SYS_execveat, -1, "program", args, made, 0), EBADF);
	CHECK_ERR(syscall(SYS_execveat, -1, "", args, made, AT_EMPTY_PATH), EBADF);
	CHECK_EQ(posix_spawn(&pid, "/nonexistent/program", NULL, NULL, args, made), ENOENT);
	CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, args, bad), EFAULT);
	CHECK_OK(posix_spawn(&pid, self, NULL, NULL, args, none));
	CHECK_EQ(child_status(pid), 2 << 8);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return child_main();
	check_begin();
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	make_environment();
	RUN(it_arrives_whole_from_any_thread);
	RUN(a_small_stack_is_enough);
	RUN(nothing_is_left_of_it_in_the_parent);
	RUN(strings_may_end_with_their_page);
	RUN(mistakes_get_their_errno);
	return check_done();
}
