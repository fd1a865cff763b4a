/* confine.c -- filters of system calls (seccomp) that this process runs under
 *
 * Two kinds of filters are told apart by their age.
 *
 * A filter that was there at the start was set by who started this process: a service manager, a container. /proc/self/status
 * tells, and openat, read and close are calls that the loader has made a moment ago. Such a filter lets a process fork, as a
 * rule. So a child tries every call of ours with arguments that do nothing and have one right answer. A filter that ends the
 * process for a call ends the child; one that invents an error gives another answer. Then this process runs natively.
 *
 * A filter that the program sets later is made for this program, and what it forbids, such as fork, may end the process. Nothing
 * is tried then: the process runs natively. The names prctl and syscall are stood before to see it (start/trigger.c); a call that a
 * program makes without libc is not seen.
 *
 * What may happen in between:
 *  - the program forks: the child knows what its parent knew, and filters stay with it;
 *  - the program makes a child by vfork, which sets a filter: the parent believes that it has one, and runs natively;
 *  - a signal comes while the child tries: the child blocks all;
 *  - the child ends: it sends no signal (its exit signal is 0), and the parent sleeps until then (CLONE_VFORK) and needs no other
 *    call to wait for it.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "gate/confine.h"
#include "sys.h"

#define STATUS	  "/proc/self/status"
#define SELF	  0x57656674l	/* stands for the id of the child */
#define ITS_CLOCK 0x57656675l	/* and for the CPU clock of its thread */
#define ANY	  1000000l	/* every answer of at least 0 is right */
#define THREAD	  (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

enum known { UNASKED, NONE, FILTERED, PASSES, FAILS, OWN };

static uint32_t known;		/* atomic, enum known */
static uint32_t passed;		/* trials whose answer was right, from the first on */
static const char *forbidden;	/* name of the first call whose answer was wrong */

struct trial {
	const char *name;
	long nr, answer, arg[6];
};

#define TRY(call, answer, ...) {#call, __NR_##call, answer, {__VA_ARGS__}},

static uint64_t no_core[2], none, all = ~0ull, old_mask, word, buffer[128], head, length;
static struct uapi_sigaction by_default;
static struct iovec from = {&word, sizeof word}, to = {&buffer, sizeof word};
static struct epoll_event event;

#define P(x) ((long)&(x))

/* Each has its answer before the kernel does anything. The first ones are what the child itself needs, and the file of the
 * counters. Where a call of ours depends on its flags, the flags are the same. */
