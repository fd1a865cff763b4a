/* cost.c -- see cost.h */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compare/cost.h"

#define STACK 16384.0 /* bytes the kernel keeps for a thread's stack */

/* field -- the number behind the line's name in a file of /proc. */
static uint64_t field(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	size_t n = strlen(name);
	uint64_t value = 0;

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, n) && line[n] == ':')
			value += strtoull(line + n + 1, NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* own_time -- its clock runs in nanoseconds; stat's fields are in ticks. */
static double own_time(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* from_stat -- what only /proc/PID/stat tells: the time of children that were waited for. */
static void from_stat(pid_t pid, struct cost *c)
{
	char path[64], text[1024], *at;
	long user, system;
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2)
		return;
	c->cpu_s += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void add_tree(pid_t pid, bool memory, struct cost *c);

static void add_children(const char *path, bool memory, struct cost *c)
{
	FILE *f = fopen(path, "re");
	int child;

	while (f && fscanf(f, "%d", &child) == 1)
		add_tree(child, memory, c);
	if (f)
		fclose(f);
}

static void add_threads(pid_t pid, bool memory, struct cost *c)
{
	char path[64 + 256];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (*e->d_name == '.')
			continue;
		c->threads++;
		snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, e->d_name);
		add_children(path, memory, c);
	}
	if (d)
		closedir(d);
}

static void add_tree(pid_t pid, bool memory, struct cost *c)
{
	char path[64];

	c->cpu_s += own_time(pid);
	from_stat(pid, c);
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	c->peak += (double)field(path, "VmHWM") * 1024;
	if (memory)
		c->page_tables += (double)field(path, "VmPTE") * 1024;
	add_threads(pid, memory, c);
	if (!memory)
		return;
	c->kernel_stacks = (double)c->threads * STACK;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	c->pss += (double)field(path, "Pss") * 1024;
}

struct cost cost_of(pid_t root, bool memory)
{
	struct cost c = {0};

	add_tree(root, memory, &c);
	return c;
}
