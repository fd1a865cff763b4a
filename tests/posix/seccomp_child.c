/* seccomp_child.c -- a process of one thread may forbid itself what it does not use, and goes on; signals reach it
 *
 * threads: 1
 */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static volatile sig_atomic_t handled;

static void note(int sig)
{
	(void)sig;
	handled++;
}

static void *nothing(void *arg)
{
	return arg;
}

/* Only what it uses from here on; all else kills it. */
static int forbid(int everywhere)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write), ALLOW(SYS_read), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn), ALLOW(SYS_kill),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = {sizeof rows / sizeof rows[0], rows};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 1;
	if (everywhere)
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int work(int in, int out, pid_t self, int strict)
{
	char c;

	if (strict ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) : forbid(0))
		return 1;
	for (int i = 0; i < 10; i++)
		if (read(in, &c, 1) != 1 || write(out, &c, 1) != 1)
			return 2;
	if (!strict && (kill(self, SIGUSR1) || handled != 1))
		return 3;
	return 0;
}

static void a_child_goes_on(int strict)
{
	struct sigaction act = {.sa_handler = note};
	int in[2], out[2], status;
	char c = 'x';

	CHECK(pipe(in) == 0 && pipe(out) == 0);
	CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		/* The kernel's question what it can do forbids nothing. */
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != -1 || errno != EFAULT)
			_exit(4);
		status = work(in[0], out[1], getpid(), strict);
		syscall(strict ? SYS_exit : SYS_exit_group, status);
	}
	for (int i = 0; i < 10; i++) {
		usleep(2000);
		CHECK(write(in[1], &c, 1) == 1);
		CHECK(read(out[0], &c, 1) == 1 && c == 'x');
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/* From here on the process may do little. */
static int the_process_itself_goes_on(void)
{
	int ends[2];
	char c = 'x';

	CHECK(pipe(ends) == 0);
	if (forbid(1))
		return 1;
	for (volatile long i = 0; i < 50000000; i++)
		;
	return write(ends[1], &c, 1) != 1 || read(ends[0], &c, 1) != 1;
}

int main(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	a_child_goes_on(0);
	a_child_goes_on(1);
	return the_process_itself_goes_on();
}
