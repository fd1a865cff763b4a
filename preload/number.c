/* number.c -- calls that make, copy and close descriptor numbers
 *
 * Our own descriptors look closed to the program, and move away when it wants their number.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include "number.h"
#include "log.h"

/* A hub is down to a number that the program names: ours must look closed. */
static bool hidden(int number)
{
	return unlikely(hub_owns_fd(number));
}

long number_refused(int number)
{
	return hidden(number) ? -EBADF : GATE_NATIVE;
}

/* The kernel skipped numbers because ours stand there: ours move, and the new descriptor takes the number it should have. */
static long settle(long number)
{
	int first = (int)number;
	long r, flags;

	while (first > 0 && hub_owns_fd(first - 1) && hub_move_fd(first - 1) == 0)
		first--;
	if (first == number)
		return number;
	flags = sys_fcntl((int)number, F_GETFD, 0);
	r = sys_fcntl((int)number, flags & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, first);
	if (r < 0)
		return number;
	sys_close((int)number);
	return r;
}

bool number_again(long *result)
{
	if (unlikely(*result == -EMFILE))
		return hub_leave_range();
	if (unlikely(*result > 0 && hub_owns_fd((int)*result - 1)))
		*result = settle(*result);
	return false;
}

/* Calls that make a descriptor of a kind to be asked for. */
long number_make(struct task *t, struct arch_frame *f)
{
	long r;

	do
		r = gate_again(t, f);
	while (number_again(&r));
	return r;
}

/* Calls on a descriptor that do not wait. */
long number_known(struct task *t, struct arch_frame *f)
{
	return number_refused((int)ARG1(f));
}

/* How libc asks for fstat. */
long number_fstatat(struct task *t, struct arch_frame *f)
{
	return ARG4(f) & AT_EMPTY_PATH ? number_refused((int)ARG1(f)) : GATE_NATIVE;
}

static bool is_own_entry(const char *name)
{
	int n = 0;

	if (!*name)
		return false;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || n > 1 << 20)
			return false;
		n = n * 10 + (*name - '0');
	}
	return hub_owns_fd(n);
}

/* Is it this process's directory of descriptors? */
static bool lists_descriptors(int number)
{
	char path[40], link[64];

	log_format(path, sizeof path, "/proc/self/fd/%d", number);
	long n = SYS(__NR_readlinkat, AT_FDCWD, path, link, sizeof link - 1);

	if (n < 9 || memcmp(link, "/proc/", 6))
		return false;
	link[n] = 0;
	return !memcmp(link + n - 3, "/fd", 3) || (n > 7 && !memcmp(link + n - 7, "/fdinfo", 7));
}

long number_getdents(struct task *t, struct arch_frame *f)
{
	size_t name = f->nr == __NR_getdents64 ? 19 : 18;
	char *buf = (char *)ARG2(f);
	bool asked = false;

	if (hidden((int)ARG1(f)))
		return -EBADF;
	for (;;) {
		long n = gate_again(t, f), to = 0;

		for (long at = 0, size; at < n; at += size) {
			size = *(uint16_t *)(buf + at + 16);
			if (is_own_entry(buf + at + name)) {
				if (!asked && !lists_descriptors((int)ARG1(f)))
					return n;
				asked = true;
				continue;
			}
			if (to != at)
				memmove(buf + to, buf + at, (size_t)size);
			to += size;
		}
		if (n <= 0 || to)	/* all of it hidden is not the end: ask for more */
			return n <= 0 ? n : to;
	}
}

long number_close(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f);

	if (hidden(number))
		return -EBADF;
	fd_closing(number);
	return GATE_NATIVE;	/* it may block: SO_LINGER, or a file system's flush */
}

static void share(int number)
{
	struct fd *e = fd_get(number);

	if (e)
		__atomic_fetch_and(&e->flags, (uint8_t)~FD_OWN, __ATOMIC_RELAXED);	/* O_NONBLOCK may now be set through the other number */
}

static long copied(int from, long to)
{
	if (to >= 0) {
		share(from);
		fd_closing((int)to);
	}
	return to;
}

long number_dup(struct task *t, struct arch_frame *f)
{
	if (hidden((int)ARG1(f)))
		return -EBADF;
	long r;

	do
		r = SYS(__NR_dup, ARG1(f));
	while (number_again(&r));
	return copied((int)ARG1(f), r);
}

