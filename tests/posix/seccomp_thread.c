/* seccomp_thread.c -- a thread may forbid itself all that it does not use, and goes on beside others; so do threads and processes
 * that it makes
 *
 * threads: 3
 * kthreads: any
 */
#include "filter.h"

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

enum { ROUNDS = 30 };

static int in[2], out[2];
static struct step turn = STEP_INIT, forbidden = STEP_INIT, over = STEP_INIT;
static volatile sig_atomic_t handled;

static void note(int sig)
{
	(void)sig;
	handled++;
}

/* What libc's threads need, reading, writing, sleeping, signals: all else ends the process. */
static void forbid(void)
{
	struct sock_filter rows[] = {
		FILTER_LOAD(nr),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_futex), ALLOW(SYS_clock_nanosleep), ALLOW(SYS_nanosleep),
		ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigprocmask), ALLOW(SYS_rt_sigreturn), ALLOW(SYS_madvise),
		ALLOW(SYS_munmap), ALLOW(SYS_mmap), ALLOW(SYS_mprotect), ALLOW(SYS_clone), ALLOW(SYS_clone3),
		ALLOW(SYS_set_robust_list), ALLOW(SYS_rseq), ALLOW(SYS_gettid), ALLOW(SYS_getpid), ALLOW(SYS_tgkill),
		ALLOW(SYS_sigaltstack), ALLOW(SYS_rt_sigaction), ALLOW(SYS_wait4), ALLOW(SYS_poll), ALLOW(SYS_sched_yield),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	filter_set(rows, sizeof rows / sizeof rows[0], 0);
}

static void wait_in_all_ways(void)
{
	struct timespec t = timespec_ms(1);
	char c;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK(write(in[1], "x", 1) == 1);
		CHECK(read(out[0], &c, 1) == 1);
		CHECK(nanosleep(&t, NULL) == 0);
		step_add(&turn, 1);
		step_wait(&turn, 2 * i + 2);
	}
	step_reset(&turn);
}

static void *sealed_child(void *arg)
{
	CHECK_OK(pthread_kill(pthread_self(), SIGUSR1));
	return arg;
}

static void *sealed(void *arg)
{
	forbid();
	step_add(&forbidden, 1);
	wait_in_all_ways();
	CHECK(thread_join(thread_start(sealed_child, NULL)) == NULL);
	CHECK_EQ(handled, 1);
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(write(in[1], "y", 1) != 1);
	CHECK_CHILD(pid);
	step_add(&over, 1);
	return arg;
}

/* It does what the other may not. */
static void *echo(void *arg)
{
	char c = 0;

	while (c != 'y') {
		CHECK(read(in[0], &c, 1) == 1);
		close(open("/dev/null", O_RDONLY));
		CHECK(write(out[1], &c, 1) == 1);
	}
	return arg;
}

static void *partner(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		step_wait(&turn, 2 * i + 1);
		close(open("/dev/null", O_RDONLY));
		step_add(&turn, 1);
	}
	return arg;
}

static void a_sealed_thread_goes_on_beside_others(void)
{
	struct sigaction action = {.sa_handler = note};
	pthread_t threads[3];

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(pipe(in) == 0 && pipe(out) == 0);
	threads[0] = thread_start(echo, NULL);
	threads[1] = thread_start(partner, NULL);
	threads[2] = thread_start(sealed, NULL);
	while (!step_at(&over)) {
		close(open("/dev/null", O_RDONLY));
		let_block();
	}
	for (int i = 0; i < 3; i++)
		thread_join(threads[i]);
}

int main(void)
{
	check_begin();
	RUN(a_sealed_thread_goes_on_beside_others);
	return check_done();
}
