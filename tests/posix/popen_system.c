/* popen_system.c -- shells run from several threads
 *
 * threads: 8
 */
#include "check.h"

enum { THREADS = 8, ROUNDS = 5 };

static struct step arrived = STEP_INIT;

static void read_from_shell(int n)
{
	char command[64], line[64];
	FILE *shell;

	snprintf(command, sizeof(command), "echo one %d; echo two; exit %d", n, n % 100);
	CHECK((shell = popen(command, "re")) != NULL);
	CHECK(fgets(line, sizeof(line), shell));
	CHECK_EQ(atoi(line + 4), n);
	CHECK(fgets(line, sizeof(line), shell) && strcmp(line, "two\n") == 0);
	CHECK(fgets(line, sizeof(line), shell) == NULL);
	CHECK_EQ(pclose(shell), n % 100 << 8);
}

static void write_to_shell(int n)
{
	char command[64];
	FILE *shell;

	snprintf(command, sizeof(command), "read x; read y; exit $((x + y))");
	CHECK((shell = popen(command, "we")) != NULL);
	CHECK(fprintf(shell, "%d\n%d\n", n, n + 1) > 0);
	CHECK_EQ(pclose(shell), (2 * n + 1) << 8);
}

static void *run_shells(void *arg)
{
	int n = (int)(intptr_t)arg;

	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		char command[32];

		read_from_shell(n * 10 + i);
		write_to_shell(n + i);
		snprintf(command, sizeof(command), "exit %d", n + i);
		CHECK_EQ(system(command), (n + i) << 8);
		CHECK_EQ(system("kill -TERM $$"), SIGTERM);
		CHECK(system(NULL) != 0);
	}
	return NULL;
}

static void every_thread_gets_its_own_shells(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, run_shells);
	threads_join(threads, THREADS);
	CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
}

static void *sleep_in_shell(void *arg)
{
	CHECK_EQ(system("sleep 0.3"), 0);
	(void)arg;
	return NULL;
}

/* Eight times 0.3 s one after the other would be 2.4 s. */
static void a_thread_in_system_does_not_hold_up_others(void)
{
	pthread_t threads[THREADS];
	int64_t start = now_ms();
	struct timespec t = timespec_ms(5);

	threads_start(threads, THREADS, sleep_in_shell);
	for (int i = 0; i < 10; i++)
		nanosleep(&t, NULL);
	threads_join(threads, THREADS);
	CHECK(now_ms() - start >= 300);
	CHECK(now_ms() - start < 2200);
}

static void dispositions_and_mask_are_as_before(void)
{
	struct sigaction now;
	sigset_t mask;

	CHECK(sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGQUIT, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	CHECK(!sigismember(&mask, SIGCHLD));
}

int main(void)
{
	check_begin();
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	RUN(every_thread_gets_its_own_shells);
	RUN(a_thread_in_system_does_not_hold_up_others);
	RUN(dispositions_and_mask_are_as_before);
	return check_done();
}
