/* sites.c -- where an object enters the kernel, and what may be overwritten there
 *
 * Four steps: a search for the two bytes of `syscall'; where there are any, the functions concerned
 * are decoded from their beginnings, noting around each pair which bytes begin an instruction and
 * which are branched to by a short jump or a table; where a pair proves to be an instruction, a
 * search of all the text for 32-bit branches that lead near; then each pair is judged. What that
 * takes lies in two words of 64 bits.
 *
 * Most libraries hold some pairs, by chance, within other instructions: they are not searched again.
 *
 * Rejected: decoding everything (20 ms for libc); trusting `mov $imm32,%eax; syscall' by its bytes
 * (mov 0x10c(%rax),%edi has b8 before its displacement as well).
 */
#include "bytes.h"
#include "insn.h"
#include "opcode.h"
#include "pair.h"
#include "sites.h"
#include "sys.h"

#define JUMP	 5  /* bytes of a jump */
#define LOOP_MAX 24 /* instructions of a loop that is followed */
#define TABLES	 64 /* places in a function where a jump table may be named */
#define MERGE	 32 /* bytes between two FDEs of a function */
#define RESTORE	 15 /* rt_sigreturn */

/* A function in hand and its pairs. */
struct body {
	struct function range;
	uintptr_t limit;      /* of the text: so far one may read */
	uint32_t first, last; /* pairs first .. last - 1 */
	uint16_t flags;	      /* of all its instructions */
	bool real;	      /* some pair of it is an instruction */
	bool broken;	      /* could not be decoded */
	bool partial;	      /* jumps into the midst of another function: part of it */
};

struct search {
	const struct object *object;
	struct pair *pairs; /* ascending */
	uint32_t count;
	struct body *bodies; /* of pairs, ascending */
	uint32_t bodies_count;
	bool real;	     /* some pair is an instruction */
	struct near near;    /* some pair's words tell of it */
	uintptr_t low, high; /* all executable segments */
	struct site site;    /* the one in hand */
	uintptr_t taken;     /* end of what the last one overwrites */
	uintptr_t tables[TABLES]; /* what may be jump tables of the function in hand */
	size_t tables_count;
	int (*found)(const struct site *, void *);
	void *arg;
};

/* Pairs, then bits of `near', then bodies. Kept from one object to the next. */
static struct {
	char *at;
	size_t size;
} memory;

static int32_t int32_at(uintptr_t at)
{
	int32_t v;

	__builtin_memcpy(&v, (const void *)at, sizeof v);
	return v;
}

static bool is_text(const struct object_load *l)
{
	return l->flags & PF_X;
}

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

static int add_pair(uintptr_t at, void *search)
{
	struct search *s = search;

	if (reserve((s->count + 1) * sizeof *s->pairs))
		return -ENOMEM;
	s->pairs = (struct pair *)memory.at;
	s->pairs[s->count++] = (struct pair){.at = at};
	return 0;
}

/* The first pair whose words do not end before this address. */
static uint32_t first_pair(const struct search *s, uintptr_t at)
{
	uint32_t low = 0, count = s->count;

	while (count) {
		uint32_t half = (count + 1) / 2;

		low += s->pairs[low + half - 1].at + PAIR_BEHIND < at ? half : 0;
		count -= half;
	}
	return low;
}

static void note_near(uintptr_t at, void *search)
{
	struct search *s = search;

	for (uint32_t i = first_pair(s, at); i < s->count && s->pairs[i].at <= at + PAIR_BEFORE; i++)
		s->pairs[i].targets |= pair_bit(&s->pairs[i], at);
}

static void note_target(struct search *s, uintptr_t at)
{
	if (near_is(&s->near, at))
		note_near(at, s);
}

/* A jump table holds offsets from itself, or addresses in code that is not position-independent.
 * Some of its entries may lead to the function's cold half. */
