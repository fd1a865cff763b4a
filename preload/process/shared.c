/* shared.c -- which memory may be shared with other processes */
#include <fcntl.h>
#include "mem.h"
#include "pages.h"
#include "process/shared.h"
#include "own.h"
#include "stack.h"

#define SPARE 64	/* ranges that there is room for at any time, for calls that are under way */

static struct range {
	uintptr_t lo, hi;
} *ranges;		/* under lock, like all that follows: ascending, and apart from one another */
static unsigned count, room;
static bool overflow, scanned;
bool shared_guessed;
static struct lock lock ANEW;

static bool grow(unsigned most)
{
	struct range *more = most <= room ? NULL : mem_get(most * sizeof *more);

	if (!more)
		return most <= room;
	memcpy(more, ranges, count * sizeof *more);
	mem_put(ranges, room * sizeof *ranges);
	ranges = more;
	room = most;
	return true;
}

/* The first range that ends at `at' or above. */
static unsigned find(uintptr_t at)
{
	unsigned lo = 0, hi = count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (ranges[mid].hi < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Put n ranges in the place of those from `first' to before `last'. */
static void replace(unsigned first, unsigned last, const struct range *by, unsigned n)
{
	if (count - (last - first) + n > room && !grow(2 * room + SPARE)) {
		overflow = true;	/* all memory counts as shared from here on */
		return;
	}
	memmove(ranges + first + n, ranges + last, (count - last) * sizeof *ranges);
	memcpy(ranges + first, by, n * sizeof *ranges);
	count = count - (last - first) + n;
}

static void add(uintptr_t lo, uintptr_t hi)
{
	unsigned first = find(lo), last = first;

	for (; last < count && ranges[last].lo <= hi; last++) {
		lo = lo < ranges[last].lo ? lo : ranges[last].lo;
		hi = hi > ranges[last].hi ? hi : ranges[last].hi;
	}
	replace(first, last, &(struct range){lo, hi}, 1);
}

/* Without memory for the rests it stays noted, which does no harm. */
static void prune(uintptr_t lo, uintptr_t hi)
{
	unsigned first = find(lo + 1), last = first, n = 0;
	struct range rest[2];

	if (count == room && !grow(2 * room + SPARE))
		return;
	for (; last < count && ranges[last].lo < hi; last++) {
		if (ranges[last].lo < lo)
			rest[n++] = (struct range){ranges[last].lo, lo};
		if (ranges[last].hi > hi)
			rest[n++] = (struct range){hi, ranges[last].hi};
	}
	if (last > first)
		replace(first, last, rest, n);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lines of /proc/self/maps, a byte at a time: "lo-hi perms …". */
struct scan {
	uintptr_t word[2];
	int field, at;
	bool shared;
};

static void take(struct scan *s, char c)
{
	if (c == '\n') {
		if (s->shared)
			add(s->word[0], s->word[1]);
		*s = (struct scan){0};
	} else if (s->field < 2 && digit(c) >= 0) {
		s->word[s->field] = s->word[s->field] << 4 | (unsigned)digit(c);
	} else if (s->field < 2) {
		s->field++;
	} else if (s->field == 2 && s->at++ == 3) {
		s->shared = c == 's';
		s->field = 3;
	}
}

static long open_maps(void)
{
	return sys_open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC, 0);
}

/* False: nothing is known, as there is no descriptor to ask with. */
static bool scan(void)
{
	static bool before;		/* under lock */
	char buf[1024];
	struct scan s = {0};
	long fd = open_maps(), n;

	if (fd == -EMFILE && own_leave(own_moves()) == OWN_ROOM)
		fd = open_maps();
	lock_take(&lock);
	if (fd >= 0)
		count = 0;
	while (fd >= 0 && (n = sys_read((int)fd, buf, sizeof buf)) > 0)
		for (long i = 0; i < n; i++)
			take(&s, buf[i]);
	scanned = before |= fd != -EMFILE;
	overflow |= fd < 0 && fd != -EMFILE;
	lock_drop(&lock);
	if (fd >= 0)
		sys_close((int)fd);
	return scanned;
}

bool shared_memory(const void *addr)
{
	bool found;

	if (stack_owns(addr)) /* a join, most often */
		return false;
	if (unlikely(!load_relaxed(&scanned)) && !scan()) {
		store_seq(&shared_guessed, true);
		return true;
	}
	lock_take(&lock);
	unsigned at = find((uintptr_t)addr + 1);

	found = overflow || (at < count && (uintptr_t)addr >= ranges[at].lo);
	lock_drop(&lock);
	return found;
}

bool shared_any(void)
{
	return load_seq(&count) || load_relaxed(&overflow);
}

bool shared_room(void)
{
	lock_take(&lock);
	bool is_room = count + SPARE <= room || grow(2 * room + 2 * SPARE);

	lock_drop(&lock);
	return is_room;
}

void shared_add(uintptr_t lo, size_t n)
{
	lock_take(&lock);
	add(lo, lo + page_up(n));
	lock_drop(&lock);
}

static bool shared_remove(uintptr_t lo, size_t n)
{
	if (!load_relaxed(&count) || !n || lo % PAGE || lo + page_up(n) < lo)
		return false;
	lock_take(&lock);
	unsigned at = find(lo + 1);
	bool any = at < count && ranges[at].lo < lo + page_up(n);

	if (any)
		prune(lo, lo + page_up(n));
	lock_drop(&lock);
	return any;
}

void shared_hold(void)
{
	lock_take(&lock);
}

void shared_drop(void)
{
	lock_drop(&lock);
}

static void forget(void)
{
	lock_take(&lock);
	scanned = false;
	lock_drop(&lock);
}

/* How large a segment is only the maps tell: they are read anew at the next question. */
long shared_shmat(struct task *t, struct arch_frame *f)
{
	if (!shared_room())
		return -ENOMEM;
	long p = SYS(__NR_shmat, ARG1(f), ARG2(f), ARG3(f));

	if (p > 0 || p < -4095)
		forget();
	return p;
}

long shared_shmdt(struct task *t, struct arch_frame *f)
{
	long r = SYS(__NR_shmdt, ARG1(f));

	if (r == 0)
		forget();
	return r;
}

/* Ranges are taken out before the call that ends them, as another thread may map there as soon as it is done; where it fails
 * they are put back. */
long shared_munmap(uintptr_t lo, size_t n)
{
	if (likely(!shared_remove(lo, n)))
		return GATE_NATIVE;
	long r = SYS(__NR_munmap, lo, n);

	if (r < 0)
		shared_add(lo, n);
	return r;
}

long shared_mmap_over(struct arch_frame *f)
{
	if (likely(!shared_remove(ARG1(f), ARG2(f))))
		return GATE_NATIVE;
	long at = SYS(__NR_mmap, ARG1(f), ARG2(f), ARG3(f), ARG4(f), ARG5(f), ARG6(f));

	if (at < 0 && at > -4096)
		shared_add(ARG1(f), ARG2(f));
	return at;
}

/* What may move is not in use meanwhile; what grows where it is may be. */
long shared_mremap(struct task *t, struct arch_frame *f)
{
	bool was = shared_memory((void *)ARG1(f)), moves = (ARG4(f) & (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) == MREMAP_MAYMOVE;

	if (was && !shared_room())
		return -ENOMEM;
	bool from = was && moves && shared_remove(ARG1(f), ARG2(f));
	bool into = ARG4(f) & MREMAP_FIXED && shared_remove(ARG5(f), ARG3(f));
	long p = gate_same(t, f);

	if (p < 0 && p > -4096) {
		if (from)
			shared_add(ARG1(f), ARG2(f));
		if (into)
			shared_add(ARG5(f), ARG3(f));
	} else if (was) {
		shared_add((uintptr_t)p, ARG3(f));
	}
	return p;
}
