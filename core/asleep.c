/* asleep.c -- does a kernel thread of ours sleep, or does it wait for a CPU? */
#include <fcntl.h>
#include "asleep.h"
#include "log.h"
#include "pages.h"

#define MOST 64

static struct look {
	int tid, fd;		/* atomic; fd 0: none */
} looks[MOST] ANEW;

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

static void forget(const struct look *l)
{
	own_take();
	drop(l->fd, l->fd + 1);
	own_release();
}

/* Nobody tells when a kernel thread ends, so rows are used again in turn once all of them are taken. */
static struct look *oldest(void)
{
	static unsigned turn;
	struct look *l = &looks[turn++ % MOST];

	forget(l);
	return l;
}

static struct look *look_at(int tid)
{
	struct look *free = NULL;
	char path[48];

	for (unsigned i = 0; i < MOST; i++) {
		if (!load_relaxed(&looks[i].fd))
			free = free ? free : &looks[i];
		else if (looks[i].tid == tid)
			return &looks[i];
	}
	if (!free)
		free = oldest();
	log_format(path, sizeof path, "/proc/self/task/%d/stat", tid);
	own_hold();
	int fd = own_add(sys_open(path, O_RDONLY | O_CLOEXEC, 0));

	free->tid = tid;
	store_release(&free->fd, fd > 0 ? fd : 0);
	own_drop();
	return fd > 0 ? free : NULL;
}

/* The third word, behind a name in brackets that may hold anything. '?': it cannot be read. */
static char state_of(const char *text, long n)
{
	long at = n - 1;

	while (at >= 0 && text[at] != ')')
		at--;
	return at >= 0 && at + 2 < n ? text[at + 2] : '?';
}

bool asleep(int tid, bool unknown)
{
	struct look *l = look_at(tid);
	char text[64];		/* id, name and state fit; nothing behind them holds a bracket */
	long n = l ? SYS(__NR_pread64, load_relaxed(&l->fd), text, sizeof text, 0) : -1;

	if (l && n <= 0)	/* the thread has ended */
		forget(l);
	return n <= 0 ? unknown : state_of(text, n) != 'R';
}

static bool move(int fd, int least)
{
	(void)least;
	return drop(fd, fd + 1);	/* it is opened again when it is wanted */
}

const struct own_kind asleep_kind = {move, drop};
