/* sys.h -- raw system calls: results are >= 0 or -errno
 *
 * Core and preload speak to the kernel through these alone: libc's wrappers could come back to us by the gate.
 */
#ifndef CORE_SYS_H
#define CORE_SYS_H

#include "base.h"
#include "uapi.h"

#define SYS_PICK_(nr, a, b, c, d, e, f, ...)	\
	arch_syscall((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYS(...) SYS_PICK_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static inline long sys_read(int fd, void *buf, size_t n)
{
	return SYS(__NR_read, fd, buf, n);
}

static inline long sys_write(int fd, const void *buf, size_t n)
{
	return SYS(__NR_write, fd, buf, n);
}

static inline long sys_pread(int fd, void *buf, size_t n, long off)
{
	return SYS(__NR_pread64, fd, buf, n, off);
}

static inline long sys_pwrite(int fd, const void *buf, size_t n, long off)
{
	return SYS(__NR_pwrite64, fd, buf, n, off);
}

static inline long sys_open(const char *path, int flags, int mode)
{
	return SYS(__NR_openat, -100, path, flags, mode);
}

static inline long sys_close(int fd)
{
	return SYS(__NR_close, fd);
}

static inline long sys_fcntl(int fd, int cmd, long arg)
{
	return SYS(__NR_fcntl, fd, cmd, arg);
}

static inline long sys_mmap(void *addr, size_t n, int prot, int flags, int fd, long off)
{
	return SYS(__NR_mmap, addr, n, prot, flags, fd, off);
}

static inline long sys_munmap(void *addr, size_t n)
{
	return SYS(__NR_munmap, addr, n);
}

static inline long sys_mprotect(void *addr, size_t n, int prot)
{
	return SYS(__NR_mprotect, addr, n, prot);
}

static inline long sys_madvise(void *addr, size_t n, int advice)
{
	return SYS(__NR_madvise, addr, n, advice);
}

static inline long sys_mremap(void *addr, size_t old, size_t n, int flags, void *to)
{
	return SYS(__NR_mremap, addr, old, n, flags, to);
}

static inline long sys_futex(void *addr, int op, uint32_t val, const void *timeout, void *addr2, uint32_t val3)
{
	return SYS(__NR_futex, addr, op, val, timeout, addr2, val3);
}

static inline long sys_gettid(void)
{
	return SYS(__NR_gettid);
}

static inline long sys_getpid(void)
{
	return SYS(__NR_getpid);
}

static inline long sys_tgkill(int pid, int tid, int sig)
{
	return SYS(__NR_tgkill, pid, tid, sig);
}

static inline long sys_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return SYS(__NR_rt_sigprocmask, how, set, old, UAPI_SIGSET_SIZE);
}

static inline long sys_sigaction(int sig, const struct uapi_sigaction *act, struct uapi_sigaction *old)
{
	return SYS(__NR_rt_sigaction, sig, act, old, UAPI_SIGSET_SIZE);
}

static inline long sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return SYS(__NR_epoll_ctl, epfd, op, fd, ev);
}

/* What is ready now? The kernel says EINTR even then when a signal is on its way, such as one of ours. */
static inline long sys_poll(void *fds, unsigned long n)
{
	long r;

	do
		r = SYS(__NR_poll, fds, n, 0);
	while (r == -EINTR);
	return r;
}

/* sys_map -- fresh zeroed memory. Returns NULL when there is none. */
void *sys_map(size_t n);

#endif
