/* stack.c -- stacks of tasks, from slabs with guards */
#include "stack.h"
#include "lock.h"
#include "mem.h"
#include "pages.h"
#include "stat.h"
#include "sys.h"

#define SLAB_FIRST (1ul << 20)
#define SLAB_MOST  (1ul << 30)
#define SLABS	   512
#define WARM_BYTES (256ul << 20)	/* address space of free slots whose pages stay */
#define NO_SLOT	   UINT32_MAX
#define TOP_BYTES  4096ul		/* struct pthread and what lies beside it */

struct slab {
	char *base;		/* NULL: free row */
	size_t bytes, slot;	/* of the mapping; of one slot */
	uint32_t slots, fresh;	/* how many; the first that was never given out */
	uint32_t used;
	uint32_t free;		/* head of the free list through next[] */
	uint32_t *next;		/* a slot's successor in the free list; a used slot names itself */
	uint8_t *cold;		/* a free slot without pages */
	uint32_t *guard;	/* pages of a slot's guard */
	size_t map_offset;	/* base lies this far into the mapping */
};

static struct slab slabs[SLABS];	/* all under `lock' */
static unsigned slab_count;
static size_t warm_bytes;
static size_t next_bytes = SLAB_FIRST;
static bool no_guard_advice;
static struct lock lock ANEW;
static uintptr_t low = UINTPTR_MAX, high;	/* bounds of all slabs, atomic, only ever grow */

static int close_pages(char *at, size_t pages)
{
	if (!no_guard_advice) {
		long r = sys_madvise(at, pages * PAGE, MADV_GUARD_INSTALL);

		if (r != -EINVAL)
			return (int)r;
		no_guard_advice = true;
	}
	return (int)sys_mprotect(at, pages * PAGE, PROT_NONE);
}

static int open_pages(char *at, size_t pages)
{
	return (int)(no_guard_advice ? sys_mprotect(at, pages * PAGE, PROT_READ | PROT_WRITE) :
				       sys_madvise(at, pages * PAGE, MADV_GUARD_REMOVE));
}

/* The lowest pages of the slot become its guard: so many and no more. */
static int set_guard(struct slab *s, uint32_t i, size_t pages)
{
	char *slot = s->base + i * s->slot;
	uint32_t had = s->guard[i];
	int r = 0;

	if (pages > had)
		r = close_pages(slot, pages);
	else if (pages < had)
		r = open_pages(slot + pages * PAGE, had - pages);
	if (r == 0)
		s->guard[i] = (uint32_t)pages;
	return r;
}

static struct slab *slab_new(size_t slot)
{
	size_t bytes = next_bytes > slot ? next_bytes / slot * slot : slot;
	/* Slot boundaries in the middle of 2 MiB regions: a large stack then touches one page table instead of two. */
	size_t shift = slot >= (2ul << 20) ? 1ul << 20 : 0;
	struct slab *s = NULL;

