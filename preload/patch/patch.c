/* patch.c -- redirecting the system calls of loaded objects to slots */
#include <sys/auxv.h>

#include "patch/body.h"
#include "patch/sitecache.h"
#include "pages.h"
#include "patch/patch.h"
#include "patch/trampoline.h"
#include "sys.h"
#include "patch/codewrite.h"

#define JUMP 5	/* bytes of a jump */
#define STUB 16 /* bytes of a jump to far away, rounded up */
#define STRETCH (32 * PAGE) /* as dear as a mapping */
#define STACK_MOST (1ul << 29) /* no stack is expected to grow larger */

/* A site of an object that is patched. */
struct record {
	uintptr_t start;
	int16_t slot;
	uint8_t old[JUMP];
};

/* An object that was looked at. */
struct patched {
	uintptr_t base, low, high; /* its identity: bias and executable segments */
	size_t stretch;		   /* of its text that may be taken with what is written, for each mapping less */
	const char *name;	   /* good while it is in the plan */
	bool stays;		   /* the loader does not tell of it */
	bool seen;		   /* by the plan in hand */
	bool pending;		   /* in the plan, not written */
	bool touched;		   /* jumps to its slots may have been written */
	uint32_t left;		   /* sites that are not redirected */
	uint32_t count, room;	   /* records */
	struct record *records;
	uintptr_t stubs; /* jumps to far slots, or 0 */
};

struct planned {
	struct site site;
	uint32_t object;
	int slot;
};

static struct {
	struct patched *objects;
	size_t count, room;
	struct planned *plan; /* by object, then by address */
	size_t planned, plan_room;
	size_t handed; /* so many slots of the plan are records' */
	struct patch_rules rules;
	bool was_refused;
	struct site refused;
	const char *refused_object;
} all; /* owner: who activates, later who holds the loader's lock */

/* Text while it is written: too much for a small stack. Owner: as above. */
static uint8_t page_copy[PAGE + JUMP] ANEW;

/* Makes room for one more of `size' bytes; at first `least' pages. Returns the array, or NULL. */
static void *grow(void *array, size_t count, size_t *room, size_t size, size_t least)
{
	size_t old = page_up(*room * size), more = old ? 2 * old : least * PAGE;

	if (count < *room)
		return array;
	void *p = pages_get(PAGES_KEPT, more, PAGE);

	if (!p)
		return NULL;
	if (array) {
		memcpy(p, array, count * size);
		pages_put(array, old);
	}
	*room = more / size;
	return p;
}

static bool is_needed(const struct site *s)
{
	return !all.rules.needed || all.rules.needed(s);
}

static int refuse(const struct site *s, const char *object)
{
	all.was_refused = true;
	all.refused = *s;
	all.refused_object = object;
	return -ENOTSUP;
}

/* A site that stays as it is. */
static int leave_site(struct patched *o, struct site *s, const char *reason)
{
	s->form = SITE_LEFT;
	s->reason = reason;
	o->left++;
	bool needed = is_needed(s);	/* who is asked takes note of it (activate.c) */

	return all.rules.strict && needed ? refuse(s, o->name) : 0;
}

static int plan_site(const struct site *found, void *arg)
{
	struct patched *o = arg;
	struct site s = *found;

	if (all.rules.useless && all.rules.useless(&s))
		return 0;
	if (s.form == SITE_LEFT)
		return s.sure ? leave_site(o, &s, s.reason) : 0;
	if (s.wide && is_needed(&s))
		return leave_site(o, &s, "in a function that uses wide vector registers");
	struct planned *plan = grow(all.plan, all.planned, &all.plan_room, sizeof *plan, 16);

	if (!plan)
		return -ENOMEM;
	all.plan = plan;
	all.plan[all.planned++] =
		(struct planned){.site = s, .object = (uint32_t)(o - all.objects), .slot = -1};
	return 0;
}

static void make_jump(uint8_t jump[JUMP], uintptr_t from, uintptr_t to)
{
	int32_t displacement = (int32_t)(to - (from + JUMP));

	jump[0] = 0xe9;
	__builtin_memcpy(jump + 1, &displacement, 4);
}

/* Where the jump of record i leads: into its slot, or to its stub. */
static uintptr_t jump_target(const struct patched *o, uint32_t i)
{
	return o->stubs ? o->stubs + (uintptr_t)i * STUB : trampoline_address(o->records[i].slot);
}

