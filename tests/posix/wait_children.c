/* wait_children.c -- several threads wait for children, each for its own or all for any
 *
 * threads: 10
 */
#include "check.h"
#include "net.h"
#include <sys/resource.h>

enum { THREADS = 10, ROUNDS = 5 };

static struct step arrived = STEP_INIT;

/* A child that ends with this status when told by child_tell; who forks at the same time does not
 * disturb it. */
static pid_t child_make(int status, int *end)
{
	int fds[2];
	pid_t child;

	unix_pair(SOCK_STREAM, fds);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		char c;

		CHECK_EQ(read(fds[0], &c, 1), 1);
		_exit(status);
	}
	CHECK(close(fds[0]) == 0);
	*end = fds[1];
	return child;
}

static void child_tell(int end)
{
	CHECK_EQ(write(end, "x", 1), 1);
	CHECK(close(end) == 0);
}

static void *wait_for_own(void *arg)
{
	int n = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct rusage usage;
		siginfo_t info;
		int end, status;
		pid_t child = child_make(n + i, &end);

		CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
		child_tell(end);
		switch ((n + i) % 3) {
		case 0:
			CHECK_EQ(waitpid(child, &status, 0), child);
			CHECK_EQ(status, (n + i) << 8);
			break;
		case 1:
			CHECK_EQ(wait4(child, &status, 0, &usage), child);
			CHECK_EQ(status, (n + i) << 8);
			break;
		case 2:
			/* Seen first, taken afterwards. */
			CHECK_EQ(waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
			CHECK_EQ(waitid(P_PID, child, &info, WEXITED), 0);
			CHECK_EQ(info.si_pid, child);
			CHECK_EQ(info.si_status, n + i);
			CHECK_EQ(info.si_code, CLD_EXITED);
			break;
		}
		CHECK_ERR(waitpid(child, &status, 0), ECHILD);
	}
	return NULL;
}

static void each_thread_gets_its_own_children(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, wait_for_own);
	threads_join(threads, THREADS);
}

static int ended[64];

static void *wait_for_any(void *arg)
{
	int status;

	step_add(&arrived, 1);
	for (;;) {
		pid_t child = (intptr_t)arg % 2 ? waitpid(-1, &status, 0) : wait(&status);

		if (child == -1) {
			CHECK_EQ(errno, ECHILD);
			return NULL;
		}
		CHECK(WIFEXITED(status));
		__atomic_add_fetch(&ended[WEXITSTATUS(status)], 1, __ATOMIC_SEQ_CST);
	}
}

static void all_wait_for_any_and_each_child_is_had_once(void)
{
	pthread_t threads[THREADS];
	int ends[64];

	for (int i = 0; i < 40; i++)
		child_make(i, &ends[i]);
	step_reset(&arrived);
	threads_start(threads, THREADS, wait_for_any);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 39; i >= 0; i--)
		child_tell(ends[i]);
	threads_join(threads, THREADS);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(ended[i], 1);
}

static void *stop_and_go(void *arg)
{
	int end, status;
	siginfo_t info;
	pid_t child = child_make(1, &end);

	CHECK(kill(child, SIGSTOP) == 0);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK_EQ(waitid(P_PID, child, &info, WCONTINUED), 0);
	CHECK_EQ(info.si_code, CLD_CONTINUED);
	CHECK(kill(child, SIGKILL) == 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(close(end) == 0);
	return arg;
}

static void stops_and_signals_are_told(void)
{
	stop_and_go(NULL);
	thread_join(thread_start(stop_and_go, NULL));
}

static void *wait_in_group(void *arg)
{
	int end, other_end, status;
	pid_t child = child_make(4, &end), other = child_make(5, &other_end);

	CHECK(setpgid(child, child) == 0);
	child_tell(end);
	child_tell(other_end);
	CHECK_EQ(waitpid(-child, &status, 0), child);
	CHECK_EQ(status, 4 << 8);
	CHECK_EQ(waitpid(0, &status, 0), other);
	CHECK_EQ(status, 5 << 8);
	CHECK_ERR(waitpid(-child, &status, 0), ECHILD);
	return arg;
}

static void groups_are_told_apart(void)
{
	wait_in_group(NULL);
	thread_join(thread_start(wait_in_group, NULL));
}

static void *mistakes(void *arg)
{
	int status;

	CHECK_ERR(waitpid(-1, &status, 0), ECHILD);
	CHECK_ERR(waitpid(getpid(), &status, 0), ECHILD);
	CHECK_ERR(waitpid(-1, &status, 0x1000000), EINVAL);
	CHECK_ERR(waitid(P_ALL, 0, NULL, 0), EINVAL);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(void)
{
	check_begin();
	RUN(each_thread_gets_its_own_children);
	RUN(all_wait_for_any_and_each_child_is_had_once);
	RUN(stops_and_signals_are_told);
	RUN(groups_are_told_apart);
	RUN(mistakes_get_their_errno);
	return check_done();
}
