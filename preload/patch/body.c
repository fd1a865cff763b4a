/* body.c -- the functions of an object that hold a pair of bytes `syscall', decoded */
#include "patch/body.h"
#include "patch/scan.h"
#include "patch/insn.h"
#include "sys.h"

#define TABLES 64   /* places in a function where a jump table may be named */
#define MERGE  32   /* bytes between two FDEs of a function */
#define LARGE  1024 /* bytes before the first pair of a function worth a look before it is decoded */

/* A function in hand. */
struct reader {
	struct bodies *all;
	struct body *body;
	uintptr_t tables[TABLES]; /* what may be its jump tables */
	size_t tables_count;
};

/* Pairs, then bits of `near', then bodies. Kept from one object to the next. */
static struct {
	char *at;
	size_t size;
} memory;

/* Makes the memory at least so large. */
static int reserve(size_t size)
{
	size_t more = memory.size ? memory.size : 64 * PAGE;

	while (more < size)
		more *= 2;
	if (more == memory.size)
		return 0;
	long p = memory.size ? sys_mremap(memory.at, memory.size, more, MREMAP_MAYMOVE, NULL)
			     : (long)sys_map(more);

	if (p <= 0)
		return -ENOMEM;
	memory.at = (char *)p;
	memory.size = more;
	return 0;
}

static int add_pair(uintptr_t at, void *bodies)
{
	struct bodies *s = bodies;

	if (reserve((s->pairs_count + 1) * sizeof *s->pairs))
		return -ENOMEM;
	s->pairs = (struct pair *)memory.at;
	s->pairs[s->pairs_count++] = (struct pair){.at = at};
	return 0;
}

/* -- branches -- */

/* The first pair whose words do not end before this address. */
static uint32_t first_pair(const struct bodies *s, uintptr_t at)
{
	uint32_t low = 0, count = s->pairs_count;

	while (count) {
		uint32_t half = (count + 1) / 2;

		low += s->pairs[low + half - 1].at + PAIR_BEHIND < at ? half : 0;
		count -= half;
	}
	return low;
}

static void note_near(uintptr_t at, void *bodies)
{
	struct bodies *s = bodies;

	for (uint32_t i = first_pair(s, at); i < s->pairs_count && s->pairs[i].at <= at + PAIR_BEFORE; i++)
		s->pairs[i].targets |= pair_bit(&s->pairs[i], at);
}

static void note_target(struct bodies *s, uintptr_t at)
{
	if (near_is(&s->near, at))
		note_near(at, s);
}

static int32_t int32_at(uintptr_t at)
{
	int32_t v;

	__builtin_memcpy(&v, (const void *)at, sizeof v);
	return v;
}

/* A jump table holds offsets from itself, or addresses in code that is not position-independent.
 * Some of its entries may lead to the function's cold half. */
static void note_table(struct bodies *s, uintptr_t table, size_t size)
{
	struct object_load l = object_load_at(s->object, table);

	if (!l.end || l.flags & PF_X)
		return;
	for (uintptr_t p = table; p + size <= l.end; p += size) {
		uintptr_t at = size == 4 ? table + (uintptr_t)(intptr_t)int32_at(p)
					 : *(const uintptr_t *)p;

		if (at < s->near.low || at >= s->near.high)
			return;
		note_target(s, at);
	}
}

static void note_tables(struct reader *r)
{
	while (r->tables_count) {
		uintptr_t table = r->tables[--r->tables_count];

		note_table(r->all, table, 4);
		if (table % 8 == 0)
			note_table(r->all, table, 8);
	}
}

/* Whether the function jumps through tables is known at its end only. */
static void keep_table(struct reader *r, uintptr_t at, const struct insn *in)
{
	if (in->flags & INSN_RIP && *(const uint8_t *)(at + in->disp - 2) != 0x8d) /* lea */
		return;
	if (r->tables_count == TABLES)
		note_tables(r);
	r->tables[r->tables_count++] = in->target;
}

/* A short jump: those of 32 bits are searched for in all of the text. */
static void note_short(struct reader *r, uintptr_t target)
{
	const struct body *b = r->body;

	if (b->last - b->first > 4) {
		note_target(r->all, target);
		return;
	}
	for (uint32_t i = b->first; i < b->last; i++)
		r->all->pairs[i].targets |= pair_bit(&r->all->pairs[i], target);
}

