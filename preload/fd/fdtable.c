/* fdtable.c -- calls that make, copy and close descriptor numbers
 *
 * Our own descriptors look closed to the program, and move away when it wants their number.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include "fd/fdtable.h"
#include "gate/bound.h"
#include "clock.h"
#include "log.h"
#include "offload.h"
#include "gate/user.h"
#include "pages.h"

/* While one of ours is in use that stands in the way: */
#define TRIES 200
#define PAUSE 100000ll

/* The kernel's table of descriptors. */
#define ROOM_FIRST 4096u	/* from the start: it costs nothing while the process has one thread */
#define ROOM_LEAST 256u		/* in the child of a fork; with ours in it */
#define ROOM_MOST  (1u << 22)	/* from a quarter of it on the kernel enlarges its table as it goes */
static uint32_t room ANEW;	/* atomic: it has room for so many, as far as we know */

long fdtable_refused(int number)
{
	return own_has(number) ? -EBADF : GATE_NATIVE;
}

/* Whom one of ours was lent to is about to be done with it, or to wait: behind us in the queue, or on another hub. */
static void let_others(struct attempt *a)
{
	struct task *t = task_self();

	if (++a->tries % 2 == 0) {
		sched_arm(t, PARK_YIELD);
		sched_park(t, clock_deadline(PAUSE));
	}
	sched_yield_task(t);
}

/* The kernel skipped a number because ours stands there: ours moves, and the new descriptor takes the number it should have. */
static long settle(long number, struct attempt *a)
{
	int first = own_next(a->least);
	long r, flags;

	if (first < 0 || first > number)
		return number;
	for (own_move(first); own_has(first) && a->tries < TRIES; own_move(first))
		let_others(a);
	if (own_has(first))
		return number;
	flags = sys_fcntl((int)number, F_GETFD, 0);
	r = sys_fcntl((int)number, flags & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, first);
	if (r < 0)
		return number;
	sys_close((int)(r < number ? number : r));	/* another thread may have been faster */
	return r < number ? r : number;
}

static bool make_room(struct attempt *a)
{
	uint32_t before = a->moves;

	a->moves = own_moves();
	enum own_left left = own_leave(before);

	if (left != OWN_BUSY || a->tries == TRIES)
		return left == OWN_ROOM;
	let_others(a);
	return true;
}

/* What is duplicated is not open: the call fails, but has made room for the number before it finds that out. */
static long room_for(struct task *t, uint32_t n)
{
	struct rlimit limit = {0, 0};

	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	long last = (long)(limit.rlim_cur < n ? limit.rlim_cur : n) - 1;

	return t ? offload_call(t, __NR_dup3, -1, last, O_CLOEXEC, 0, 0, 0) : SYS(__NR_dup3, -1, last, O_CLOEXEC);
}

/* When the kernel enlarges the table of a process with several threads it waits for all CPUs, ten milliseconds and more in
 * which a hub would stand still. So that is done by a worker, long before the table is full, while this task alone waits. */
static void enlarge(int number)
{
	uint32_t was = load_relaxed(&room), size = ROOM_LEAST;

	if (likely(number < (int)ROOM_LEAST / 2 || 2 * (uint32_t)number < was) || number >= (int)ROOM_MOST / 4)
		return;
	while (size / 4 <= (uint32_t)number)
		size *= 2;
	/* A task that is alone would only wait for the worker, too; and in the child of a fork there is nobody to wait for. */
	if (was < size && cas(&room, was, size))
		room_for(load_relaxed(&task_count) > 1 ? task_self() : NULL, size);
}

void fdtable_start(void)
{
	room = ROOM_FIRST;
	room_for(NULL, ROOM_FIRST);
}

bool fdtable_again(long *result, struct attempt *a)
{
	if (unlikely(*result == -EMFILE))
		return make_room(a);
	if (unlikely(*result > own_next(a->least)))
		*result = settle(*result, a);
	enlarge((int)*result);
	return false;
}

long fdtable_pair(struct task *t, int made[2], int *to, struct attempt *a)
{
	for (int i = 0; i < 2; i++)
		enlarge(made[i] = (int)settle(made[i], a));
	if (user_copy(t, to, made, 2 * sizeof *made) == 0)
		return 0;
	sys_close(made[0]);
	sys_close(made[1]);
	return -EFAULT;
}

/* Calls that make a descriptor of a kind to be asked for. */
long fdtable_make(struct task *t, struct arch_frame *f)
{
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = gate_again(t, f);
	while (fdtable_again(&r, &a));
	return r;
}

/* Calls on a descriptor that do not wait. */
long fdtable_known(struct task *t, struct arch_frame *f)
{
	return fdtable_refused((int)ARG1(f));
}

/* Calls on a descriptor at which the kernel may work for long, and whose result a signal may cut short. */
long fdtable_long(struct task *t, struct arch_frame *f)
{
	return own_has((int)ARG1(f)) ? -EBADF : gate_again(t, f);
}

/* How libc asks for fstat. */
long fdtable_fstatat(struct task *t, struct arch_frame *f)
{
	return ARG4(f) & AT_EMPTY_PATH ? fdtable_refused((int)ARG1(f)) : GATE_NATIVE;
}

