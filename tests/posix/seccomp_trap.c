/* seccomp_trap.c -- a filter of system calls comes over running threads, and traps some calls for a handler to answer
 *
 * Browsers do so: the handler asks another process to open a file. What else is trapped, the program does not use.
 *
 * threads: 4
 * kthreads: any
 */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>

enum { THREADS = 4, ROUNDS = 200 };

#define TRAP(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)

static int answer = -1;
static uint32_t trapped_others, stop, confined;

static void answer_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	if (info->si_syscall == SYS_openat) {
		uc->uc_mcontext.gregs[REG_RAX] = dup(answer);
	} else {
		__atomic_fetch_add(&trapped_others, 1, __ATOMIC_SEQ_CST);
		uc->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
	}
}

static void confine_all(void)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		TRAP(SYS_openat), TRAP(SYS_rt_tgsigqueueinfo), TRAP(SYS_getsockopt), TRAP(SYS_process_vm_readv),
		TRAP(SYS_sched_getattr), TRAP(SYS_sched_setattr), TRAP(SYS_mincore), TRAP(SYS_ptrace), TRAP(SYS_mount),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof rows / sizeof rows[0], rows};

	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter), 0);
}

static void wait_confined(void)
{
	while (!__atomic_load_n(&confined, __ATOMIC_SEQ_CST))
		usleep(1000);
}

static void *talk(void *arg)
{
	int pair[2];
	char c = 0;

	wait_confined();
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(send(pair[0], "x", 1, 0), 1);
		CHECK_EQ(recv(pair[1], &c, 1, 0), 1);
		CHECK_EQ(c, 'x');
		if (i % 20 == 0)
			usleep(500);
	}
	close(pair[0]);
	close(pair[1]);
	return arg;
}

static void *open_files(void *arg)
{
	char c;

	wait_confined();
	for (int i = 0; i < ROUNDS; i++) {
		int fd = open("/nonexistent/file", O_RDONLY);

		CHECK(fd >= 0);
		CHECK_EQ(pread(fd, &c, 1, 0), 1);
		CHECK_EQ(c, 0);
		CHECK_OK(close(fd));
	}
	return arg;
}

static void *compute(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return arg;
}

static void threads_go_on(void)
{
	struct sigaction act = {.sa_sigaction = answer_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
	pthread_t talkers[2], opener, hog;

	answer = open("/dev/zero", O_RDONLY);
	CHECK(answer >= 0);
	CHECK_OK(sigaction(SIGSYS, &act, NULL));
	for (int i = 0; i < 2; i++)
		talkers[i] = thread_start(talk, NULL);
	opener = thread_start(open_files, NULL);
	hog = thread_start(compute, NULL);
	usleep(10000);
	confine_all();
	__atomic_store_n(&confined, 1, __ATOMIC_SEQ_CST);
	threads_join(talkers, 2);
	thread_join(opener);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	thread_join(hog);
	CHECK_EQ(trapped_others, 0);
}

static void a_trapped_call_gets_its_answer(void)
{
	CHECK_ERR(mount("none", "/", "none", 0, NULL), ENOSYS);
	CHECK_EQ(trapped_others, 1);
}

int main(void)
{
	check_begin();
	RUN(threads_go_on);
	RUN(a_trapped_call_gets_its_answer);
	return check_done();
}
