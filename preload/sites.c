/* sites.c -- where an object enters the kernel, and what may be overwritten there
 *
 * Three passes: a search for the two bytes of `syscall' by vector compares; where there are any, a
 * search for 32-bit branches that lead near them; then the functions concerned are decoded from
 * their beginnings, noting around each pair which bytes begin an instruction and which are branched
 * to. What a pair needs to be judged lies in two words of 64 bits.
 *
 * Rejected: decoding everything (20 ms for libc); trusting `mov $imm32,%eax; syscall' by its bytes
 * (mov 0x10c(%rax),%edi has b8 before its displacement as well).
 */
#include <emmintrin.h>

#include "insn.h"
#include "pair.h"
#include "sites.h"
#include "sys.h"

#define JUMP	 5  /* bytes of a jump */
#define GRAIN	 64 /* bytes of text to a bit of `near' */
#define LOOP_MAX 24 /* instructions of a loop that is followed */
#define TABLES	 64 /* places in a function where a jump table may be named */
#define MERGE	 32 /* bytes between two FDEs of a function */
#define RESTORE	 15 /* rt_sigreturn */

struct search {
	const struct object *object;
	struct pair *pairs; /* ascending */
	size_t count, room;
	uint64_t *near;	     /* a bit for each grain from `low' on: some pair's words tell of it */
	uintptr_t low, high; /* all executable segments */
	size_t grains;	     /* between them */
	struct site site;    /* the one in hand */
	uintptr_t taken;     /* end of what the last one overwrites */
	uintptr_t tables[TABLES]; /* what may be jump tables of the function in hand */
	size_t tables_count;
	int (*found)(const struct site *, void *);
	void *arg;
};

/* A function in hand and its pairs. */
struct body {
	struct function range;
	uintptr_t limit;    /* of the text: so far one may read */
	size_t first, last; /* pairs first .. last - 1 */
	unsigned flags;	    /* of all its instructions */
	bool broken;	    /* could not be decoded */
	bool partial;	    /* jumps into the midst of another function: part of it */
};

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

static int add_pair(struct search *s, uintptr_t at)
{
	if (s->count == s->room) {
		size_t size = s->room * sizeof *s->pairs;
		long p = s->room ? sys_mremap(s->pairs, size, 2 * size, MREMAP_MAYMOVE, NULL)
				 : (long)sys_map(64 * PAGE);

		if (p <= 0)
			return -ENOMEM;
		s->pairs = (struct pair *)p;
		s->room = (size ? 2 * size : 64 * PAGE) / sizeof *s->pairs;
	}
	s->pairs[s->count++] = (struct pair){.at = at};
	return 0;
}

/* Bit i is set where bytes i and i + 1 from p on are 0f 05. */
static unsigned pairs_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p),
		b = _mm_loadu_si128((const __m128i *)(p + 1));

	return (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)),
							 _mm_cmpeq_epi8(b, _mm_set1_epi8(0x05))));
}

static int search_pairs(struct search *s, uintptr_t p, uintptr_t end)
{
	for (; p + 16 < end; p += 16)
		for (unsigned m = pairs_16(p); m; m &= m - 1)
			if (add_pair(s, p + (unsigned)__builtin_ctz(m)))
				return -ENOMEM;
	for (; p + 1 < end; p++)
		if (*(const uint8_t *)p == 0x0f && *(const uint8_t *)(p + 1) == 0x05 &&
		    add_pair(s, p))
			return -ENOMEM;
	return 0;
}

/* The last grain stands for all that is outside, and stays clear. */
static size_t grain_of(const struct search *s, uintptr_t at)
{
	size_t grain = (at - s->low) / GRAIN;

	return grain < s->grains ? grain : s->grains;
}

static bool is_near(const struct search *s, uintptr_t at)
{
	size_t grain = grain_of(s, at);

	return s->near[grain / 64] >> (grain % 64) & 1;
}

static void set_near(struct search *s, uintptr_t at)
{
	size_t grain = grain_of(s, at);

	if (grain < s->grains)
		s->near[grain / 64] |= 1ull << (grain % 64);
}

/* The first pair whose words do not end before this address. */
static size_t first_pair(const struct search *s, uintptr_t at)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->pairs[middle].at + PAIR_BEHIND < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void note_target(struct search *s, uintptr_t at)
{
	if (!is_near(s, at))
		return;
	for (size_t i = first_pair(s, at); i < s->count && s->pairs[i].at <= at + PAIR_BEFORE; i++)
		s->pairs[i].targets |= pair_bit(&s->pairs[i], at);
}

/* Bit i is set where byte i from p on may begin a jmp or jcc with 32 bits; calls lead to the
 * beginning of functions. */