static bool is_written(const struct patched *o, uint32_t i)
{
	uint8_t jump[JUMP];

	make_jump(jump, o->records[i].start, jump_target(o, i));
	return !memcmp(jump, (const void *)o->records[i].start, JUMP);
}

/* Gives back what belongs to an object; its text is not touched. */
static void release(struct patched *o)
{
	for (uint32_t i = 0; i < o->count; i++)
		trampoline_put(o->records[i].slot);
	if (o->stubs)
		sys_munmap((void *)o->stubs, page_up((size_t)o->room * STUB));
	if (o->records)
		pages_put(o->records, o->room * sizeof *o->records);
	*o = (struct patched){0};
}

static void drop(struct patched *o)
{
	release(o);
	*o = all.objects[--all.count];
}

static struct patched *find(const struct object *o, uintptr_t low, uintptr_t high)
{
	for (size_t i = 0; i < all.count; i++) {
		struct patched *p = &all.objects[i];

		if (p->base != o->base || p->low != low || p->high != high)
			continue;
		if (!p->count || p->pending || is_written(p, 0))
			return p;
		release(p); /* another one has come in its place */
		return NULL;
	}
	return NULL;
}

int patch_add(const struct object *o, void *arg)
{
	uintptr_t low, high;

	(void)arg;
	int segments = object_text(o, &low, &high);
	struct patched *p = find(o, low, high);

	if (p) {
		p->seen = true;
		return 0;
	}
	p = grow(all.objects, all.count, &all.room, sizeof *p, 1);
	if (!p)
		return -ENOMEM;
	all.objects = p;
	p += all.count++;
	*p = (struct patched){.base = o->base,
			      .low = low,
			      .high = high,
			      .stretch = segments == 1 ? STRETCH : 0,
			      .name = o->name,
			      .stays = o->vdso,
			      .seen = true,
			      .pending = true};
	/* The loader is going to write to this text after it has told of it. */
	p->left = o->textrel;
	return o->textrel ? 0 : sitecache_sites(o, plan_site, p);
}

void patch_begin(const struct patch_rules *rules)
{
	patch_cancel();
	all.rules = *rules;
	all.was_refused = false;
	for (size_t i = 0; i < all.count; i++)
		all.objects[i].seen = false;
}

static void drop_plan(void)
{
	if (all.plan)
		pages_put(all.plan, all.plan_room * sizeof *all.plan);
	all.plan = NULL;
	all.planned = all.plan_room = all.handed = 0;
	bodies_done();
}

void patch_cancel(void)
{
	for (size_t i = all.handed; i < all.planned; i++)
		if (all.plan[i].slot >= 0)
			trampoline_put(all.plan[i].slot);
	drop_plan();
	for (size_t i = all.count; i--;)
		if (all.objects[i].pending)
			drop(&all.objects[i]);
}

bool patch_covers(uintptr_t pc)
{
	for (size_t i = 0; i < all.planned; i++)
		if (pc > all.plan[i].site.start &&
		    pc < all.plan[i].site.start + all.plan[i].site.length)
			return true;
	return false;
}

/* The vdso may lie above the stack of the process, which grows until it meets a mapping. */
static bool is_in_stacks_way(uintptr_t at, size_t size)
{
	uintptr_t top = page_up(getauxval(AT_EXECFN));

	return at < top && at + size > top - STACK_MOST;
}

/* Memory for stubs from which all of the range can be reached and back; below it by preference:
 * heaps grow above. */
