/* stat.c -- counters in a page that outlives the process */
#include <fcntl.h>
#include "stat.h"
#include "conf.h"
#include "log.h"
#include "pages.h"
#include "sys.h"

static struct stat_page own ANEW;
struct stat_page *stat_page = &own;
bool stat_unfiled ANEW;

static void expand(char *to, size_t n, const char *path)
{
	char *end = to + n - 12;

	while (*path && to < end) {
		if (path[0] == '%' && path[1] == 'p') {
			to += log_format(to, 12, "%d", (int)sys_getpid());
			path += 2;
		} else {
			*to++ = *path++;
		}
	}
	*to = 0;
}

static struct stat_page *map_file(const char *path)
{
	char name[4096];

	expand(name, sizeof name, path);
	/* Another process may have this file mapped: it keeps its own, we make a new one. */
	SYS(__NR_unlink, name);
	long fd = sys_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return NULL;
	long p = SYS(__NR_ftruncate, fd, sizeof(struct stat_page));

	if (p == 0)
		p = sys_mmap(NULL, sizeof(struct stat_page), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
	sys_close((int)fd);
	return p <= 0 && p > -4096 ? NULL : (struct stat_page *)p;
}

/* Most of it is zero, and stays a hole in the file. */
static void copy(struct stat_page *to, const struct stat_page *from)
{
	const uint64_t *word = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof *to / sizeof *word; i++)
		if (word[i])
			((uint64_t *)to)[i] = word[i];
}

static void use(struct stat_page *page)
{
	page->magic = STAT_MAGIC;
	page->size = sizeof *page;
	page->counters = STAT_COUNT;
	page->pid = (uint32_t)sys_getpid();
	stat_page = page;
}

int stat_open(const char *path)
{
	struct stat_page *page = *path ? map_file(path) : NULL;

	if (page)
		copy(page, stat_page);
	use(page ? page : stat_page);
	return *path && !page ? -EIO : 0;
}

static bool named_by_pid(const char *path)
{
	while (*path && !(path[0] == '%' && path[1] == 'p'))
		path++;
	return *path;
}

/* The page keeps its address: hubs point into it. */
void stat_fork(void)
{
	bool filed = stat_page != &own;

	if (filed && sys_mmap(stat_page, sizeof *stat_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) < 0)
		stat_page = &own;
	use(stat_page);
	stat_page->mode = STAT_ACTIVE;
	stat_unfiled = filed && named_by_pid(conf.stats);
}

void stat_forked(void)
{
	if (stat_page->pid == (uint32_t)sys_getpid())
		return;
	stat_fork();
	stat_page->mode = STAT_NATIVE;
	stat_settle();
}

void stat_file(void)
{
	stat_unfiled = false;
	struct stat_page *page = map_file(conf.stats);

	if (page) {
		copy(page, stat_page);
		sys_mremap(page, sizeof *page, sizeof *page, MREMAP_MAYMOVE | MREMAP_FIXED, stat_page);
	}
}

void stat_why(const char *text)
{
	if (!stat_page->why[0])
		log_format(stat_page->why, sizeof stat_page->why, "%s", text);
}

void stat_carrier_set(uint32_t tid, enum stat_carrier_kind kind)
{
	struct stat_carrier *row = stat_page->carriers;

	for (uint32_t i = 0; i < load_acquire(&stat_page->rows); i++)
		if (load_relaxed(&row[i].tid) == tid) {
			row[i].kind = kind;
			if (kind == CARRIER_NONE)
				store_release(&row[i].tid, 0);
			return;
		}
	if (kind == CARRIER_NONE)
		return;
	for (uint32_t i = 0; i < STAT_CARRIERS; i++)
		if (cas(&row[i].tid, 0, tid)) {
			row[i].kind = kind;
			for (uint32_t n = load_relaxed(&stat_page->rows); n <= i; n = load_relaxed(&stat_page->rows))
				cas(&stat_page->rows, n, i + 1);
			return;
		}
	stat_shared(carriers_unlisted, 1);
}

void stat_alive(int n)
{
	int64_t now = add_relaxed(&stat_page->alive, n), max = load_relaxed(&stat_page->alive_max);

	while (now > max && !__atomic_compare_exchange_n(&stat_page->alive_max, &max, now, true, __ATOMIC_RELAXED,
							  __ATOMIC_RELAXED))
		;
}