static uint64_t branches_16(uintptr_t p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)p),
		b = _mm_loadu_si128((const __m128i *)(p + 1));
	__m128i jcc = _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(0x0f)),
				    _mm_cmpeq_epi8(_mm_and_si128(b, _mm_set1_epi8((char)0xf0)),
						   _mm_set1_epi8((char)0x80)));

	return (unsigned)_mm_movemask_epi8(
		_mm_or_si128(jcc, _mm_cmpeq_epi8(a, _mm_set1_epi8((char)0xe9))));
}

static uint64_t branches_64(uintptr_t p)
{
	return branches_16(p) | branches_16(p + 16) << 16 | branches_16(p + 32) << 32 |
	       branches_16(p + 48) << 48;
}

static uint64_t branches_near_end(uintptr_t p, uintptr_t end)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < 64 && p + i + 5 <= end; i++) {
		const uint8_t *b = (const uint8_t *)p + i;

		if (b[0] == 0xe9 || (b[0] == 0x0f && (b[1] & 0xf0) == 0x80 && p + i + 6 <= end))
			m |= 1ull << i;
	}
	return m;
}

/* The mask of 64 bytes is worked off without another branch: 30 000 branches of libc, of which 500
 * lead near a pair, would each be guessed wrongly. */
static void search_branches(struct search *s, uintptr_t start, uintptr_t end)
{
	uintptr_t hits[64 + 1];

	for (uintptr_t p = start; p < end; p += 64) {
		uint64_t m = p + 70 < end ? branches_64(p) : branches_near_end(p, end);
		unsigned count = 0;

		for (; m; m &= m - 1) {
			uintptr_t at = p + (unsigned)__builtin_ctzll(m);
			uintptr_t next = at + 5 + (*(const uint8_t *)at != 0xe9);
			uintptr_t target = next + (uintptr_t)(intptr_t)int32_at(next - 4);

			hits[count] = target;
			count += is_near(s, target);
		}
		while (count)
			note_target(s, hits[--count]);
	}
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

static void decode_body(struct search *s, struct body *b)
{
	size_t next = b->first; /* pair whose words tell of bytes from here on */
	struct insn in;

	s->tables_count = 0;
	for (uintptr_t at = b->range.start; at < b->range.end; at += in.length) {
		if (insn_decode(at, b->limit - at, &in)) {
			b->broken = true;
			return;
		}
		b->flags |= in.flags;
		if (in.flags & INSN_JUMP) {
			if (in.length < JUMP)
				note_short(s, b, in.target);
			note_jump(s, b, in.target);
		}
		if (in.flags & (INSN_RIP | INSN_INDEXED))
			keep_table(s, at, &in);
		while (next < b->last && s->pairs[next].at + PAIR_BEHIND < at)
			next++;
		for (size_t i = next; i < b->last && s->pairs[i].at <= at + PAIR_BEFORE; i++)
			s->pairs[i].starts |= pair_bit(&s->pairs[i], at);
	}
	if (b->flags & INSN_INDIRECT)
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

	s->site = (struct site){.syscall = p->at, .nr = -1};
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
static bool find_body(struct search *s, size_t first, struct body *b)
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

static int judge_all(struct search *s)
{
	struct body b;
	int r = 0;

	for (size_t i = 0; i < s->count && !r;) {
		if (!find_body(s, i, &b)) {
			r = judge_pair(s, NULL, &s->pairs[i++]);
			continue;
		}
		decode_body(s, &b);
		for (; i < b.last && !r; i++)
			r = judge_pair(s, &b, &s->pairs[i]);
	}
	return r;
}

/* Text of one segment with data holds pairs by chance. */
static bool in_functions(struct search *s)
{
	struct body b;

	for (size_t i = 0; i < s->count; i++)
		if (find_body(s, i, &b))
			return true;
	return false;
}

static int search_object(struct search *s)
{
	const struct object *o = s->object;

	for (int i = 0; i < o->loads; i++)
		if (is_text(&o->load[i]) && search_pairs(s, o->load[i].start, o->load[i].end))
			return -ENOMEM;
	if (!s->count)
		return 0;
	s->grains = (s->high - s->low + GRAIN - 1) / GRAIN;
	s->near = sys_map(s->grains / 8 + 8);
	if (!s->near)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) {
		set_near(s, s->pairs[i].at - PAIR_BEFORE);
		set_near(s, s->pairs[i].at + PAIR_BEHIND);
	}
	for (int i = 0; i < o->loads && in_functions(s); i++)
		if (is_text(&o->load[i]))
			search_branches(s, o->load[i].start, o->load[i].end);
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
	int r = search_object(&s);

	if (s.near)
		sys_munmap(s.near, page_up(s.grains / 8 + 8));
	if (s.pairs)
		sys_munmap(s.pairs, page_up(s.room * sizeof *s.pairs));
	return r;
}