static long dup_over(struct arch_frame *f)
{
	int from = (int)ARG1(f), to = (int)ARG2(f);

	if (hidden(from))
		return -EBADF;
	if (hidden(to) && hub_move_fd(to) < 0)
		return -EMFILE;
	if (from == to || sys_fcntl(from, F_GETFD, 0) < 0)
		return arch_syscall((long)f->nr, from, to, (long)ARG3(f), 0, 0, 0);
	fd_closing(to);
	share(from);
	return arch_syscall((long)f->nr, from, to, (long)ARG3(f), 0, 0, 0);
}

long number_dup2(struct task *t, struct arch_frame *f)
{
	return dup_over(f);
}

long number_dup3(struct task *t, struct arch_frame *f)
{
	return dup_over(f);
}

static void forget_range(unsigned first, unsigned last)
{
	for (unsigned n = first; n <= last && n < 1u << 20; n++) {
		struct fd *e = (n & 1023) == 0 && !fd_known(n) ? NULL : fd_get((int)n);

		if (!e)
			n |= 1023;	/* nothing is known of the whole chunk */
		else if (!hub_owns_fd((int)n) && (load_relaxed(&e->kind) || e->hub || e->first) && !e->orphan)
			fd_closing((int)n);
	}
}

/* Close around our own descriptors. */
long number_close_range(struct task *t, struct arch_frame *f)
{
	unsigned first = (unsigned)ARG1(f), last = (unsigned)ARG2(f), from = first;
	unsigned flags = (unsigned)ARG3(f);
	int ours;

	if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return GATE_NATIVE;
	if (flags & CLOSE_RANGE_CLOEXEC)
		return GATE_NATIVE;	/* ours are close-on-exec already */
	forget_range(first, last);
	while ((ours = hub_next_fd(from)) >= 0 && (unsigned)ours <= last) {
		if ((unsigned)ours > from)
			SYS(__NR_close_range, from, ours - 1, flags);
		from = (unsigned)ours + 1;
	}
	return from <= last ? SYS(__NR_close_range, from, last, flags) : 0;
}

long number_fcntl(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f);
	struct fd *e = fd_get(number);
	long r;

	if (hidden(number))
		return -EBADF;
	switch (ARG2(f)) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		do
			r = SYS(__NR_fcntl, number, ARG2(f), ARG3(f));
		while (number_again(&r));
		return copied(number, r);
	case F_SETFL:
		r = SYS(__NR_fcntl, number, F_SETFL, ARG3(f));
		if (r >= 0 && e && ARG3(f) & O_NONBLOCK)
			__atomic_fetch_or(&e->flags, FD_NONBLOCK, __ATOMIC_RELAXED);
		else if (r >= 0 && e)
			__atomic_fetch_and(&e->flags, (uint8_t)~FD_NONBLOCK, __ATOMIC_RELAXED);
		return r;
	default:
		return GATE_NATIVE;
	}
}

long number_ioctl(struct task *t, struct arch_frame *f)
{
	struct fd *e = fd_get((int)ARG1(f));

	if (hidden((int)ARG1(f)))
		return -EBADF;
	if (ARG2(f) != FIONBIO)
		return GATE_NATIVE;
	long r = SYS(__NR_ioctl, ARG1(f), FIONBIO, ARG3(f));

	if (r == 0 && e && *(int *)ARG3(f))
		__atomic_fetch_or(&e->flags, FD_NONBLOCK, __ATOMIC_RELAXED);
	else if (r == 0 && e)
		__atomic_fetch_and(&e->flags, (uint8_t)~FD_NONBLOCK, __ATOMIC_RELAXED);
	return r;
}

long number_pipe(struct task *t, struct arch_frame *f)
{
	int *made = (int *)ARG1(f);
	uint64_t flags = f->nr == __NR_pipe ? 0 : ARG2(f);
	long r;

	do
		r = SYS(__NR_pipe2, made, flags);
	while (number_again(&r));

	for (int i = 0; r == 0 && i < 2; i++)
		fd_new(made[i], FD_PIPE, FD_OWN | (flags & O_NONBLOCK ? FD_NONBLOCK : 0));
	return r;
}

static long made(struct arch_frame *f, uint64_t flags)
{
	long r;

	do
		r = arch_syscall((long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), 0, 0);
	while (number_again(&r));
	if (r >= 0)
		fd_new((int)r, FD_NOWAIT_IN, FD_OWN | (flags & O_NONBLOCK ? FD_NONBLOCK : 0));
	return r;
}

long number_eventfd(struct task *t, struct arch_frame *f)
{
	return made(f, f->nr == __NR_eventfd ? 0 : ARG2(f));
}

long number_timerfd(struct task *t, struct arch_frame *f)
{
	return made(f, ARG2(f));
}
