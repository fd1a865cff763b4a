/* posix_spawn.c -- programs started from several threads, with files, mask, dispositions and errors
 *
 * The program starts itself as the child: "posix_spawn child ..." says what it sees.
 *
 * threads: 8
 */
#include "check.h"
#include <spawn.h>

extern char **environ;

enum { THREADS = 8, ROUNDS = 5 };

static struct step arrived = STEP_INIT;

/* Prints which signals are blocked and which ignored, its argument, and hands back what it reads.
 */
static int child_main(const char *word)
{
	struct sigaction action;
	sigset_t mask;
	char c;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("%s blocked", word);
	for (int i = 1; i < 32; i++)
		if (sigismember(&mask, i))
			printf(" %d", i);
	printf(" ignored");
	for (int i = 1; i < 32; i++)
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf(" %d", i);
	printf("\n");
	fflush(stdout);
	while (read(0, &c, 1) == 1)
		write(1, &c, 1);
	return 5;
}

static pid_t spawn(int in, int out, const char *word, const posix_spawnattr_t *attr)
{
	char *const args[] = {(char *)"posix_spawn", (char *)"child", (char *)word, NULL};
	posix_spawn_file_actions_t files;
	pid_t pid;

	CHECK_OK(posix_spawn_file_actions_init(&files));
	CHECK_OK(posix_spawn_file_actions_adddup2(&files, in, 0));
	CHECK_OK(posix_spawn_file_actions_adddup2(&files, out, 1));
	CHECK_OK(posix_spawn(&pid, "/proc/self/exe", &files, attr, args, environ));
	CHECK_OK(posix_spawn_file_actions_destroy(&files));
	return pid;
}

/* Starts one child, talks to it, and compares what it said. */
static void converse(const char *word, const posix_spawnattr_t *attr, const char *wanted)
{
	int to[2], from[2];
	char text[256];
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	pid = spawn(to[0], from[1], word, attr);
	close(to[0]);
	close(from[1]);
	CHECK_EQ(write(to[1], "echo", 4), 4);
	close(to[1]);
	while ((n = read(from[0], text + have, sizeof(text) - 1 - have)) > 0)
		have += n;
	text[have] = 0;
	close(from[0]);
	CHECK_EQ(child_status(pid), 5 << 8);
	if (strcmp(text, wanted))
		check_fail(__FILE__, __LINE__, 0, "child said \"%s\", not \"%s\"", text, wanted);
}

static void *start_children(void *arg)
{
	sigset_t mask;

	/* Each thread's own mask goes to its children. */
	sigemptyset(&mask);
	if ((intptr_t)arg % 2)
		sigaddset(&mask, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &mask, NULL));
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		char word[16], wanted[128];

		snprintf(word, sizeof(word), "%d.%d", (int)(intptr_t)arg, i);
		snprintf(wanted, sizeof(wanted), "%s blocked%s ignored 12\necho", word,
			 (intptr_t)arg % 2 ? " 10" : "");
		converse(word, NULL, wanted);
	}
	return NULL;
}

static void each_thread_starts_children_with_its_own_mask(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, start_children);
	threads_join(threads, THREADS);
}

static void attributes_set_mask_dispositions_and_group(void)
{
	posix_spawnattr_t attr;
	sigset_t mask, set;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_OK(posix_spawnattr_init(&attr));
	CHECK_OK(posix_spawnattr_setsigmask(&attr, &mask));
	CHECK_OK(posix_spawnattr_setsigdefault(&attr, &set));
	CHECK_OK(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							 POSIX_SPAWN_SETPGROUP));
	converse("attr", &attr, "attr blocked 15 ignored\necho");
	CHECK_OK(posix_spawnattr_destroy(&attr));
}

static void *fail_to_start(void *arg)
{
	char *const args[] = {(char *)"none", NULL};
	pid_t pid;

	CHECK_EQ(posix_spawn(&pid, "/nonexistent/program", NULL, NULL, args, environ), ENOENT);
	CHECK_EQ(posix_spawnp(&pid, "nonexistent-program", NULL, NULL, args, environ), ENOENT);
	CHECK_EQ(posix_spawn(&pid, "/", NULL, NULL, args, environ), EACCES);
	CHECK_OK(posix_spawnp(&pid, "true", NULL, NULL, args, environ));
	CHECK_CHILD(pid);
	return arg;
}

static void what_cannot_start_is_told(void)
{
	fail_to_start(NULL);
	thread_join(thread_start(fail_to_start, NULL));
	CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
}

int main(int argc, char **argv)
{
	sigset_t none;

	if (argc == 3 && strcmp(argv[1], "child") == 0)
		return child_main(argv[2]);
	check_begin();
	sigemptyset(&none);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &none, NULL));
	for (int i = 1; i < 32; i++)
		signal(i, i == SIGUSR2 ? SIG_IGN : SIG_DFL);
	RUN(what_cannot_start_is_told);
	RUN(each_thread_starts_children_with_its_own_mask);
	RUN(attributes_set_mask_dispositions_and_group);
	return check_done();
}
