/* own.c -- descriptors of ours among the program's numbers */
#include <fcntl.h>
#include "own.h"
#include "pages.h"

#define MOST  (1 << 20)		/* no number of ours is higher; the kernel has no more unless it is told to */
#define END   64		/* ours stand below: a fork copies the table as far as it is used, and so much costs it nothing */
#define TOP   56		/* near that end, away from the program's */
#define SPARE 1024		/* so much is the limit raised */
#define ALONE (1u << 31)

const struct own_kind *own_kinds[3];

static uint64_t bits[MOST / 64] SPARSE;	/* atomic words: one bit a number */
static int lowest = MOST, highest;		/* atomic: none stands below the one or above the other */
static struct lock bits_lock ANEW;		/* of changes to these */
static uint32_t standing ANEW;		/* atomic: how many hold all where they are, or ALONE */
static uint32_t moves;			/* atomic */

bool own_has(int fd)
{
	return (unsigned)fd < MOST && load_relaxed(&bits[fd / 64]) >> fd % 64 & 1;
}

int own_next(unsigned from)
{
	unsigned n = (unsigned)load_relaxed(&lowest), end = (unsigned)load_relaxed(&highest);

	for (n = n > from ? n : from; n <= end && n < MOST; n = (n | 63) + 1) {
		uint64_t word = load_relaxed(&bits[n / 64]) >> n % 64;

		if (word)
			return (int)n + __builtin_ctzll(word);
	}
	return -1;
}

static void mark(int fd)
{
	lock_take(&bits_lock);
	__atomic_fetch_or(&bits[fd / 64], 1ull << fd % 64, __ATOMIC_RELAXED);
	if (fd < lowest)
		store_relaxed(&lowest, fd);
	if (fd > highest)
		store_relaxed(&highest, fd);
	lock_drop(&bits_lock);
}

void own_disown(int fd)
{
	lock_take(&bits_lock);
	__atomic_fetch_and(&bits[fd / 64], ~(1ull << fd % 64), __ATOMIC_RELAXED);
	if (fd == lowest) {
		int next = own_next((unsigned)fd);

		store_relaxed(&lowest, next < 0 ? MOST : next);
	}
	lock_drop(&bits_lock);
}

static int top(int fd)
{
	struct rlimit limit = {END, END};
	int n = -EMFILE;

	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	for (int at = limit.rlim_cur > END ? TOP : (int)limit.rlim_cur - 1; at >= 0 && n < 0; at--)
		n = (int)sys_fcntl(fd, F_DUPFD_CLOEXEC, at);
	return n;
}

int own_dup(int fd, int from)
{
	int n = from < 0 ? top(fd) : (int)sys_fcntl(fd, F_DUPFD_CLOEXEC, from);

	if (n >= MOST) {
		sys_close(n);
		return -EMFILE;
	}
	if (n >= 0)
		mark(n);
	return n;
}

int own_add(long fd)
{
	int n;

	if (fd < 0)
		return (int)fd;
	if (fd >= MOST) {	/* the table has no bit for it: a lower one, or none */
		n = own_dup((int)fd, -1);
		sys_close((int)fd);
		return n;
	}
	mark((int)fd);
	n = own_dup((int)fd, -1);
	if (n > fd) {
		own_close((int)fd);
		return n;
	}
	if (n >= 0)
		own_close(n);
	return (int)fd;
}

void own_close(int fd)
{
	own_disown(fd);
	sys_close(fd);
	add_relaxed(&moves, 1);
}

void own_take(void)
{
	for (unsigned n = 0; !cas(&standing, 0, ALONE); n++)
		lock_pause(n);
}

void own_release(void)
{
	store_release(&standing, 0);
}

void own_hold(void)
{
	for (unsigned n = 0;; n++) {
		uint32_t was = load_relaxed(&standing);

		if (was < ALONE && cas(&standing, was, was + 1))
			return;
		lock_pause(n);
	}
}

void own_drop(void)
{
	__atomic_sub_fetch(&standing, 1, __ATOMIC_RELEASE);
}

uint32_t own_moves(void)
{
	return load_acquire(&moves);
}

static bool ask_to_move(int fd, int from)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_kinds); i++)
		if (own_kinds[i] && own_kinds[i]->move(fd, from))
			return true;
	return false;
}

static bool ask_to_give(int from, int to)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_kinds); i++)
		if (own_kinds[i] && own_kinds[i]->give(from, to))
			return true;
	return false;
}

/* Where the hard limit leaves too little room it is raised as well, if that is allowed. */
bool own_raise(struct rlimit *was)
{
	struct rlimit raised;

	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, was);
	raised = *was;
	raised.rlim_cur += SPARE;
	if (raised.rlim_max < raised.rlim_cur)
		raised.rlim_max = raised.rlim_cur;
	if (SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, &raised, NULL) == 0)
		return true;
	raised.rlim_cur = raised.rlim_max = was->rlim_max;
	return was->rlim_cur < was->rlim_max && SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, &raised, NULL) == 0;
}

void own_lower(const struct rlimit *was)
{
	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, was, NULL);
}

static bool leave(int end)
{
	struct rlimit limit;
	bool any = false;

	if (!own_raise(&limit))
		return false;
	for (int fd = own_next(0); fd >= 0 && fd < end; fd = own_next((unsigned)fd + 1))
		any |= ask_to_move(fd, end);
	own_lower(&limit);
	return any;
}

/* The end of the range. With all held alone: nobody else has raised it. */
static int range_end(void)
{
	struct rlimit limit;

	SYS(__NR_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	return limit.rlim_cur < MOST ? (int)limit.rlim_cur : MOST;
}

enum own_left own_leave(uint32_t before)
{
	enum own_left left = OWN_NONE;

	own_take();
	int end = range_end(), first = own_next(0);

	if (before != moves)		/* somebody else has made room meanwhile */
		left = OWN_ROOM;
	else if (first >= 0 && first < end)
		left = leave(end) || ask_to_give(0, end) ? OWN_ROOM : OWN_BUSY;
	own_release();
	return left;
}

bool own_move(int fd)
{
	own_take();
	int end = range_end();
	bool below = fd < end;

	/* Far up, out of the way of what fills the range from below. */
	if (below && own_has(fd) && !ask_to_move(fd, fd + fd / 2) && !ask_to_move(fd, fd + 1)) {
		leave(end);
		if (own_has(fd))
			ask_to_give(fd, fd + 1);
	}
	own_release();
	return below;
}

void own_forget(void)
{
	for (int fd = own_next(0); fd >= 0; fd = own_next((unsigned)fd + 1)) {
		__atomic_fetch_and(&bits[fd / 64], ~(1ull << fd % 64), __ATOMIC_RELAXED);
		sys_close(fd);
	}
	lowest = MOST;
	highest = 0;
}
