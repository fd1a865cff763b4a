/* seccomp_first.c -- processes that may make certain system calls alone, and make their first threads then
 *
 * The calls are those that libc needs for threads, files and clocks. A process sets such a filter for itself, or is started
 * under one, as a service manager or a container starts it. Forbidden calls end the process or fail.
 *
 * threads: 1
 */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

enum { KILL = SECCOMP_RET_KILL_PROCESS, FAIL = SECCOMP_RET_ERRNO | EPERM };

static const int common[] = {
	SYS_read, SYS_write, SYS_close, SYS_fstat, SYS_newfstatat, SYS_lseek, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_brk,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_pread64, SYS_access, SYS_pipe2, SYS_getpid, SYS_gettid,
	SYS_clone, SYS_clone3, SYS_exit, SYS_exit_group, SYS_openat, SYS_futex, SYS_sched_getaffinity, SYS_set_tid_address,
	SYS_set_robust_list, SYS_clock_gettime, SYS_clock_nanosleep, SYS_prlimit64, SYS_getrandom, SYS_rseq, SYS_madvise,
	SYS_arch_prctl, SYS_execve, SYS_wait4, SYS_readlink, SYS_prctl, SYS_getdents64, SYS_fcntl, SYS_tgkill,
};

/* What a container's default forbids, among others. */
static const int dangerous[] = {SYS_mount, SYS_ptrace, SYS_reboot, SYS_swapon, SYS_init_module, SYS_bpf, SYS_kexec_load};

static int by_number;

static int set_filter(struct sock_filter *rows, size_t n)
{
	struct sock_fprog filter = {(unsigned short)n, rows};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return by_number ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)
			 : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/* Calls of the list have one end, all others the other. */
static void filter(const int *list, size_t listed, uint32_t for_listed, uint32_t for_others)
{
	struct sock_filter rows[128];
	size_t n = 0;

	rows[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < listed; i++) {
		rows[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)list[i], 0, 1);
		rows[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, for_listed);
	}
	rows[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, for_others);
	CHECK_EQ(set_filter(rows, n), 0);
}

static void allow_common(uint32_t others)
{
	filter(common, sizeof common / sizeof common[0], SECCOMP_RET_ALLOW, others);
}

static void *use_pipe(void *arg)
{
	int ends[2];
	char c;

	CHECK_EQ(pipe2(ends, 0), 0);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(read(ends[0], &c, 1), 1);
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(usleep(2000), 0);
	(void)arg;
	return NULL;
}

static int work(void)
{
	pthread_t threads[4];

	threads_start(threads, 4, use_pipe);
	threads_join(threads, 4);
	use_pipe(NULL);
	return 0;
}

static void in_child(void (*confine)(uint32_t), uint32_t others, int again)
{
	/* A service manager hands down what the loader needs, and little else. */
	char loader[4096], *env[] = {loader, NULL};
	const char *preload = getenv("LD_PRELOAD");
	char *argv[] = {(char *)"seccomp_first", (char *)"inside", NULL};
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		snprintf(loader, sizeof loader, "LD_PRELOAD=%s", preload ? preload : "");
		confine(others);
		if (again)
			execve("/proc/self/exe", argv, env);
		_exit(again ? 9 : work());
	}
	CHECK_CHILD(child);
}

static void forbid_dangerous(uint32_t how)
{
	filter(dangerous, sizeof dangerous / sizeof dangerous[0], how, SECCOMP_RET_ALLOW);
}

static void a_process_confines_itself(void)
{
	for (by_number = 0; by_number < 2; by_number++) {
		in_child(allow_common, KILL, 0);
		in_child(allow_common, FAIL, 0);
		in_child(forbid_dangerous, KILL, 0);
	}
	by_number = 0;
}

static void a_process_is_started_confined(void)
{
	in_child(allow_common, KILL, 1);
	in_child(allow_common, FAIL, 1);
	in_child(forbid_dangerous, KILL, 1);
	in_child(forbid_dangerous, FAIL, 1);
}

static void a_free_process_makes_threads(void)
{
	work();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return strcmp(argv[1], "inside") ? 2 : work();
	check_begin();
	RUN(a_process_confines_itself);
	RUN(a_process_is_started_confined);
	RUN(a_free_process_makes_threads);
	return check_done();
}