/* The entry of a directory that stands at `at'; its name is cut where it is longer than any number, or none. */
struct entry {
	uint16_t size;
	char name[12];
};

static int entry_read(struct task *t, struct entry *e, const char *at, size_t name)
{
	struct { uint16_t size; char more[2]; } head;	/* what more holds ends with the first byte of a name at 18 or 19 */

	if (user_copy(t, &head, at + 16, sizeof head) < 0)
		return -EFAULT;
	e->size = head.size;
	e->name[0] = head.more[name - 18];
	if (e->name[0] < '0' || e->name[0] > '9')
		return 0;
	return user_text(t, e->name, at + name, sizeof e->name) < 0 ? -EFAULT : 0;
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
	return own_has(n);
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

long fdtable_getdents(struct task *t, struct arch_frame *f)
{
	size_t name = f->nr == __NR_getdents64 ? 19 : 18;
	char *buf = (char *)ARG2(f);
	bool asked = false;

	if (own_has((int)ARG1(f)))
		return -EBADF;
	for (;;) {
		long n = gate_again(t, f), to = 0;

		for (long at = 0, size; at < n; at += size) {
			struct entry e;

			if (entry_read(t, &e, buf + at, name) < 0 || !e.size)
				return to ? to : -EFAULT;
			size = e.size;
			if (is_own_entry(e.name)) {
				if (!asked && !lists_descriptors((int)ARG1(f)))
					return n;
				asked = true;
				continue;
			}
			if (to != at && user_copy(t, buf + to, buf + at, (size_t)size) < 0)
				return -EFAULT;
			to += size;
		}
		if (n <= 0 || to)	/* all of it hidden is not the end: ask for more */
			return n <= 0 ? n : to;
	}
}

static bool is_known(const struct fd *e)
{
	return e && (load_relaxed(&e->kind) || e->hub);
}

/* A number that we know nothing of may be none of the program's, but the first place of one of ours that is just being made: the
 * kernel is asked while none is. What is open then, and not ours, is the program's until the program itself closes it. */
static bool held_open(int number)
{
	own_hold();
	bool open = !own_has(number) && sys_fcntl(number, F_GETFD, 0) >= 0;

	own_drop();
	return open;
}

long fdtable_close(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f);
	bool known = is_known(fd_get(number));

	if (own_has(number))
		return -EBADF;
	fd_closing(number);
	/* It may block (SO_LINGER, a file system's flush), so it is made with nothing held. */
	return known || held_open(number) ? GATE_NATIVE : -EBADF;
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

long fdtable_dup(struct task *t, struct arch_frame *f)
{
	if (own_has((int)ARG1(f)))
		return -EBADF;
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = SYS(__NR_dup, ARG1(f));
	while (fdtable_again(&r, &a));
	return copied((int)ARG1(f), r);
}

/* With our numbers held where they are, or one of ours might come to stand where the call puts the copy. Returns GATE_NATIVE where
 * something of the program's stands: none of ours can come there, and the call closes it, which may block. */
static long dup_held(struct arch_frame *f, int from, int to)
{
	if (own_has(from))
		return -EBADF;
	if (from != to && sys_fcntl(from, F_GETFD, 0) >= 0) {
		fd_closing(to);
		share(from);
		if (sys_fcntl(to, F_GETFD, 0) >= 0)
			return GATE_NATIVE;
	}
	return arch_syscall((long)f->nr, from, to, (long)ARG3(f), 0, 0, 0);
}

static long dup_over(struct arch_frame *f)
{
	int from = (int)ARG1(f), to = (int)ARG2(f);
	struct attempt a = fdtable_attempt();

	own_hold();
	while (own_has(to)) {
		own_drop();
		if (!own_move(to))
			return -EBADF;
		if (own_has(to))
			let_others(&a);
		own_hold();
	}
	long r = dup_held(f, from, to);

	own_drop();
	return r;
}

long fdtable_dup2(struct task *t, struct arch_frame *f)
{
	return dup_over(f);
}

long fdtable_dup3(struct task *t, struct arch_frame *f)
{
	return dup_over(f);
}

static void forget_range(unsigned first, unsigned last)
{
	for (unsigned n = first; n <= last && n < fd_end(); n++) {
		struct fd *e = fd_known(n) ? fd_get((int)n) : NULL;

		if (!e)
			n |= FD_CHUNK - 1;	/* nothing is known of the whole chunk */
		else if ((load_relaxed(&e->kind) || e->hub || e->first) && !own_has((int)n))
			fd_closing((int)n);
	}
}

/* How many numbers the table of descriptors has. */
static unsigned table_size(struct task *t)
{
	char text[2048];
	long fd = sys_open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC, 0), n = fd < 0 ? 0 : sys_read((int)fd, text, sizeof text);
	unsigned size = 0;

	if (fd >= 0)
		sys_close((int)fd);
	for (long i = 0; i + 8 < n && !size; i++)
		if (!memcmp(text + i, "\nFDSize:", 8))
			for (i += 8; i < n && text[i] != '\n'; i++)
				size = text[i] < '0' ? size : size * 10 + (unsigned)(text[i] - '0');
	return size ? size : 1u << 20;
}

