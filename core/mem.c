/* mem.c -- memory of ours in sizes of powers of two and the halves between; and the string functions that the compiler calls
 *
 * A chunk holds blocks of one size and counts those in use. One that is wholly free goes back to the kernel unless it is the
 * only one with room: a million tasks leave nothing behind.
 */
#include "mem.h"
#include "lock.h"
#include "pages.h"

#define CLASSES	  15		/* 64, 96, 128, 192 … 8192 bytes; larger is mapped */
#define CHUNK	  (64 * 1024ul)	/* and its alignment */

struct block {
	struct block *next;
};

struct chunk {
	struct chunk *next, **prev;	/* among those of its class with room; prev NULL: it has none */
	struct block *free;
	uint32_t used, fresh;		/* blocks in use; offset of the first that was never given out */
	uint32_t size;
	uint16_t class, kind;
};

/* Chunks with a free block, a row a kind; under their locks. */
static struct lock locks[2][CLASSES] ANEW;
static struct chunk *kept[CLASSES], *anew[CLASSES] ANEW;

static struct chunk **room_of(enum pages_kind kind, unsigned class)
{
	return kind == PAGES_KEPT ? &kept[class] : &anew[class];
}

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

static void link_chunk(struct chunk *k)
{
	struct chunk **first = room_of(k->kind, k->class);

	k->next = *first;
	if (k->next)
		k->next->prev = &k->next;
	k->prev = first;
	*first = k;
}

static void unlink_chunk(struct chunk *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	k->prev = NULL;
}

static void describe(struct chunk *k, enum pages_kind kind, unsigned class)
{
	k->kind = (uint16_t)kind;
	k->class = (uint16_t)class;
	k->size = (uint32_t)class_size(class);
}

static struct chunk *chunk_new(enum pages_kind kind, unsigned class)
{
	struct chunk *k = pages_get(kind, CHUNK, CHUNK);

	if (!k)
		return NULL;
	describe(k, kind, class);
	k->fresh = (uint32_t)((sizeof *k + 63) & ~63ul);
	link_chunk(k);
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

static void *get(enum pages_kind kind, size_t n)
{
	unsigned i = class_of(n);
	bool clean = true;

	if (i == CLASSES)
		return pages_get(kind, n, PAGE);
	lock_take(&locks[kind][i]);
	struct chunk *k = *room_of(kind, i) ? *room_of(kind, i) : chunk_new(kind, i);
	void *p = k ? take(k, &clean) : NULL;

	lock_drop(&locks[kind][i]);
	if (!clean)
		memset(p, 0, n);
	return p;
}

void *mem_get(size_t n)
{
	return get(PAGES_KEPT, n);
}

void *mem_get_anew(size_t n)
{
	return get(PAGES_ANEW, n);
}

static struct chunk *chunk_of(void *p)
{
	return (struct chunk *)((uintptr_t)p & ~(CHUNK - 1));
}

void mem_put(void *p, size_t n)
{
	unsigned i = class_of(n);
	struct chunk *k = chunk_of(p);
	bool drop;

	if (!p)
		return;
	if (i == CLASSES) {
		pages_put(p, n);
		return;
	}
	struct lock *lock = &locks[k->kind][i];

	lock_take(lock);
	((struct block *)p)->next = k->free;
	k->free = p;
	if (!k->prev)
		link_chunk(k);
	drop = --k->used == 0 && (k->next || k->prev != room_of(k->kind, i));
	if (drop)
		unlink_chunk(k);
	lock_drop(lock);
	if (drop)
		pages_put(k, CHUNK);
}

void mem_claim(void *p, size_t n)
{
	struct chunk *k = chunk_of(p);

	pages_claim(k, CHUNK);
	memset(k, 0, sizeof *k);
	describe(k, PAGES_ANEW, class_of(n));
	k->fresh = CHUNK;
	k->used = 1;
}

void mem_lock_all(void)
{
	for (int i = 0; i < CLASSES; i++)
		lock_take(&locks[PAGES_KEPT][i]);
	pages_lock();
}

void mem_unlock_all(void)
{
	pages_unlock();
	for (int i = 0; i < CLASSES; i++)
		lock_drop(&locks[PAGES_KEPT][i]);
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