static const struct trial trials[] = {
	TRY(prlimit64, 0, 0, RLIMIT_CORE, P(no_core), 0)
	TRY(rt_sigprocmask, 0, SIG_SETMASK, P(all), P(old_mask), 8)
	TRY(rt_sigaction, 0, SIGSYS, P(by_default), 0, 8)
	TRY(wait4, -ECHILD, -1, 0, WNOHANG | __WALL, 0)
	TRY(waitid, -ECHILD, P_ALL, 0, 0, WEXITED | WNOHANG | WNOWAIT | __WALL, 0)
	TRY(unlink, -EFAULT, 0)
	TRY(openat, -ENOENT, AT_FDCWD, P(none), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644)
	TRY(ftruncate, -EBADF, -1, 0)
	TRY(mmap, -EINVAL, 0, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
	TRY(munmap, -EINVAL, 1, 4096)
	TRY(getpid, ANY)
#define STATISTICS 11
	TRY(gettid, ANY)
	TRY(getuid, ANY)
	TRY(mprotect, -EINVAL, 1, 4096, PROT_READ | PROT_WRITE)
	TRY(mremap, -EINVAL, 1, 4096, 4096, 0)
	TRY(madvise, -EINVAL, 1, 4096, MADV_DONTNEED)
	TRY(memfd_create, -EFAULT, 0, MFD_CLOEXEC)
	TRY(clone, -EINVAL, THREAD)		/* without CLONE_SIGHAND: no thread */
	TRY(futex, -EAGAIN, P(word), FUTEX_WAIT_PRIVATE, 1, 0)
	TRY(futex, 0, P(word), FUTEX_WAKE_PRIVATE, 1)
	TRY(membarrier, 0, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
	TRY(membarrier, 0, MEMBARRIER_CMD_PRIVATE_EXPEDITED)
	TRY(sched_yield, 0)
	TRY(sched_getaffinity, ANY, 0, sizeof buffer, P(buffer))
	TRY(sched_getattr, -EINVAL, 0, 0, 0, 0)
	TRY(sched_setattr, -EINVAL, 0, 0, 0)
	TRY(set_robust_list, -EINVAL, 0, 0)
	TRY(get_robust_list, 0, 0, P(head), P(length))
	TRY(sigaltstack, 0, 0, P(buffer))
	TRY(rt_sigtimedwait, -EINVAL, 0, 0, 0, 0)
	TRY(rt_tgsigqueueinfo, -EFAULT, SELF, SELF, SIGURG, 0)
	TRY(tgkill, 0, SELF, SELF, 0)
	TRY(kill, 0, SELF, 0)
	TRY(prctl, 0, PR_GET_NAME, P(buffer))
	TRY(arch_prctl, 0, 0x1003 /* ARCH_GET_FS */, P(buffer))
	TRY(clock_gettime, 0, CLOCK_MONOTONIC, P(buffer))
	TRY(clock_gettime, 0, ITS_CLOCK, P(buffer))
	TRY(epoll_create1, -EINVAL, -1)
	TRY(epoll_ctl, -EBADF, -1, EPOLL_CTL_ADD, -1, P(event))
	TRY(epoll_pwait2, -EBADF, -1, P(event), 1, 0, 0, 8)
	TRY(eventfd2, -EINVAL, 0, -1)
	TRY(poll, 0, 0, 0, 0)
	TRY(ppoll, -EFAULT, 1, 1, 0, 0, 8)
	TRY(read, -EBADF, -1, P(buffer), 1)
	TRY(write, -EBADF, -1, P(buffer), 1)
	TRY(pread64, -EBADF, -1, P(buffer), 1, 0)
	TRY(pwrite64, -EBADF, -1, P(buffer), 1, 0)
	TRY(preadv2, -EBADF, -1, P(to), 1, -1, -1, 8 /* RWF_NOWAIT */)
	TRY(pwritev2, -EBADF, -1, P(to), 1, -1, -1, 8)
	TRY(close, -EBADF, -1)
	TRY(dup3, -EBADF, -1, 1000, O_CLOEXEC)
	TRY(fcntl, -EBADF, -1, F_GETFL, 0)
	TRY(fcntl, -EBADF, -1, F_DUPFD_CLOEXEC, 0)
	TRY(ioctl, -EBADF, -1, FIONREAD, P(buffer))
	TRY(statx, -EBADF, -1, P(none), AT_EMPTY_PATH, 0, P(buffer))
	TRY(getdents64, -EBADF, -1, P(buffer), sizeof buffer)
	TRY(readlinkat, -ENOENT, AT_FDCWD, P(none), P(buffer), sizeof buffer)
	TRY(getsockopt, -EBADF, -1, SOL_SOCKET, SO_TYPE, P(buffer), P(length))
	TRY(recvfrom, -EBADF, -1, P(buffer), 1, MSG_DONTWAIT, 0, 0)
	TRY(sendto, -EBADF, -1, P(buffer), 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
	TRY(pidfd_open, -EINVAL, -1, 0)
	TRY(process_vm_readv, sizeof word, SELF, P(to), 1, P(from), 1, 0)
};

/* What a trial in the child found, in memory that it shares with this process. */
struct found {
	uint32_t begun, right, wrong;	/* trials that were begun; right ones, before the first of the wrong */
};

static long argument(long a)
{
	if (a == SELF)
		return sys_getpid();
	return a == ITS_CLOCK ? ~sys_getpid() * 8 + 6 : a;
}

static void try_all(struct found *found)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(trials); i++) {
		const struct trial *t = &trials[i];
		const long *a = t->arg;

		store_release(&found->begun, i + 1);
		long r = SYS(t->nr, argument(a[0]), argument(a[1]), a[2], a[3], a[4], a[5]);

		found->wrong += t->answer == ANY ? r < 0 : r != t->answer;
		found->right += !found->wrong;
	}
	for (;;)
		SYS(__NR_exit_group, 0);
}

/* False: no child could be made. It has ended when the call comes back. */
static bool try_in_child(struct found *found)
{
	long pid = SYS(__NR_clone, CLONE_VFORK);

	if (pid == 0)
		try_all(found);
	if (pid > 0 && found->begun > 4)	/* else wait4 is not known to be allowed: it is left behind */
		SYS(__NR_wait4, pid, 0, __WALL, 0);
	return pid > 0;
}

static enum known try_it(void)
{
	long at = sys_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct found *found = (struct found *)at;
	bool done;

	if (at < 0 && at > -4096)
		return FAILS;
	done = try_in_child(found);
	passed = found->right;
	forbidden = !done ? "clone" : passed < ARRAY_SIZE(trials) ? trials[passed].name : NULL;
	sys_munmap(found, PAGE);
	return forbidden ? FAILS : PASSES;
}

static bool begins(const char *s, const char *end, const char *with)
{
	while (s < end && *with && *s == *with)
		s++, with++;
	return !*with;
}

/* The number behind a word at the beginning of a line; -1: there is none. */
static int number_at(const char *text, long n, const char *line)
{
	for (const char *s = text, *end = text + n; s < end; s++)
		if (begins(s, end, line)) {
			int value = 0;

			for (s += strlen(line); s < end && *s >= '0' && *s <= '9'; s++)
				value = value * 10 + *s - '0';
			return value;
		}
	return -1;
}

int confine_look(void)
{
	char text[4096];
	long fd = sys_open(STATUS, O_RDONLY | O_CLOEXEC, 0), n = fd < 0 ? fd : sys_read((int)fd, text, sizeof text);
	int mode = n > 0 ? number_at(text, n, "\nSeccomp:\t") : -1;

	if (fd >= 0)
		sys_close((int)fd);
	if (mode < 0)
		mode = (int)SYS(__NR_prctl, PR_GET_SECCOMP);	/* no such file, or a long one */
	cas(&known, UNASKED, mode > 0 ? FILTERED : NONE);
	return mode > 0 && n > 0 ? number_at(text, n, "\nPid:\t") : 0;
}

void confine_note(void)
{
	store_release(&known, OWN);
}

bool confine_own(void)
{
	return load_acquire(&known) == OWN;
}

bool confine_filtered(void)
{
	return load_acquire(&known) == PASSES;
}

bool confine_stops(const char **call)
{
	if (load_acquire(&known) == UNASKED)
		confine_look();
	if (load_acquire(&known) == FILTERED)
		cas(&known, FILTERED, try_it());
	if (call)
		*call = load_acquire(&known) == FAILS ? forbidden : NULL;
	return load_acquire(&known) >= FAILS;
}

const char *confine_reason(void)
{
	static char text[96];
	const char *call, *begin = "a filter of system calls forbids Weft's own: ";
	size_t n = strlen(begin);

	if (!confine_stops(&call))
		return NULL;
	if (!call)
		return confine_own() ? "the program has set a filter of system calls" : "a filter of system calls is set";
	memcpy(text, begin, n);
	memcpy(text + n, call, strlen(call) + 1);
	return text;
}

bool confine_statistics(void)
{
	return !confine_stops(NULL) || (!confine_own() && passed >= STATISTICS);
}
