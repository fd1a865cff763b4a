/* mem.c -- memory of ours in sizes of powers of two and the halves between; and the string functions that the compiler calls
 *
 * A chunk holds blocks of one size and counts those in use. One that is wholly free goes back to the kernel unless it is the
 * only one with room: a million tasks leave nothing behind.
 */
#include "mem.h"
#include "lock.h"
#include "sys.h"

#define CLASSES	  15		/* 64, 96, 128, 192 … 8192 bytes; larger is mapped */
#define CHUNK	  (64 * 1024ul)	/* and its alignment */

struct block {
	struct block *next;
};

struct chunk {
	struct chunk *next, **prev;	/* among those of its class with room; prev NULL: it has none */
	struct block *free;
	uint32_t used, fresh;		/* blocks in use; offset of the first that was never given out */
	uint32_t size, class;
};

static struct class {
	struct lock lock;
	struct chunk *room;	/* chunks with a free block, under lock */
} classes[CLASSES];

static size_t class_size(unsigned c)
{
	return (c & 1 ? 96ul : 64ul) << (c / 2);
}

static unsigned class_of(size_t n)
{
	unsigned c = 0;

	while (c < CLASSES && class_size(c) < n)
		c++;
	return c;
}

static void link_chunk(struct class *c, struct chunk *k)
{
	k->next = c->room;
	if (k->next)
		k->next->prev = &k->next;
	k->prev = &c->room;
	c->room = k;
}

static void unlink_chunk(struct chunk *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	k->prev = NULL;
}

/* A mapping aligned to its size: map twice as much, give back the ends. */
static void *map_aligned(size_t n)
{
	char *p = sys_map(2 * n), *at = (char *)(((uintptr_t)p + n - 1) & ~(n - 1));

	if (!p)
		return NULL;
	if (at > p)
		sys_munmap(p, (size_t)(at - p));
	if (at < p + n)
		sys_munmap(at + n, (size_t)(p + n - at));
	return at;
}

static struct chunk *chunk_new(struct class *c)
{
	struct chunk *k = map_aligned(CHUNK);

	if (!k)
		return NULL;
	k->class = (uint32_t)(c - classes);
	k->size = (uint32_t)class_size(k->class);
	k->fresh = (uint32_t)((sizeof *k + 63) & ~63ul);
	link_chunk(c, k);
	return k;
}

static void *take(struct chunk *k, bool *clean)
{
	struct block *b = k->free;

	*clean = !b;
	if (b) {
		k->free = b->next;
	} else {
		b = (struct block *)((char *)k + k->fresh);
		k->fresh += k->size;
	}
	k->used++;
	if (!k->free && k->fresh + k->size > CHUNK)
		unlink_chunk(k);
	return b;
}

void *mem_get(size_t n)
{
	unsigned i = class_of(n);
	bool clean = true;

	if (i == CLASSES)
		return sys_map(n);
	lock_take(&classes[i].lock);
	struct chunk *k = classes[i].room ? classes[i].room : chunk_new(&classes[i]);
	void *p = k ? take(k, &clean) : NULL;

	lock_drop(&classes[i].lock);
	if (!clean)
		memset(p, 0, n);
	return p;
}

void mem_put(void *p, size_t n)
{
	unsigned i = class_of(n);
	struct chunk *k = (struct chunk *)((uintptr_t)p & ~(CHUNK - 1));
	bool drop;

	if (!p)
		return;
	if (i == CLASSES) {
		sys_munmap(p, page_up(n));
		return;
	}
	lock_take(&classes[i].lock);
	((struct block *)p)->next = k->free;
	k->free = p;
	if (!k->prev)
		link_chunk(&classes[i], k);
	drop = --k->used == 0 && (k->next || k->prev != &classes[i].room);
	if (drop)
		unlink_chunk(k);
	lock_drop(&classes[i].lock);
	if (drop)
		sys_munmap(k, CHUNK);
}

void mem_lock_all(void)
{
	for (int i = 0; i < CLASSES; i++)
		lock_take(&classes[i].lock);
}

void mem_unlock_all(void)
{
	for (int i = 0; i < CLASSES; i++)
		lock_drop(&classes[i].lock);
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *r = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return r;
}

void *memmove(void *to, const void *from, size_t n)
{
	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	for (size_t i = n; i--;)
		((volatile char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *r = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return r;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
