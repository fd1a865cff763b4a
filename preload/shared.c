/* shared.c -- which memory may be shared with other processes */
#include <fcntl.h>
#include "pages.h"
#include "shared.h"
#include "own.h"
#include "stack.h"

#define RANGES 512

static struct range {
	uintptr_t lo, hi;
} ranges[RANGES] SPARSE;	/* under lock */
static unsigned count;
static bool overflow, scanned;
bool shared_guessed;
static struct lock lock ANEW;

static void add(uintptr_t lo, uintptr_t hi)
{
	for (unsigned i = 0; i < count; i++)
		if (lo >= ranges[i].lo && hi <= ranges[i].hi)
			return;
	if (count == RANGES)
		overflow = true;
	else
		ranges[count++] = (struct range){lo, hi};
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
	uintptr_t a = (uintptr_t)addr;
	bool found;

	if (stack_owns(addr)) /* a join, most often */
		return false;
	if (unlikely(!load_relaxed(&scanned)) && !scan()) {
		store_seq(&shared_guessed, true);
		return true;
	}
	lock_take(&lock);
	found = overflow;
	for (unsigned i = 0; i < count && !found; i++)
		found = a >= ranges[i].lo && a < ranges[i].hi;
	lock_drop(&lock);
	return found;
}

void shared_add(uintptr_t lo, size_t n)
{
	lock_take(&lock);
	add(lo, lo + page_up(n));
	lock_drop(&lock);
}

long shared_shmat(struct task *t, struct arch_frame *f)
{
	long p = SYS(__NR_shmat, ARG1(f), ARG2(f), ARG3(f));

	if (p > 0 || p < -4095) {	/* how large it is does not matter much: the next mapping is not far */
		lock_take(&lock);
		scanned = false;
		lock_drop(&lock);
	}
	return p;
}

long shared_mremap(struct task *t, struct arch_frame *f)
{
	bool was = shared_memory((void *)ARG1(f));
	long p = gate_same(t, f);

	if (was && (p > 0 || p < -4095))
		shared_add((uintptr_t)p, ARG3(f));
	return p;
}
