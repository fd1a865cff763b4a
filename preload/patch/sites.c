/* sites.c -- where an object enters the kernel, and what may be overwritten there
 *
 * What is known of a pair of bytes and of its function (body.h) is enough to judge it: what lies
 * around it is in two words of 64 bits.
 *
 * Rejected: decoding everything (20 ms for libc); trusting `mov $imm32,%eax; syscall' by its bytes
 * (mov 0x10c(%rax),%edi has b8 before its displacement as well); decoding several functions at a
 * time, for the processor to work at one while it waits for another (it guesses more branches
 * wrongly, and was slower).
 */
#include "patch/body.h"
#include "patch/insn.h"
#include "patch/sites.h"
#include "sys.h"

#define JUMP	 5  /* bytes of a jump */
#define LOOP_MAX 24 /* instructions of a loop that is followed */
#define RESTORE	 15 /* rt_sigreturn */

struct search {
	const struct object *object;
	struct site site;    /* the one in hand */
	uintptr_t taken;     /* end of what the last one overwrites */
	int (*found)(const struct site *, void *);
	void *arg;
};

/* True when the instruction may be repeated elsewhere: decoder.h decides, but for mov $imm32,%eax. */
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
	struct object_load l = object_load_at(s->object, p->at);

	s->site = (struct site){.syscall = p->at, .nr = -1, .careful = s->object->careful};
	/* Its FDE begins a byte early: the function cannot be decoded. */
	if (p->at - l.start >= 8 && pair_literal_number(p) == RESTORE) {
		s->site.sure = true;
		s->site.nr = RESTORE;
		return leave(s, "unwinders know it by its bytes");
	}
	if (!b) {
		s->site.nr = p->at - l.start >= 8 ? pair_literal_number(p) : -1;
		s->site.sure = s->site.nr >= 0;
		return leave(s, "outside of all functions that .eh_frame describes");
	}
	if (p->starts & pair_bit(p, p->at)) {
		if (l.flags & PF_W)
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

int sites_find(const struct object *o, int (*found)(const struct site *, void *), void *arg)
{
	struct search s = {.object = o, .found = found, .arg = arg};
	struct bodies all;
	int r = bodies_find(&all, o);

	for (uint32_t i = 0, k = 0; i < all.pairs_count && !r; i++) {
		while (k < all.count && all.body[k].last <= i)
			k++;
		bool within = k < all.count && all.body[k].first <= i;

		r = judge_pair(&s, within ? &all.body[k] : NULL, &all.pairs[i]);
	}
	return r;
}
