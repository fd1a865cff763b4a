/* stack.c -- stacks of tasks, from slabs with guards */
#include "stack.h"
#include "lock.h"
#include "mem.h"
#include "pages.h"
#include "stat.h"
#include "sys.h"

#define REGION	   (2ul << 20)	/* of address space that one page table serves */
#define SLAB_FIRST (1ul << 20)
#define LARGE_SLOTS 4		/* of the first slab whose slots are larger than a region */
#define LARGE_MOST (1ul << 28)	/* of larger slots the first slab has one */
#define SLAB_MOST  (1ul << 36)	/* one slot that stays in use keeps a slab, and with it the page tables of all others */
#define SLOT_MOST  SLAB_MOST	/* a larger stack is left to the kernel */
#define WARM_BYTES (256ul << 20)	/* address space of free slots whose pages stay */
#define NO_SLOT	   UINT32_MAX
#define TOP_BYTES  4096ul		/* struct pthread and what lies beside it */
#define TOP_PAGES  8ul		/* of a stack that are used first */
#define SIZES	   64u		/* lists of slabs; a power of two */
#define RESTING	   256u		/* stacks of ended threads that wait for a sweep */

struct slab {
	struct slab *next_same, **prev_same;	/* in the list of its size; those with a free slot come first */
	char *base;
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

/* All under `lock'. */
static struct slab **slabs;	/* by address */
static unsigned slab_count, slab_room;
static struct slab *sized[SIZES];
static struct resting {
	char *lo;
	size_t n;
	uint32_t *state;
} resting[RESTING] SPARSE;
static unsigned resting_count;
static size_t warm_bytes;
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

/* Address space for slots. Large ones have no access yet: open_slot. Returns where they begin.
 *
 * A used top and the guard above it are to lie in one region: the highest slot of large ones ends where a region has begun with its
 * top. Where the size of a slot drifts against that of a region, nine slots of 512 straddle all the same. (Rejected: to move the
 * slots until none straddles. For most sizes there is no such place.) */
static char *map_slots(size_t slot, size_t slots, bool large, size_t *offset)
{
	size_t bytes = slot * slots, map = bytes + (large ? REGION : 0);
	long p = sys_mmap(NULL, map, large ? PROT_NONE : PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	sys_madvise((void *)p, map, MADV_NOHUGEPAGE);
	*offset = large ? REGION - ((uintptr_t)p + map - TOP_PAGES * PAGE) % REGION : 0;
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

static struct slab **sized_list(size_t slot)
{
	return &sized[(slot / PAGE * 0x9e3779b97f4a7c15ull) >> 58 & (SIZES - 1)];
}

static void same_unlink(struct slab *s)
{
	*s->prev_same = s->next_same;
	if (s->next_same)
		s->next_same->prev_same = s->prev_same;
}

static void same_link(struct slab *s, struct slab **at)
{
	s->next_same = *at;
	s->prev_same = at;
	if (*at)
		(*at)->prev_same = &s->next_same;
	*at = s;
}

static void same_append(struct slab *s)
{
	struct slab **at = sized_list(s->slot);

	while (*at)
		at = &(*at)->next_same;
	same_link(s, at);
}

/* How many slabs begin at this address or below it. */
static unsigned slabs_up_to(uintptr_t a)
{
	unsigned from = 0, to = slab_count;

	while (from < to) {
		unsigned middle = (from + to) / 2;

		if ((uintptr_t)slabs[middle]->base <= a)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool slabs_enlarge(void)
{
	unsigned room = slab_room ? 2 * slab_room : 16;
	struct slab **larger = mem_get(room * sizeof *larger);

	if (!larger)
		return false;
	memcpy(larger, slabs, slab_count * sizeof *slabs);
	mem_put(slabs, slab_room * sizeof *slabs);
	slabs = larger;
	slab_room = room;
	return true;
}

static void slabs_insert(struct slab *s)
{
	unsigned at = slabs_up_to((uintptr_t)s->base);

	memmove(slabs + at + 1, slabs + at, (slab_count - at) * sizeof *slabs);
	slabs[at] = s;
	slab_count++;
	if ((uintptr_t)s->base < low)
		store_relaxed(&low, (uintptr_t)s->base);
	if ((uintptr_t)s->base + s->slots * s->slot > high)
		store_relaxed(&high, (uintptr_t)s->base + s->slots * s->slot);
}

static void slab_release(struct slab *s)
{
	if (s->base)
		sys_munmap(s->base - s->map_offset, s->bytes);
	mem_put(s->next, s->slots * sizeof *s->next);
	mem_put(s->cold, s->slots);
	mem_put(s->guard, s->slots * sizeof *s->guard);
	mem_put(s, sizeof *s);
}

static struct slab *slab_make(size_t slot, uint32_t slots)
{
	struct slab *s = mem_get(sizeof *s);

	if (!s)
		return NULL;
	s->slot = slot;
	s->slots = slots;
	s->free = NO_SLOT;
	s->large = slot >= REGION;
	s->bytes = slot * slots + (s->large ? REGION : 0);
	s->next = mem_get(slots * sizeof *s->next);
	s->guard = mem_get(slots * sizeof *s->guard);
	s->cold = mem_get(slots);
	if (s->next && s->guard && s->cold)
		s->base = map_slots(slot, slots, s->large, &s->map_offset);
	if (s->base)
		return s;
	slab_release(s);
	return NULL;
}

/* As many slots as there are of this size, so that their slabs stay few; fewer where little memory or address space is left. */
static struct slab *slab_new(size_t slot)
{
	size_t first = slot < REGION ? SLAB_FIRST / slot : slot <= LARGE_MOST ? LARGE_SLOTS : 1, slots = 0;
	struct slab *s = NULL;

	if (slab_count == slab_room && !slabs_enlarge())
		return NULL;
	for (struct slab *same = *sized_list(slot); same; same = same->next_same)
		slots += same->slot == slot ? same->slots : 0;
	if (slots < first)
		slots = first;
	if (slots == 0)
		slots = 1;
	if (slots > SLAB_MOST / slot)
		slots = SLAB_MOST / slot;
	for (; !s && slots; slots /= 2)
		s = slab_make(slot, (uint32_t)slots);
	if (!s)
		return NULL;
	slabs_insert(s);
	same_link(s, sized_list(slot));
	stat_shared(stacks_mapped, s->bytes);
	return s;
}

static void slab_free(struct slab *s)
{
	unsigned at = slabs_up_to((uintptr_t)s->base) - 1, left = 0;

	memmove(slabs + at, slabs + at + 1, (--slab_count - at) * sizeof *slabs);
	same_unlink(s);
	for (unsigned i = 0; i < resting_count; i++)
		if ((uintptr_t)resting[i].lo - (uintptr_t)s->base >= s->slots * s->slot)
			resting[left++] = resting[i];
	resting_count = left;
	stat_shared(stacks_mapped, -(int64_t)s->bytes);
	slab_release(s);
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
	if (++s->used == s->slots) {
		same_unlink(s);
		same_append(s);
	}
	return slot_at(s, i);
}

void *stack_get(size_t size)
{
	bool warm = false;

	if (size < 4 * PAGE || size % PAGE || size > SLOT_MOST)
		return NULL;
	lock_take(&lock);
	struct slab *s = *sized_list(size);

	while (s && (s->slot != size || s->used == s->slots))
		s = s->next_same;
	if (!s)
		s = slab_new(size);
	char *p = s ? slab_take(s, &warm) : NULL;

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
	unsigned n = slabs_up_to(a);
	struct slab *s = n ? slabs[n - 1] : NULL;

	return s && a - (uintptr_t)s->base < s->slots * s->slot ? s : NULL;
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
		if (s->used == s->slots) {
			same_unlink(s);
			same_link(s, sized_list(s->slot));
		}
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

bool stack_rest(uint32_t *state, void *addr, size_t n)
{
	uint32_t i;
	size_t off;
	bool noted = true;

	if (__atomic_fetch_or(state, STACK_RESTS | STACK_NOTED, __ATOMIC_SEQ_CST) & STACK_NOTED)
		return true;
	lock_take(&lock);
	if (slot_of(addr, &i, &off) && off == 0 && resting_count < RESTING)
		resting[resting_count++] = (struct resting){addr, n, state};
	else
		noted = false;
	lock_drop(&lock);
	if (!noted)
		store_seq(state, 0);
	return noted;
}

void stack_resume(uint32_t *state)
{
	uint32_t was = __atomic_and_fetch(state, ~STACK_RESTS, __ATOMIC_SEQ_CST);

	for (unsigned n = 0; was & STACK_SWEPT; n++, was = load_acquire(state))
		lock_pause(n);
}

/* Under the lock, so that the slot stays what it is; a task that is to run there waits in stack_resume. */
static void sweep_one(const struct resting *r)
{
	uint32_t rests = STACK_RESTS | STACK_NOTED;

	if (cas(r->state, rests, STACK_SWEPT)) {
		sys_madvise(r->lo, r->n, MADV_DONTNEED);
		store_release(r->state, 0);
	} else {
		__atomic_fetch_and(r->state, ~STACK_NOTED, __ATOMIC_SEQ_CST);	/* it is in use, or was wiped */
	}
}

bool stack_resting(void)
{
	return load_relaxed(&resting_count) != 0;
}

bool stack_sweep(void)
{
	bool any;

	if (!load_relaxed(&resting_count))
		return false;
	do {
		lock_take(&lock);
		any = resting_count;
		if (any)
			sweep_one(&resting[--resting_count]);
		lock_drop(&lock);
	} while (any);
	return true;
}

void stack_lock(void)
{
	lock_take(&lock);
}

void stack_unlock(void)
{
	lock_drop(&lock);
}