/* True for an entry of a procedure linkage table; one FDE describes the whole table. */
static bool is_linkage(uintptr_t at, uintptr_t end)
{
	struct insn in;

	for (int i = 0; i < 2 && at < end; i++, at += in.length) {
		if (insn_decode(at, end - at, &in))
			return false;
		if (in.flags & INSN_INDIRECT)
			return true;
	}
	return false;
}

static bool leads_into_another(const struct reader *r, uintptr_t target)
{
	struct function f;

	if (target >= r->body->range.start && target < r->body->range.end)
		return false;
	return !object_function(r->all->object, target, &f) && f.start != target &&
	       !is_linkage(target, f.end);
}

/* -- instructions -- */

/* An instruction begins at `at', which pair `next' or one behind it is to be told of; the top bit of
 * `starts' stands for it, those below for the bytes before. Returns the first pair that is to be
 * told of later ones. */
static uint32_t note_starts(struct reader *r, uint32_t next, uintptr_t at, uint64_t starts)
{
	struct body *b = r->body;
	struct pair *pairs = r->all->pairs;

	while (next < b->last && pairs[next].at + PAIR_BEHIND < at)
		next++;
	for (uint32_t i = next; i < b->last && pairs[i].at <= at; i++) {
		pairs[i].starts |= starts >> (PAIR_BEHIND - (at - pairs[i].at));
		b->real |= pairs[i].at == at;
	}
	return next;
}

/* Most instructions are of no interest but for their length and flags. */
static inline bool is_of_interest(uintptr_t at, uint32_t sum)
{
	if (sum & OPCODE_FLAGS(INSN_RIP)) /* only lea can name a table: it ends in the displacement */
		return ((const uint8_t *)at)[(sum & OPCODE_LENGTH) - 6] == 0x8d;
	return !sum || sum & OPCODE_FLAGS(INSN_JUMP | INSN_INDEXED);
}

/* One that leads elsewhere, names a table, or is for decoder.h; *sum is what opcode_look gave, and is
 * filled in. */
static int look_closer(struct reader *r, uintptr_t at, uint32_t *sum)
{
	struct insn in;

	if (*sum & OPCODE_FLAGS(INSN_JUMP)) {
		in.flags = INSN_JUMP;
		in.length = *sum & OPCODE_LENGTH;
		in.target = opcode_target(at, in.length);
	} else if (insn_decode(at, r->body->limit - at, &in)) {
		return -EILSEQ;
	} else {
		*sum = OPCODE_FLAGS(in.flags) + in.length;
	}
	if (in.flags & INSN_JUMP) {
		if (in.length < 5)
			note_short(r, in.target);
		r->body->partial |= leads_into_another(r, in.target);
	}
	if (in.flags & (INSN_RIP | INSN_INDEXED))
		keep_table(r, at, &in);
	return 0;
}

/* Stops where it has seen that no pair is an instruction. */
static void decode_body(struct bodies *s, struct body *b)
{
	struct reader r = {.all = s, .body = b};
	uint32_t next = b->first, sum;
	uintptr_t at, due = s->pairs[next].at; /* pair `next' is to be told */
	uint64_t starts = 0;
	unsigned flags = 0;

	for (at = b->range.start; at < b->range.end; at += sum & OPCODE_LENGTH) {
		starts |= 1ull << 63;
		if (at >= due) {
			next = note_starts(&r, next, at, starts);
			if (next == b->last && !b->real)
				return;
			due = next < b->last ? s->pairs[next].at : UINTPTR_MAX;
		}
		sum = b->limit - at >= INSN_ROOM ? opcode_look(at) : 0;
		if (is_of_interest(at, sum) && look_closer(&r, at, &sum)) {
			b->broken = true;
			break;
		}
		flags |= sum / OPCODE_FLAGS(1);
		starts >>= sum & OPCODE_LENGTH;
	}
	if (at >= due && !b->broken)
		note_starts(&r, next, at, starts);
	b->flags = (uint16_t)flags;
	if (flags & INSN_INDIRECT && !b->broken)
		note_tables(&r);
}

/* Some instruction begins at one of any fifteen bytes in a row. Where the pair is reached from none
 * of those before it, it lies within another instruction. */
