/* blocked.c -- see blocked.h */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare/blocked.h"
#include "child.h"
#include "stat.h"
#include "compare/counters.h"
#include "uapi.h"

#define PERIOD_NS 10000000
#define AT_ONCE	  32  /* carriers of a process in one look */
#define CALLS	  512 /* numbers of system calls, and more */

static const char *const names[CALLS] = {
#define OURS(name, handler)	    [__NR_##name] = #name,
#define KERNEL(name, reason)	    [__NR_##name] = #name,
#define NEWER(name, number, reason) [number] = #name,
#include "start/calls.def"
#undef OURS
#undef KERNEL
#undef NEWER
};

static char directory[64];
static uint64_t looks, blocked[CALLS];
static unsigned turn;

const char *blocked_call(long number)
{
	return number >= 0 && number < CALLS && names[number] ? names[number] : "";
}

/* first_word -- of what stands behind the last `after' in a file; "" for none. */
static void first_word(unsigned pid, unsigned tid, const char *file, char after, char to[24])
{
	char path[80], text[512], *at = text;
	ssize_t n;
	int fd;

	*to = 0;
	snprintf(path, sizeof path, "/proc/%u/task/%u/%s", pid, tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	if (after)
		at = strrchr(text, after);
	if (at && sscanf(at + (after != 0), "%23s", to) != 1)
		*to = 0;
}

long blocked_sleeps_in(unsigned pid, unsigned tid)
{
	char call[24], state[24], *end;
	long number;

	first_word(pid, tid, "syscall", 0, call);
	number = strtol(call, &end, 10);
	if (end == call || *end || number < 0)
		return -1;
	first_word(pid, tid, "stat", ')', state);
	return *state == 'S' || *state == 'D' ? number : -1;
}

/* read_page -- without the counters. */
static bool read_page(const char *path, struct stat_page *p)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const size_t n = offsetof(struct stat_page, count);
	bool good = fd >= 0 && read(fd, p, n) == (ssize_t)n && p->magic == STAT_MAGIC && p->mode == STAT_ACTIVE;

	if (fd >= 0)
		close(fd);
	return good && p->rows <= STAT_CARRIERS;
}

/* look_at -- the carriers of one process; of many, others each time. One that became something else meanwhile is not counted. */
static void look_at(const char *path)
{
	static struct stat_page before, after;
	unsigned seen = 0;

	if (!read_page(path, &before))
		return;
	for (uint32_t k = 0; k < before.rows && seen < AT_ONCE; k++) {
		uint32_t i = (k + turn * AT_ONCE) % before.rows;
		const struct stat_carrier *c = &before.carriers[i];

		if (!c->tid || (c->kind != CARRIER_HUB && c->kind != CARRIER_DETACHED && c->kind != CARRIER_SPARE))
			continue;
		long call = blocked_sleeps_in(before.pid, c->tid);

		seen++;
		if (call == __NR_futex && c->kind == CARRIER_SPARE)
			continue;
		bool odd = call >= 0 && call != __NR_epoll_pwait2;

		if (odd && (!read_page(path, &after) || memcmp(&after.carriers[i], c, sizeof *c)))
			continue;
		looks++;
		if (odd && call < CALLS)
			blocked[call]++;
	}
}

static void look(void *arg)
{
	char path[sizeof directory + 300];
	struct dirent *e;
	DIR *d = opendir(directory);

	for (turn++; d && (e = readdir(d));) {
		if (!counters_file(e->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
		look_at(path);
	}
	if (d)
		closedir(d);
}

void blocked_watch(const char *dir)
{
	snprintf(directory, sizeof directory, "%s", dir);
	looks = 0;
	memset(blocked, 0, sizeof blocked);
	child_every(PERIOD_NS, look, NULL);
}

void blocked_end(struct outcome_looks *to)
{
	long most = 0;

	child_every(0, NULL, NULL);
	*to = (struct outcome_looks){.looks = looks};
	for (long i = 0; i < CALLS; i++) {
		to->blocked += blocked[i];
		if (blocked[i] > blocked[most])
			most = i;
	}
	if (to->blocked)
		snprintf(to->in, sizeof to->in, "%s", *blocked_call(most) ? blocked_call(most) : "a call that has no name");
}
