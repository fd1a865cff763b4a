/* pages.c -- whole pages of ours, and what the child of a fork finds of them */
#include "pages.h"
#include "lock.h"
#include "sys.h"

#define KEPT_PAGES 96u		/* so many of a kind lie together; what is more is mapped apart */
#define ANEW_PAGES 512u
#define AWAY	   (64ul << 30)

static char kept_pages[KEPT_PAGES * PAGE] __attribute__((section(".bss.kept")));	/* no page table but our variables' */
static uint64_t kept_used[(KEPT_PAGES + 63) / 64], anew_used[(ANEW_PAGES + 63) / 64] ANEW;	/* under their locks: a bit a page */
static struct lock locks[2] ANEW;
static bool wiped;		/* the kernel wipes what is anew */

static struct region {
	char *base;		/* NULL: not mapped yet */
	uint64_t *used;
	size_t pages;
} regions[] = {
	[PAGES_KEPT] = {kept_pages, kept_used, KEPT_PAGES},
	[PAGES_ANEW] = {NULL, anew_used, ANEW_PAGES},
};

extern char anew_start[], anew_end[];	/* made by anew.ld */

static bool lies_in(const struct region *r, const void *p)
{
	return r->base && (uintptr_t)p - (uintptr_t)r->base < r->pages * PAGE;
}

static bool is_free(const struct region *r, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		if (r->used[i / 64] >> (i % 64) & 1)
			return false;
	return true;
}

static void mark(struct region *r, size_t first, size_t n, bool used)
{
	for (size_t i = first; i < first + n; i++)
		if (used)
			r->used[i / 64] |= 1ull << (i % 64);
		else
			r->used[i / 64] &= ~(1ull << (i % 64));
}

/* Under the lock. NULL: there is no such room. */
static void *take(struct region *r, size_t n, size_t align)
{
	for (size_t i = 0; r->base && i + n <= r->pages; i++) {
		char *p = r->base + i * PAGE;

		if ((uintptr_t)p & (align - 1) || !is_free(r, i, n))
			continue;
		mark(r, i, n, true);
		return p;
	}
	return NULL;
}

/* Aligned by mapping more and giving back the ends. */
static void *map_apart(enum pages_kind kind, size_t n, size_t align)
{
	size_t over = n + align - PAGE;
	char *p = sys_map(over), *at = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));

	if (!p)
		return NULL;
	if (at > p)
		sys_munmap(p, (size_t)(at - p));
	if (at + n < p + over)
		sys_munmap(at + n, (size_t)(p + over - (at + n)));
	if (kind == PAGES_ANEW)
		sys_madvise(at, n, MADV_WIPEONFORK);
	return at;
}

/* With the first pages that are anew the rest of what is anew is marked. */
static void start(struct region *r)
{
	/* Away from the libraries: what is mapped next shares their page tables, which are copied. */
	long p = sys_mmap((void *)((uintptr_t)anew_start - AWAY), r->pages * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p < 0 && p > -4096)
		return;
	wiped = sys_madvise(anew_start, (size_t)(anew_end - anew_start), MADV_WIPEONFORK) == 0 &&
		sys_madvise((void *)p, r->pages * PAGE, MADV_WIPEONFORK) == 0;
	r->base = (char *)p;
}

void *pages_get(enum pages_kind kind, size_t n, size_t align)
{
	n = page_up(n);
	lock_take(&locks[kind]);
	if (unlikely(!regions[kind].base))
		start(&regions[kind]);
	void *p = take(&regions[kind], n / PAGE, align);

	lock_drop(&locks[kind]);
	return p ? p : map_apart(kind, n, align);
}

void pages_put(void *p, size_t n)
{
	enum pages_kind kind = lies_in(&regions[PAGES_KEPT], p) ? PAGES_KEPT : PAGES_ANEW;
	struct region *r = &regions[kind];

	n = page_up(n);
	if (!lies_in(r, p)) {
		sys_munmap(p, n);
		return;
	}
	if (sys_madvise(p, n, MADV_DONTNEED) < 0)	/* it is locked */
		memset(p, 0, n);
	lock_take(&locks[kind]);
	mark(r, (size_t)((char *)p - r->base) / PAGE, n / PAGE, false);
	lock_drop(&locks[kind]);
}

void pages_lock(void)
{
	lock_take(&locks[PAGES_KEPT]);
}

void pages_unlock(void)
{
	lock_drop(&locks[PAGES_KEPT]);
}

void pages_child(void)
{
	struct region *r = &regions[PAGES_ANEW];

	if (wiped || !r->base)
		return;
	sys_madvise(anew_start, (size_t)(anew_end - anew_start), MADV_DONTNEED);
	sys_madvise(r->base, r->pages * PAGE, MADV_DONTNEED);
}

void pages_claim(void *p, size_t n)
{
	struct region *r = &regions[PAGES_ANEW];

	if (lies_in(r, p))
		mark(r, (size_t)((char *)p - r->base) / PAGE, page_up(n) / PAGE, true);
}