static bool may_be_reached(const struct body *b, uintptr_t pair)
{
	uintptr_t from = pair - 64;
	uint64_t seen = 0;
	struct insn in;

	for (unsigned i = 0; i < INSN_LONGEST; i++) {
		for (uintptr_t at = from + i; at < pair && !(seen >> (at - from) & 1); at += in.length) {
			seen |= 1ull << (at - from);
			if (insn_decode(at, b->limit - at, &in))
				break;
			if (at + in.length == pair || in.flags & INSN_SYSCALL)
				return true;
		}
	}
	return false;
}

/* False when a look at the bytes before its pairs shows that a large function makes no call. */
static bool may_enter(const struct bodies *s, const struct body *b)
{
	bool may = s->pairs[b->first].at - b->range.start < LARGE;

	for (uint32_t i = b->first; i < b->last && !may; i++)
		may = may_be_reached(b, s->pairs[i].at);
	return may;
}

/* -- functions -- */

/* The function of a pair. Assembly ends an FDE before or behind the syscall that makes a thread,
 * since what unwinds differs behind it, and begins another a few instructions later (clone,
 * clone3): they are one function. */
static bool find_body(const struct bodies *s, uint32_t first, struct body *b)
{
	uintptr_t at = s->pairs[first].at;
	struct function next;

	*b = (struct body){
		.limit = object_load_at(s->object, at).end, .first = first, .last = first};
	if (object_function(s->object, at, &b->range) &&
	    (object_function(s->object, at - 1, &b->range) || b->range.end != at))
		return false;
	if (b->range.end == at)
		b->range.end = at + 2;
	for (;;) {
		while (b->last < s->pairs_count && s->pairs[b->last].at < b->range.end)
			b->last++;
		if (s->pairs[b->last - 1].at + 2 != b->range.end)
			return true;
		if (object_next(s->object, b->range.end, &next) ||
		    next.start - b->range.end > MERGE)
			return true;
		b->range.end = next.end;
	}
}

/* Returns true when some pair is an instruction. */
static bool decode_all(struct bodies *s)
{
	bool real = false;

	for (uint32_t i = 0; i < s->pairs_count;) {
		struct body *b = &s->body[s->count];

		if (!find_body(s, i, b)) {
			i++;
			continue;
		}
		if (may_enter(s, b))
			decode_body(s, b);
		real |= b->real;
		i = b->last;
		s->count++;
	}
	return real;
}

/* Makes room for what is known of the pairs. */
static int prepare(struct bodies *s, uintptr_t low, uintptr_t high)
{
	s->near = near_make(low, high);
	size_t pairs = s->pairs_count * sizeof *s->pairs, near = near_size(&s->near);

	if (reserve(pairs + near + s->pairs_count * sizeof *s->body))
		return -ENOMEM;
	s->pairs = (struct pair *)memory.at;
	s->near.bits = (uint64_t *)(memory.at + pairs);
	s->body = (struct body *)(memory.at + pairs + near);
	memset(s->near.bits, 0, near);
	for (uint32_t i = 0; i < s->pairs_count; i++) {
		near_set(&s->near, s->pairs[i].at - PAIR_BEFORE);
		near_set(&s->near, s->pairs[i].at + PAIR_BEHIND);
	}
	return 0;
}

int bodies_find(struct bodies *s, const struct object *o)
{
	uintptr_t low = UINTPTR_MAX, high = 0;
	int r = 0;

	*s = (struct bodies){.object = o};
	for (int i = 0; i < o->loads && !r; i++) {
		if (!(o->load[i].flags & PF_X))
			continue;
		low = o->load[i].start < low ? o->load[i].start : low;
		high = o->load[i].end > high ? o->load[i].end : high;
		r = scan_syscalls(o->load[i].start, o->load[i].end, add_pair, s);
	}
	if (r || !s->pairs_count)
		return r;
	r = prepare(s, low, high);
	if (r || !decode_all(s))
		return r;
	for (int i = 0; i < o->loads; i++)
		if (o->load[i].flags & PF_X)
			scan_branches(o->load[i].start, o->load[i].end, &s->near, note_near, s);
	return 0;
}

void bodies_done(void)
{
	if (memory.size)
		sys_munmap(memory.at, memory.size);
	memory.at = NULL;
	memory.size = 0;
}