static uintptr_t map_near(uintptr_t low, uintptr_t high, size_t size)
{
	for (int way = 0; way < 2; way++) {
		for (uintptr_t distance = 16 * PAGE; distance < INT32_MAX; distance *= 2) {
			uintptr_t at = way ? page_up(high) + distance
					   : (low & ~(PAGE - 1)) - distance - size;

			if ((!way && at > low) || at < 16 * PAGE ||
			    (way ? at + size - low : high - at) > INT32_MAX ||
			    is_in_stacks_way(at, size))
				continue;
			long p = sys_mmap((void *)at, size, PROT_READ | PROT_EXEC,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			if (p == (long)at)
				return at;
			if (p > 0) /* an older kernel, which took the address for a hint */
				sys_munmap((void *)p, size);
		}
	}
	return 0;
}

static int write_slots(int first, size_t count)
{
	return count ? codewrite_write(trampoline_address(first), page_copy, count * ARCH_SLOT_SIZE) : 0;
}

/* Takes all slots at once, before one of them is in use. */
static void take_slots(void)
{
	for (size_t i = 0; i < all.count; i++)
		if (all.objects[i].count)
			return;
	for (size_t i = all.planned; i--;)
		if (all.plan[i].slot >= 0) {
			trampoline_take(all.plan[i].slot);
			return;
		}
}

/* A site for which there is none is left. */
static void get_slots(void)
{
	for (size_t i = 0; i < all.planned; i++)
		all.plan[i].slot = trampoline_get();
	take_slots();
}

static int make_slot(struct planned *p, uint8_t *code)
{
	struct patched *o = &all.objects[p->object];

	if (p->slot < 0)
		return leave_site(o, &p->site, "all slots are in use");
	return trampoline_build(p->slot, &p->site, code) ? leave_site(o, &p->site, "something relative would be out of reach") : 0;
}

/* Makes the slots of the plan, and strikes out the sites that turn out to be immovable. Nothing
 * leads to the slots yet. */
static int make_slots(void)
{
	size_t kept = 0, count = 0; /* slots in page_copy, from `first' on */
	size_t i = 0;
	int first = 0, r = 0;

	get_slots();
	for (; i < all.planned && !r; i++) {
		struct planned p = all.plan[i];

		if (p.slot != first + (int)count || count == PAGE / ARCH_SLOT_SIZE) {
			r = write_slots(first, count);
			first = p.slot;
			count = 0;
		}
		if (!r)
			r = make_slot(&p, page_copy + count * ARCH_SLOT_SIZE);
		if (r || p.site.form == SITE_LEFT) {
			if (p.slot >= 0)
				trampoline_put(p.slot);
		} else {
			all.plan[kept++] = p;
			count++;
		}
	}
	for (; i < all.planned; i++)
		if (all.plan[i].slot >= 0)
			trampoline_put(all.plan[i].slot);
	all.planned = kept;
	return r ? r : write_slots(first, count);
}

/* Hands the plan's sites over to their objects. Nothing has been written. */
static int make_records(void)
{
	for (size_t i = 0; i < all.planned; i++) {
		const struct planned *p = &all.plan[i];
		struct patched *o = &all.objects[p->object];
		size_t room = o->room;
		struct record *r = grow(o->records, o->count, &room, sizeof *r, 1);

		if (!r)
			return -ENOMEM;
		o->records = r;
		o->room = (uint32_t)room;
		r += o->count;
		r->start = p->site.start;
		r->slot = (int16_t)p->slot;
		__builtin_memcpy(r->old, (const void *)r->start, JUMP);
		o->count++;
		all.handed++;
	}
	for (size_t i = 0; i < all.count; i++) {
		struct patched *o = &all.objects[i];

		if (!o->pending || !o->count || trampoline_reaches(o->low, o->high))
			continue;
		o->stubs = map_near(o->low, o->high, page_up((size_t)o->room * STUB));
		if (!o->stubs)
			return -ENOMEM;
	}
	return 0;
}

static int write_stubs(const struct patched *o)
{
	for (uint32_t i = 0, n; i < o->count; i += n) {
		n = o->count - i < PAGE / STUB ? o->count - i : PAGE / STUB;
		for (uint32_t k = 0; k < n; k++) {
			static const uint8_t jump[8] = {0xff, 0x25, 2,	  0,
							0,    0,    0xcc, 0xcc}; /* jmp *2(%rip) */
			uintptr_t slot = trampoline_address(o->records[i + k].slot);

			__builtin_memcpy(page_copy + k * STUB, jump, 8);
			__builtin_memcpy(page_copy + k * STUB + 8, &slot, 8);
		}
		int r = codewrite_write(o->stubs + (uintptr_t)i * STUB, page_copy, (size_t)n * STUB);

		if (r)
			return r;
	}
	return 0;
}

/* How many records from i on begin in the same page. */
static uint32_t same_page(const struct patched *o, uint32_t i)
{
	uintptr_t page = o->records[i].start / PAGE;
	uint32_t n = 1;

	while (i + n < o->count && o->records[i + n].start / PAGE == page)
		n++;
	return n;
}

/* Writes the jumps of an object, or what they replaced, page by page. */
static int write_jumps(const struct patched *o, bool back)
{
	for (uint32_t i = 0, n; i < o->count; i += n) {
		n = same_page(o, i);
		uintptr_t start = o->records[i].start, end = o->records[i + n - 1].start + JUMP;

		memcpy(page_copy, (const void *)start, end - start);
		for (uint32_t k = i; k < i + n; k++) {
			const struct record *r = &o->records[k];

			if (back)
				__builtin_memcpy(page_copy + (r->start - start), r->old, JUMP);
			else
				make_jump(page_copy + (r->start - start), r->start,
					  jump_target(o, k));
		}
		int r = codewrite_write(start, page_copy, end - start);

		if (r)
			return r;
	}
	return 0;
}

struct run {
	uintptr_t lo, hi; /* pages to be taken; none where both are the same */
};

static void take_run(const struct run *run)
{
	if (run->hi > run->lo)
		codewrite_take(run->lo, run->hi, run->hi - run->lo, PROT_READ | PROT_EXEC);
}

/* Adds the page of an address above the run to it, or takes what it has and begins anew: then there
 * are two mappings more, or one where the run has nothing yet. */
static void extend(struct run *run, uintptr_t at, size_t stretch)
{
	uintptr_t page = at & ~(PAGE - 1);

	if (page > run->hi + (run->hi > run->lo ? 2 * stretch : stretch)) {
		take_run(run);
		run->lo = page;
	}
	run->hi = page_up(at + JUMP);
}

/* Takes the pages of an object that are going to be written, and short stretches between them and to
 * the ends of its text: a fork pays for each mapping. The vdso stays the kernel's. */
static void take_pages(const struct patched *o)
{
	uintptr_t also = all.rules.also - o->low < o->high - o->low ? all.rules.also : 0;
	uintptr_t begin = o->low & ~(PAGE - 1), end = page_up(o->high);
	struct run run = {begin, begin};

	if (o->stays || (!o->count && !also))
		return;
	for (uint32_t i = 0; i < o->count; i++) {
		if (also && also < o->records[i].start) {
			extend(&run, also, o->stretch);
			also = 0;
		}
		extend(&run, o->records[i].start, o->stretch);
	}
	if (also)
		extend(&run, also, o->stretch);
	if (end <= run.hi + o->stretch)
		run.hi = end;
	take_run(&run);
}

static int write_all(void)
{
	int r = 0;

	for (size_t i = 0; i < all.count && !r; i++)
		if (all.objects[i].pending && all.objects[i].stubs)
			r = write_stubs(&all.objects[i]);
	for (size_t i = 0; i < all.count && !r; i++) {
		if (!all.objects[i].pending)
			continue;
		all.objects[i].touched = true;
		take_pages(&all.objects[i]);
		r = write_jumps(&all.objects[i], false);
	}
	return r;
}

/* What cannot be taken back stays patched: its slots are whole. */
static void take_back(void)
{
	for (size_t i = 0; i < all.count; i++) {
		struct patched *o = &all.objects[i];

		if (o->pending && o->touched && write_jumps(o, true))
			o->pending = false;
	}
}

int patch_write(void)
{
	codewrite_open();
	int r = make_slots();

	if (!r)
		r = make_records();
	if (!r) {
		r = write_all();
		if (r)
			take_back();
	}
	int closed = codewrite_close();

	if (!r && closed) {
		r = closed;
		codewrite_open();
		take_back();
		codewrite_close();
	}
	if (r) {
		patch_cancel();
		return r;
	}
	for (size_t i = 0; i < all.count; i++)
		all.objects[i].pending = false;
	drop_plan();
	return 0;
}

int patch_loaded(const struct patch_rules *rules, int (*add)(const struct object *o, void *arg))
{
	patch_begin(rules);
	int r = object_each(add ? add : patch_add, NULL);

	if (r) {
		patch_cancel();
		return r;
	}
	r = patch_write();
	for (size_t i = r ? 0 : all.count; i--;)
		if (!all.objects[i].seen && !all.objects[i].stays)
			drop(&all.objects[i]);
	return r;
}

int patch_undo(void)
{
	int r = 0;

	patch_cancel();
	codewrite_open();
	for (size_t i = all.count; i--;) {
		int failed = write_jumps(&all.objects[i], true);

		if (failed)
			r = failed;
		else
			drop(&all.objects[i]);
	}
	codewrite_close();
	return r;
}

int patch_sites(int *left)
{
	int sites = 0;

	*left = 0;
	for (size_t i = 0; i < all.count; i++) {
		sites += (int)all.objects[i].count;
		*left += (int)all.objects[i].left;
	}
	return sites;
}

const struct site *patch_refused(const char **object)
{
	*object = all.refused_object;
	return all.was_refused ? &all.refused : NULL;
}