/* One after the other, as the kernel does it: a close that blocks is made with nothing held, beside what others do. */
static long close_each(struct task *t, unsigned first, unsigned last)
{
	unsigned end = table_size(t);

	for (unsigned n = first; n <= last && n < end; n++) {
		if (!held_open((int)n))
			continue;
		fd_closing((int)n);
		gate_once(t, __NR_close, (int)n, 0, 0, 0, 0, 0);
	}
	return 0;
}

/* Close around our own descriptors. */
long fdtable_close_range(struct task *t, struct arch_frame *f)
{
	unsigned first = (unsigned)ARG1(f), last = (unsigned)ARG2(f), from = first;
	unsigned flags = (unsigned)ARG3(f);
	int ours;

	if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return GATE_NATIVE;
	if (flags & CLOSE_RANGE_CLOEXEC)
		return GATE_NATIVE;	/* ours are close-on-exec already */
	if (flags & CLOSE_RANGE_UNSHARE && load_seq(&carrier_others))
		return bound_apart(t);
	if (!flags && load_relaxed(&task_count) > 1)
		return close_each(t, first, last);
	own_hold();
	forget_range(first, last);
	while ((ours = own_next(from)) >= 0 && (unsigned)ours <= last) {
		if ((unsigned)ours > from)
			SYS(__NR_close_range, from, ours - 1, flags);
		from = (unsigned)ours + 1;
	}
	long r = from <= last ? SYS(__NR_close_range, from, last, flags) : 0;

	own_drop();
	return r;
}

long fdtable_fcntl(struct task *t, struct arch_frame *f)
{
	int number = (int)ARG1(f);
	struct fd *e = fd_get(number);
	struct attempt a = fdtable_attempt();
	bool known = is_known(e);	/* before we look whether it is ours: the program's it stays meanwhile */
	long r;

	if (own_has(number))
		return -EBADF;
	switch (ARG2(f)) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		a.least = (unsigned)ARG3(f);
		do
			r = SYS(__NR_fcntl, number, ARG2(f), ARG3(f));
		while (fdtable_again(&r, &a));
		return copied(number, r);
	case F_SETFL:
		r = SYS(__NR_fcntl, number, F_SETFL, ARG3(f));
		if (r >= 0 && e && ARG3(f) & O_NONBLOCK)
			__atomic_fetch_or(&e->flags, FD_NONBLOCK, __ATOMIC_RELAXED);
		else if (r >= 0 && e)
			__atomic_fetch_and(&e->flags, (uint8_t)~FD_NONBLOCK, __ATOMIC_RELAXED);
		return r;
	case F_GETFD:
		return known || held_open(number) ? GATE_NATIVE : -EBADF;
	default:
		return GATE_NATIVE;
	}
}

long fdtable_ioctl(struct task *t, struct arch_frame *f)
{
	struct fd *e = fd_get((int)ARG1(f));

	if (own_has((int)ARG1(f)))
		return -EBADF;
	if (ARG2(f) != FIONBIO)
		return GATE_NATIVE;
	int on;

	if (user_copy(t, &on, (int *)ARG3(f), sizeof on) < 0)
		return GATE_NATIVE;
	long r = SYS(__NR_ioctl, ARG1(f), FIONBIO, &on);

	if (r == 0 && e && on)
		__atomic_fetch_or(&e->flags, FD_NONBLOCK, __ATOMIC_RELAXED);
	else if (r == 0 && e)
		__atomic_fetch_and(&e->flags, (uint8_t)~FD_NONBLOCK, __ATOMIC_RELAXED);
	return r;
}

long fdtable_pipe(struct task *t, struct arch_frame *f)
{
	int made[2];
	uint64_t flags = f->nr == __NR_pipe ? 0 : ARG2(f);
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = SYS(__NR_pipe2, made, flags);
	while (fdtable_again(&r, &a));

	if (r == 0)
		r = fdtable_pair(t, made, (int *)ARG1(f), &a);
	for (int i = 0; r == 0 && i < 2; i++)
		fd_new(made[i], FD_PIPE, FD_OWN | (flags & O_NONBLOCK ? FD_NONBLOCK : 0));
	return r;
}

static long made(struct arch_frame *f, enum fd_kind kind, uint64_t flags)
{
	struct attempt a = fdtable_attempt();
	long r;

	do
		r = arch_syscall((long)f->nr, (long)ARG1(f), (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), 0, 0);
	while (fdtable_again(&r, &a));
	if (r >= 0)
		fd_new((int)r, kind, FD_OWN | (flags & O_NONBLOCK ? FD_NONBLOCK : 0));
	return r;
}

long fdtable_eventfd(struct task *t, struct arch_frame *f)
{
	return made(f, FD_NOWAIT_IN, f->nr == __NR_eventfd ? 0 : ARG2(f));
}

long fdtable_timerfd(struct task *t, struct arch_frame *f)
{
	return made(f, FD_TIMER, ARG2(f));
}