	for (unsigned i = 0; i < SLABS && !s; i++)
		if (!slabs[i].base)
			s = &slabs[i];
	if (!s)
		return NULL;
	size_t map = bytes + (shift ? 4ul << 20 : 0);
	long p = sys_mmap(NULL, map, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	uint32_t slots = (uint32_t)(bytes / slot);
	uint32_t *next = mem_get(slots * sizeof *next);
	uint32_t *guard = mem_get(slots * sizeof *guard);
	uint8_t *cold = mem_get(slots);

	if (!next || !cold || !guard) {
		mem_put(next, slots * sizeof *next);
		mem_put(cold, slots);
		mem_put(guard, slots * sizeof *guard);
		sys_munmap((void *)p, map);
		return NULL;
	}
	uintptr_t base = shift ? (((uintptr_t)p + (2ul << 20) - 1) & ~((2ul << 20) - 1)) + shift : (uintptr_t)p;

	sys_madvise((void *)p, map, MADV_NOHUGEPAGE);
	*s = (struct slab){(char *)base, map, slot, slots, 0, 0, NO_SLOT, next, cold, guard, base - (uintptr_t)p};
	if (slab_count < (unsigned)(s - slabs) + 1)
		slab_count = (unsigned)(s - slabs) + 1;
	if (next_bytes < SLAB_MOST)
		next_bytes *= 2;
	if (base < low)
		store_relaxed(&low, base);
	if (base + bytes > high)
		store_relaxed(&high, base + bytes);
	stat_shared(stacks_mapped, map);
	return s;
}

static void slab_free(struct slab *s)
{
	sys_munmap(s->base - s->map_offset, s->bytes);
	mem_put(s->next, s->slots * sizeof *s->next);
	mem_put(s->cold, s->slots);
	mem_put(s->guard, s->slots * sizeof *s->guard);
	stat_shared(stacks_mapped, -(int64_t)s->bytes);
	s->base = NULL;
}

static char *slab_take(struct slab *s, bool *warm)
{
	uint32_t i = s->free != NO_SLOT ? s->free : s->fresh;

	if (i == s->slots || set_guard(s, i, 1) < 0)
		return NULL;
	if (i == s->fresh) {
		s->fresh++;
		*warm = false;
	} else {
		s->free = s->next[i];
		*warm = !s->cold[i];
		if (*warm)
			warm_bytes -= s->slot;
	}
	s->next[i] = i;
	s->used++;
	return s->base + i * s->slot;
}

void *stack_get(size_t size)
{
	char *p = NULL;
	bool warm = false;

	if (size < 4 * PAGE || size % PAGE || size > SLAB_MOST)
		return NULL;
	lock_take(&lock);
	for (unsigned i = 0; i < slab_count && !p; i++)
		if (slabs[i].base && slabs[i].slot == size)
			p = slab_take(&slabs[i], &warm);
	if (!p) {
		struct slab *s = slab_new(size);

		p = s ? slab_take(s, &warm) : NULL;
	}
	lock_drop(&lock);
	if (p && warm) {
		memset(p + size - TOP_BYTES, 0, TOP_BYTES);
		stat_shared(stacks_reused, 1);
	}
	return p;
}

static struct slab *slab_of(const void *addr)
{
	uintptr_t a = (uintptr_t)addr;

	if (a < load_relaxed(&low) || a >= load_relaxed(&high))
		return NULL;
	for (unsigned i = 0; i < slab_count; i++) {
		struct slab *s = &slabs[i];

		if (s->base && a - (uintptr_t)s->base < s->slots * s->slot)
			return s;
	}
	return NULL;
}

/* The slot that holds the address, and how far into it that lies. Under the lock. */
static struct slab *slot_of(const void *addr, uint32_t *i, size_t *off)
{
	struct slab *s = slab_of(addr);
	size_t at = s ? (size_t)((char *)addr - s->base) : 0;

	*i = s ? (uint32_t)(at / s->slot) : 0;
	*off = s ? at % s->slot : 0;
	return s;
}

bool stack_owns(const void *addr)
{
	uintptr_t a = (uintptr_t)addr;

	if (likely(a < load_relaxed(&low) || a >= load_relaxed(&high)))
		return false;
	lock_take(&lock);
	bool owns = slab_of(addr) != NULL;

	lock_drop(&lock);
	return owns;
}

bool stack_put(void *addr, size_t size)
{
	bool done = false;

	lock_take(&lock);
	uint32_t i;
	size_t off;
	struct slab *s = slot_of(addr, &i, &off);

	if (s && off == 0 && size == s->slot && i < s->fresh && s->next[i] == i) {
		bool cold = warm_bytes + s->slot > WARM_BYTES;

		if (cold)
			sys_madvise(addr, size, MADV_DONTNEED);
		else
			warm_bytes += s->slot;
		s->cold[i] = cold;
		s->next[i] = s->free;
		s->free = i;
		done = true;
		if (--s->used == 0 && cold && s->bytes > SLAB_FIRST) {
			for (uint32_t k = 0; k < s->fresh; k++)
				warm_bytes -= s->cold[k] ? 0 : s->slot;
			slab_free(s);
		}
	}
	lock_drop(&lock);
	return done;
}

int stack_guard(void *addr, size_t n)
{
	uint32_t i;
	size_t off;

	lock_take(&lock);
	struct slab *s = slot_of(addr, &i, &off);
	int r = s && off == 0 && n < s->slot ? set_guard(s, i, n / PAGE) : -EINVAL;

	lock_drop(&lock);
	return r;
}

int stack_open(void *addr, size_t n)
{
	uint32_t i;
	size_t off;

	lock_take(&lock);
	struct slab *s = slot_of(addr, &i, &off);
	size_t end = s ? s->guard[i] * PAGE : 0;
	bool all = s && off + n == s->slot, rest = s && off < end && off + n >= end;
	int r = all || rest ? set_guard(s, i, off / PAGE) : 0;

	lock_drop(&lock);
	return r;
}

void stack_lock(void)
{
	lock_take(&lock);
}

void stack_unlock(void)
{
	lock_drop(&lock);
}
