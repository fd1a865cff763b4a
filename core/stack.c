/* stack.c -- stacks of tasks, from slabs with guards */
#include "stack.h"
#include "lock.h"
#include "mem.h"
#include "pages.h"
#include "stat.h"
#include "sys.h"

#define REGION	   (2ul << 20)	/* of address space that one page table serves */
#define SLAB_FIRST (1ul << 20)
#define SLAB_MOST  (1ul << 30)
#define LARGE_SLOTS 4		/* the least in a slab whose slots are larger than a region */
#define SLABS	   512
#define WARM_BYTES (256ul << 20)	/* address space of free slots whose pages stay */
#define NO_SLOT	   UINT32_MAX
#define TOP_BYTES  4096ul		/* struct pthread and what lies beside it */
#define TOP_PAGES  8ul		/* of a stack that are used first */

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
	bool large;		/* a slot is larger than a region */
};

static struct slab slabs[SLABS] SPARSE;	/* all under `lock' */
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

static char *slot_at(const struct slab *s, uint32_t i)
{
	return s->base + (size_t)(s->slots - 1 - i) * s->slot;
}

/* The lowest pages of the slot become its guard: so many and no more. */
static int set_guard(struct slab *s, uint32_t i, size_t pages)
{
	char *slot = slot_at(s, i);
	uint32_t had = s->guard[i];
	int r = 0;

	if (pages > had)
		r = close_pages(slot, pages);
	else if (pages < had)
		r = open_pages(slot + pages * PAGE, had - pages);
	if (r == 0 && !pages && s->large)	/* nothing may have been opened below */
		r = (int)sys_mprotect(slot, PAGE, PROT_READ | PROT_WRITE);
	if (r == 0)
		s->guard[i] = (uint32_t)pages;
	return r;
}

/* How far below `end' the slots have to end, so that no region ends between a used top and the guard above it. */
static size_t shift_for(uintptr_t end, size_t slot, size_t slots)
{
	size_t shift = 0;

	for (size_t k = 1; k < slots; k++)
		if ((end - shift - k * slot) % REGION < TOP_PAGES * PAGE) {
			shift += TOP_PAGES * PAGE;
			k = 0;
		}
	return shift;
}

/* Address space for slots. Large ones have no access yet: open_slot. Returns where they begin. */
static char *map_slots(size_t slot, size_t slots, bool large, size_t *offset)
{
	size_t bytes = slot * slots, map = bytes + (large ? REGION : 0);
	long p = sys_mmap(NULL, map, large ? PROT_NONE : PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	sys_madvise((void *)p, map, MADV_NOHUGEPAGE);
	*offset = large ? REGION - shift_for((uintptr_t)p + map, slot, slots) : 0;
	return (char *)p + *offset;
}

/* A page table serves a region, and each makes every fork dearer. So slots are given out from the highest on, next to what was
 * mapped before; and of large ones a guard is written when the slot below it is opened, whose top is in the same region. Until
 * then what lies below the lowest open slot guards it. */
static int open_slot(struct slab *s, uint32_t i)
{
	char *at = slot_at(s, i), *end = at + s->slot;
	int r = 0;

	if (!s->large)
		return set_guard(s, i, 1);
	if (i && s->guard[i - 1]) {
		r = close_pages(end, 1);
		end += no_guard_advice ? 0 : PAGE;
	}
	if (r == 0)
		r = (int)sys_mprotect(at + PAGE, (size_t)(end - at) - PAGE, PROT_READ | PROT_WRITE);
	if (r == 0)
		s->guard[i] = 1;
	return r;
}

static struct slab *slab_new(size_t slot)
{
	bool large = slot >= REGION;
	size_t least = large && slot <= SLAB_MOST / LARGE_SLOTS ? LARGE_SLOTS * slot : slot, offset;
	uint32_t slots = (uint32_t)((next_bytes > least ? next_bytes : least) / slot);
	struct slab *s = NULL;

	for (unsigned i = 0; i < SLABS && !s; i++)
		if (!slabs[i].base)
			s = &slabs[i];
	if (!s)
		return NULL;
	char *base = map_slots(slot, slots, large, &offset);

	if (!base && slots > 1)	/* little address space is left */
		base = map_slots(slot, slots = 1, large, &offset);
	if (!base)
		return NULL;
	size_t bytes = slots * slot, map = bytes + (large ? REGION : 0);
	uint32_t *next = mem_get(slots * sizeof *next);
	uint32_t *guard = mem_get(slots * sizeof *guard);
	uint8_t *cold = mem_get(slots);

	if (!next || !cold || !guard) {
		mem_put(next, slots * sizeof *next);
		mem_put(cold, slots);
		mem_put(guard, slots * sizeof *guard);
		sys_munmap(base - offset, map);
		return NULL;
	}
	*s = (struct slab){base, map, slot, slots, 0, 0, NO_SLOT, next, cold, guard, offset, large};
	if (slab_count < (unsigned)(s - slabs) + 1)
		slab_count = (unsigned)(s - slabs) + 1;
	if (next_bytes < SLAB_MOST)
		next_bytes *= 2;
	if ((uintptr_t)base < low)
		store_relaxed(&low, (uintptr_t)base);
	if ((uintptr_t)base + bytes > high)
		store_relaxed(&high, (uintptr_t)base + bytes);
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

	if (i == s->slots || (i == s->fresh ? open_slot(s, i) : set_guard(s, i, 1)) < 0)
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
	return slot_at(s, i);
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

	*i = s ? s->slots - 1 - (uint32_t)(at / s->slot) : 0;
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
