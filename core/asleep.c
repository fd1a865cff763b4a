/* asleep.c -- does a kernel thread of ours sleep, or does it wait for a CPU? */
#include <fcntl.h>
#include "asleep.h"
#include "log.h"
#include "pages.h"

#define MOST 64

static struct look {
	int tid, fd;		/* atomic; fd 0: none */
} looks[MOST] ANEW;

static unsigned next_given;	/* the row that gives way next where none is free */

/* The thread's row, or a free one. NULL: there is neither. */
static struct look *row_of(int tid)
{
	struct look *free = NULL;

	for (unsigned i = 0; i < MOST; i++) {
		if (!load_relaxed(&looks[i].fd))
			free = free ? free : &looks[i];
		else if (looks[i].tid == tid)
			return &looks[i];
	}
	return free;
}

static bool drop(int from, int to)
{
	for (unsigned i = 0; i < MOST; i++) {
		int fd = load_relaxed(&looks[i].fd);

		if (!fd || fd < from || fd >= to)
			continue;
		store_relaxed(&looks[i].fd, 0);
		own_close(fd);
		return true;
	}
	return false;
}

static void give_up(const struct look *l)
{
	own_take();
	int fd = load_relaxed(&l->fd);

	if (fd)
		drop(fd, fd + 1);
	own_release();
}

/* NULL: no descriptor is left. */
static struct look *look_at(int tid)
{
	struct look *l = row_of(tid);
	char path[48];

	if (!l) {	/* most are of threads that have ended; another's is opened again when it is wanted */
		l = &looks[next_given++ % MOST];
		give_up(l);
	}
	if (load_relaxed(&l->fd))
		return l;
	log_format(path, sizeof path, "/proc/self/task/%d/stat", tid);
	own_hold();
	int fd = own_add(sys_open(path, O_RDONLY | O_CLOEXEC, 0));

	l->tid = tid;
	store_release(&l->fd, fd > 0 ? fd : 0);
	own_drop();
	return fd > 0 ? l : NULL;
}

/* The third word, behind a name in brackets that may hold anything. '?': it cannot be read. */
static char state_of(const char *text, long n)
{
	long at = n - 1;

	while (at >= 0 && text[at] != ')')
		at--;
	return at >= 0 && at + 2 < n ? text[at + 2] : '?';
}

/* A row whose thread has ended gives way, and the question is put once more: its id may be another thread's by now. */
bool asleep(int tid, bool unknown)
{
	char text[64];		/* id, name and state fit; nothing behind them holds a bracket */
	long n = 0;

	for (int tries = 0; tries < 2 && n <= 0; tries++) {
		struct look *l = look_at(tid);

		if (!l)
			return unknown;
		n = SYS(__NR_pread64, load_relaxed(&l->fd), text, sizeof text, 0);
		if (n <= 0)
			give_up(l);
	}
	return n <= 0 ? unknown : state_of(text, n) != 'R';
}

static bool move(int fd, int least)
{
	(void)least;
	return drop(fd, fd + 1);	/* it is opened again when it is wanted */
}

const struct own_kind asleep_kind = {move, drop};