static void note_table(struct search *s, uintptr_t table, size_t size)
{
	const struct object_load *l = object_load_at(s->object, table);

	if (!l || is_text(l))
		return;
	for (uintptr_t p = table; p + size <= l->end; p += size) {
		uintptr_t at = size == 4 ? table + (uintptr_t)(intptr_t)int32_at(p)
					 : *(const uintptr_t *)p;

		if (at < s->low || at >= s->high)
			return;
		note_target(s, at);
	}
}

static void note_tables(struct search *s)
{
	while (s->tables_count) {
		uintptr_t table = s->tables[--s->tables_count];

		note_table(s, table, 4);
		if (table % 8 == 0)
			note_table(s, table, 8);
	}
}

/* Whether the function jumps through tables is known at its end only. */
static void keep_table(struct search *s, uintptr_t at, const struct insn *in)
{
	if (in->flags & INSN_RIP && *(const uint8_t *)(at + in->disp - 2) != 0x8d) /* lea */
		return;
	if (s->tables_count == TABLES)
		note_tables(s);
	s->tables[s->tables_count++] = in->target;
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

/* A jump to within the function: the short ones have not been noted yet. */
static void note_short(struct search *s, const struct body *b, uintptr_t target)
{
	if (b->last - b->first > 4) {
		note_target(s, target);
		return;
	}
	for (size_t i = b->first; i < b->last; i++)
		s->pairs[i].targets |= pair_bit(&s->pairs[i], target);
}

static void note_jump(struct search *s, struct body *b, uintptr_t target)
{
	struct function f;

	if (target >= b->range.start && target < b->range.end)
		return;
	if (!object_function(s->object, target, &f) && f.start != target &&
	    !is_linkage(target, f.end))
		b->partial = true;
}

/* An instruction begins at `at', which pair `next' or one behind it is to be told of; the top bit of
 * `starts' stands for it, those below for the bytes before. Returns the first pair that is to be
 * told of later ones. */
static uint32_t note_starts(struct search *s, struct body *b, uint32_t next, uintptr_t at, uint64_t starts)
{
	while (next < b->last && s->pairs[next].at + PAIR_BEHIND < at)
		next++;
	for (uint32_t i = next; i < b->last && s->pairs[i].at <= at; i++) {
		s->pairs[i].starts |= starts >> (PAIR_BEHIND - (at - s->pairs[i].at));
		b->real |= s->pairs[i].at == at;
	}
	return next;
}

/* An instruction that leads elsewhere, names a table, or is for Zydis; *sum is the length and flags
 * that opcode_look gave, and is filled in. */
static int follow(struct search *s, struct body *b, uintptr_t at, uint32_t *sum)
{
	struct insn in;

	if (*sum & OPCODE_FLAGS(INSN_JUMP)) {
		in.length = *sum & OPCODE_LENGTH;
		in.target = opcode_target(at, in.length);
		in.flags = INSN_JUMP;
	} else if (insn_decode(at, b->limit - at, &in)) {
		return -EILSEQ;
	} else {
		*sum = OPCODE_FLAGS(in.flags) + in.length;
	}
	if (in.flags & INSN_JUMP) {
		if (in.length < JUMP)
			note_short(s, b, in.target);
		note_jump(s, b, in.target);
	}
	if (in.flags & (INSN_RIP | INSN_INDEXED))
		keep_table(s, at, &in);
	return 0;
}

/* Most instructions are of no interest but for their length and flags. */
static inline bool is_of_interest(uintptr_t at, uint32_t sum)
{
	if (sum & OPCODE_FLAGS(INSN_RIP)) /* only lea can name a table: it ends in the displacement */
		return ((const uint8_t *)at)[(sum & OPCODE_LENGTH) - 6] == 0x8d;
	return !sum || sum & OPCODE_FLAGS(INSN_JUMP | INSN_INDEXED);
}

/* Stops where it has seen that no pair is an instruction. */
static void decode_body(struct search *s, struct body *b)
{
	uint32_t next = b->first, sum;
	uintptr_t at, due = s->pairs[next].at; /* pair `next' is to be told */
	uint64_t starts = 0;
	unsigned flags = 0;

	s->tables_count = 0;
	for (at = b->range.start; at < b->range.end; at += sum & OPCODE_LENGTH) {
		starts |= 1ull << 63;
		if (at >= due) {
			next = note_starts(s, b, next, at, starts);
			if (next == b->last && !b->real)
				return;
			due = next < b->last ? s->pairs[next].at : UINTPTR_MAX;
		}
		sum = b->limit - at >= INSN_ROOM ? opcode_look(at) : 0;
		if (is_of_interest(at, sum) && follow(s, b, at, &sum)) {
			b->broken = true;
			break;
		}
		flags |= sum / OPCODE_FLAGS(1);
		starts >>= sum & OPCODE_LENGTH;
	}
	if (at >= due && !b->broken)
		note_starts(s, b, next, at, starts);
	b->flags = (uint16_t)flags;
	if (flags & INSN_INDIRECT && !b->broken)
		note_tables(s);
}

/* True when the instruction may be repeated elsewhere: Zydis decides, but for mov $imm32,%eax. */
static bool is_movable(uintptr_t at, const struct insn *in)
{
	return (*(const uint8_t *)at == 0xb8 && in->length == JUMP) || insn_confirm(at, in);
}

/* Behind `test %eax,%eax; jne' it is zero. */
static bool is_jump_unless_zero(const struct pair *p, uintptr_t at)
{
	return *(const uint8_t *)at == 0x75 && !pair_is_target(p, at) &&
	       pair_instruction_before(p, at) == at - 2 &&
	       !memcmp((const void *)(at - 2), "\x85\xc0", 2);
}

/* The constant in eax when the syscall is reached, if its basic block says so. */
static int find_number(const struct body *b, const struct pair *p)
{
	struct insn in;
	int value;

	for (uintptr_t at = p->at; !pair_is_target(p, at);) {
		at = pair_instruction_before(p, at);
		if (!at || insn_decode(at, b->limit - at, &in))
			break;
		if (in.flags & INSN_FLOW)
			return is_jump_unless_zero(p, at) ? 0 : -1;
		if (insn_rax(at, &in, &value))
			return value;
	}
	return -1;
}

/* Goes back from the syscall over movable instructions until `enough' bytes are found or no more
 * can be had. */
static uintptr_t go_back(const struct search *s, const struct body *b, const struct pair *p,
			 uintptr_t enough)
{
	struct insn in;
	uintptr_t start = p->at;

	while (p->at - start < enough && !pair_is_target(p, start)) {
		uintptr_t at = pair_instruction_before(p, start);

		if (at < s->taken || !at || insn_decode(at, b->limit - at, &in) ||
		    !is_movable(at, &in))
			break;
		start = at;
	}
	return start;
}

/* Goes on behind the syscall over movable instructions until JUMP bytes from start on are found; 0
 * when they cannot be. The last may be the jump that closes a loop: the slot jumps to its target
 * itself. */
static uintptr_t go_on(const struct body *b, const struct pair *p, uintptr_t start, bool loop)
{
	struct insn in;
	uintptr_t end = p->at + 2;

	while (end - start < JUMP) {
		if (end >= b->range.end || pair_is_target(p, end) ||
		    insn_decode(end, b->limit - end, &in))
			return 0;
		if (loop && in.flags & INSN_JUMP && in.flags & INSN_STOP)
			return end + in.length - start >= JUMP ? end + in.length : 0;
		if (!is_movable(end, &in))
			return 0;
		end += in.length;
	}
	return end;
}

/* True when no path from `at' leaves the function: by return, call, or a jump that we cannot
 * follow. */
static bool never_leaves(const struct body *b, uintptr_t at)
{
	uintptr_t seen[LOOP_MAX] = {at};
	struct insn in;

	for (int i = 0, count = 1; i < count; i++) {
		at = seen[i];
		if (at < b->range.start || at >= b->range.end ||
		    insn_decode(at, b->limit - at, &in) || in.flags & (INSN_LEAVE | INSN_CALL))
			return false;
		uintptr_t next[2] = {in.flags & INSN_JUMP ? in.target : at,
				     in.flags & INSN_STOP ? at : at + in.length};

		for (int way = 0; way < 2; way++) {
			int k = 0;

			while (k < count && seen[k] != next[way])
				k++;
			if (k == LOOP_MAX)
				return false;
			seen[k] = next[way];
			count += k == count;
		}
	}
	return true;
}

/* A child that returned into the midst of a slot would do no harm, a signal frame would; and a
 * number that is not known may be any of them. */
static bool may_take_behind(int nr)
{
	return nr >= 0 && nr != __NR_clone && nr != __NR_clone3 && nr != __NR_vfork &&
	       nr != __NR_fork && nr != RESTORE;
}

static int take(struct search *s, enum site_form form, uintptr_t start, uintptr_t end)
{
	s->site.form = (uint8_t)form;
	s->site.start = start;
	s->site.length = (uint8_t)(end - start);
	s->taken = form == SITE_LEFT ? s->taken : end;
	return s->found(&s->site, s->arg);
}

static int leave(struct search *s, const char *reason)
{
	s->site.reason = reason;
	return take(s, SITE_LEFT, s->site.syscall, s->site.syscall);
}

static int judge(struct search *s, const struct body *b, const struct pair *p)
{
	uintptr_t start, end;

	s->site.sure = true;
	/* Elsewhere the compiler may have kept a caller's values in registers that the callee, seen to be free of them, leaves
	 * alone (-fipa-ra); in libc no such caller of a call that waits was found. */
	s->site.vector = b->partial || b->flags & INSN_VECTOR || s->object->careful;
	s->site.wide = b->flags & INSN_WIDE;
	s->site.nr = find_number(b, p);
	if (s->object->wanted && !s->object->wanted(s->site.nr))
		return 0;
	start = go_back(s, b, p, JUMP);
	if (p->at - start >= JUMP)
		return take(s, SITE_BEFORE, start, p->at);
	if (never_leaves(b, p->at + 2)) {
		start = go_back(s, b, p, JUMP - 2);
		end = go_on(b, p, start, true);
		if (end)
			return take(s, SITE_LOOP, start, end);
	}
	if (!may_take_behind(s->site.nr))
		return leave(s, "no room before it, and its call may return elsewhere");
	end = go_on(b, p, p->at, false);
	if (!end)
		return leave(s, "no room before it or behind it");
	return take(s, SITE_BEHIND, p->at, end);
}

static bool is_prefixed(const struct body *b, const struct pair *p)
{
	uintptr_t at = pair_instruction_before(p, p->at);
	struct insn in;

	return at && !insn_decode(at, b->limit - at, &in) && in.flags & INSN_SYSCALL &&
	       at + in.length == p->at + 2;
}

static int judge_pair(struct search *s, const struct body *b, const struct pair *p)
{
	const struct object_load *l = object_load_at(s->object, p->at);

	s->site = (struct site){.syscall = p->at, .nr = -1, .careful = s->object->careful};
	/* Its FDE begins a byte early: the function cannot be decoded. */
	if (p->at - l->start >= 8 && pair_literal_number(p) == RESTORE) {
		s->site.sure = true;
		s->site.nr = RESTORE;
		return leave(s, "unwinders know it by its bytes");
	}
	if (!b) {
		s->site.nr = p->at - l->start >= 8 ? pair_literal_number(p) : -1;
		s->site.sure = s->site.nr >= 0;
		return leave(s, "outside of all functions that .eh_frame describes");
	}
	if (p->starts & pair_bit(p, p->at)) {
		if (l->flags & PF_W)
			return leave(s, "text that can be written to");
		return judge(s, b, p);
	}
	s->site.sure = is_prefixed(b, p);
	if (s->site.sure)
		return leave(s, "prefixed");
	if (b->broken)
		return leave(s, "in a function that cannot be decoded");
	return 0; /* the two bytes belong to another instruction */
}

/* The function of a pair. Assembly ends an FDE before or behind the syscall that makes a thread,
 * since what unwinds differs behind it, and begins another a few instructions later (clone,
 * clone3): they are one function. */
static bool find_body(struct search *s, uint32_t first, struct body *b)
{
	uintptr_t at = s->pairs[first].at;
	struct function next;

	*b = (struct body){
		.limit = object_load_at(s->object, at)->end, .first = first, .last = first};
	if (object_function(s->object, at, &b->range) &&
	    (object_function(s->object, at - 1, &b->range) || b->range.end != at))
		return false;
	if (b->range.end == at)
		b->range.end = at + 2;
	for (;;) {
		while (b->last < s->count && s->pairs[b->last].at < b->range.end)
			b->last++;
		if (s->pairs[b->last - 1].at + 2 != b->range.end)
			return true;
		if (object_next(s->object, b->range.end, &next) ||
		    next.start - b->range.end > MERGE)
			return true;
		b->range.end = next.end;
	}
}

static void decode_all(struct search *s)
{
	struct body b;

	for (uint32_t i = 0; i < s->count; i = i < b.last ? b.last : i + 1) {
		if (!find_body(s, i, &b))
			continue;
		decode_body(s, &b);
		s->bodies[s->bodies_count++] = b;
		s->real |= b.real;
	}
}

static int judge_all(struct search *s)
{
	const struct body *b = s->bodies, *end = b + s->bodies_count;
	int r = 0;

	for (uint32_t i = 0; i < s->count && !r; i++) {
		while (b < end && b->last <= i)
			b++;
		r = judge_pair(s, b < end && b->first <= i ? b : NULL, &s->pairs[i]);
	}
	return r;
}

/* Makes room for what is known of the pairs. */
static int prepare(struct search *s)
{
	s->near = near_make(s->low, s->high);
	size_t pairs = s->count * sizeof *s->pairs, near = near_size(&s->near);

	if (reserve(pairs + near + s->count * sizeof *s->bodies))
		return -ENOMEM;
	s->pairs = (struct pair *)memory.at;
	s->near.bits = (uint64_t *)(memory.at + pairs);
	s->bodies = (struct body *)(memory.at + pairs + near);
	memset(s->near.bits, 0, near);
	for (uint32_t i = 0; i < s->count; i++) {
		near_set(&s->near, s->pairs[i].at - PAIR_BEFORE);
		near_set(&s->near, s->pairs[i].at + PAIR_BEHIND);
	}
	return 0;
}

static int search_object(struct search *s)
{
	const struct object *o = s->object;
	int r = 0;

	for (int i = 0; i < o->loads && !r; i++)
		if (is_text(&o->load[i]))
			r = bytes_syscalls(o->load[i].start, o->load[i].end, add_pair, s);
	if (r || !s->count)
		return r;
	r = prepare(s);
	if (r)
		return r;
	decode_all(s);
	for (int i = 0; i < o->loads && s->real; i++)
		if (is_text(&o->load[i]))
			bytes_branches(o->load[i].start, o->load[i].end, &s->near, note_near, s);
	return judge_all(s);
}

int sites_find(const struct object *o, int (*found)(const struct site *, void *), void *arg)
{
	struct search s = {.object = o, .found = found, .arg = arg, .low = UINTPTR_MAX};

	for (int i = 0; i < o->loads; i++) {
		if (!is_text(&o->load[i]))
			continue;
		s.low = o->load[i].start < s.low ? o->load[i].start : s.low;
		s.high = o->load[i].end > s.high ? o->load[i].end : s.high;
	}
	return search_object(&s);
}

void sites_done(void)
{
	if (memory.size)
		sys_munmap(memory.at, memory.size);
	memory.at = NULL;
	memory.size = 0;
}
