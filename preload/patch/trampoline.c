/* trampoline.c -- slots: the code that a site jumps to */
#include "patch/insn.h"
#include "patch/trampoline.h"
#include "sys.h"
#include "patch/codewrite.h"

#define SLOTS_MAX 8192 /* as many as we keep account of */
#define WINDOW	  32   /* bytes on one side of a syscall that are moved at most */

static struct {
	char *start, *end, *gate;
} area = {weft_slots, weft_slots_end, gate_entry};

static uint64_t used[SLOTS_MAX / 64]; /* a bit a slot */

struct code {
	uint8_t *p;
	uintptr_t at; /* where it is going to stand */
	int error;
};

int trampoline_get(void)
{
	size_t count = (size_t)(area.end - area.start) / ARCH_SLOT_SIZE;

	for (size_t i = 0; i < SLOTS_MAX / 64 && i * 64 < count; i++) {
		if (used[i] == UINT64_MAX)
			continue;
		size_t slot = i * 64 + (unsigned)__builtin_ctzll(~used[i]);

		if (slot >= count)
			return -ENOSPC;
		used[i] |= 1ull << (slot % 64);
		return (int)slot;
	}
	return -ENOSPC;
}

void trampoline_put(int slot)
{
	INVARIANT(used[slot / 64] >> (slot % 64) & 1);
	used[slot / 64] &= ~(1ull << (slot % 64));
}

void trampoline_take(int last)
{
	uintptr_t full = page_up(trampoline_address(last + 1));

	codewrite_take((uintptr_t)area.start, (uintptr_t)area.end, full - (uintptr_t)area.start, PROT_READ | PROT_EXEC);
}

uintptr_t trampoline_address(int slot)
{
	return (uintptr_t)area.start + (size_t)slot * ARCH_SLOT_SIZE;
}

bool trampoline_reaches(uintptr_t low, uintptr_t high)
{
	uintptr_t first = (uintptr_t)area.start, last = (uintptr_t)area.end;

	return (high > last ? high : last) - (low < first ? low : first) < INT32_MAX;
}

/* Always inline: n is a constant then, and nothing is called. */
static inline __attribute__((always_inline)) void put(struct code *c, const void *bytes, size_t n)
{
	__builtin_memcpy(c->p, bytes, n);
	c->p += n;
	c->at += n;
}

/* One of the instructions that end in a 32-bit displacement from their end. */
static void put_relative(struct code *c, uint8_t opcode, uintptr_t target)
{
	intptr_t distance = (intptr_t)(target - (c->at + 5));
	int32_t displacement = (int32_t)distance;

	if (distance != displacement)
		c->error = -ERANGE;
	put(c, &opcode, 1);
	put(c, &displacement, 4);
}

static void put_jump(struct code *c, uintptr_t target)
{
	static const uint8_t indirect[] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp *0(%rip) */

	if (trampoline_reaches(target, target)) {
		put_relative(c, 0xe9, target);
		return;
	}
	put(c, indirect, sizeof indirect);
	put(c, &target, sizeof target);
}

/* Takes back the instruction that was put at p, and says the same of a target that is out of reach: lea relative to itself becomes
 * an immediate value, a plain load goes by the register that it loads. Any other needs a register that the program may be using. */
static bool put_far(struct code *c, uint8_t *p, const struct insn *in)
{
	uint8_t rex = in->disp == 3 && (p[0] & 0xf0) == 0x40 ? p[0] : 0, opcode = p[in->disp - 2], reg = p[in->disp - 1] >> 3 & 7;
	uint8_t high = rex >> 2 & 1, wide = rex & 8;
	bool load = opcode == 0x8b;
	uint64_t value = load || wide ? in->target : (uint32_t)in->target;

	if (in->disp != (rex ? 3 : 2) || in->length != in->disp + 4 || (opcode != 0x8d && !load) || (reg == 4 && !high))
		return false;
	c->at -= (uintptr_t)(c->p - p);
	c->p = p;
	put(c, (const uint8_t[]){(uint8_t)(0x48 | high), (uint8_t)(0xb8 | reg)}, 2);
	put(c, &value, sizeof value);	/* movabs value, reg */
	if (!load)
		return true;
	put(c, (const uint8_t[]){(uint8_t)(0x40 | wide | high << 2 | high), opcode, (uint8_t)(0x40 | reg << 3 | reg)}, 3);
	if (reg == 4)
		put(c, "\x24", 1);	/* r12 takes a byte more to name */
	put(c, "", 1);			/* mov 0(reg), reg */
	return true;
}

/* Repeats the instructions of [from, end). Returns true when the last one was a jump. They are
 * looked at in a copy: nothing need be mapped behind them. */
static bool put_moved(struct code *c, uintptr_t from, uintptr_t end)
{
	uint8_t bytes[WINDOW + INSN_ROOM] = {0};
	uintptr_t copy = (uintptr_t)bytes;
	struct insn in = {0};

	INVARIANT(end - from <= WINDOW);
	memcpy(bytes, (const void *)from, end - from);
	for (uintptr_t size = end - from; copy - (uintptr_t)bytes < size; copy += in.length) {
		uint8_t *p = c->p;
		uintptr_t at = c->at;

		if (insn_decode(copy, INSN_ROOM, &in)) {
			c->error = -ERANGE;
			return false;
		}
		in.target += from - (uintptr_t)bytes;
		if (in.flags & INSN_JUMP) {
			put_jump(c, in.target);
			return true;
		}
		for (int i = 0; i < in.length; i++)
			put(c, (const uint8_t *)copy + i, 1);
		if (!(in.flags & INSN_RIP))
			continue;
		intptr_t distance = (intptr_t)(in.target - (at + in.length));
		int32_t displacement = (int32_t)distance;

		if (distance != displacement) {
			c->error = put_far(c, p, &in) ? c->error : -ERANGE;
			continue;
		}
		__builtin_memcpy(p + in.disp, &displacement, sizeof displacement);
	}
	return false;
}

static void put_decision(struct code *c)
{
	static const uint8_t skip_red_zone[] = {0x48, 0x8d, 0x64, 0x24, 0x80};
	static const uint8_t unskip[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
	static const uint8_t jrcxz[] = {0xe3, 0}; /* its distance comes later */

	put(c, skip_red_zone, sizeof skip_red_zone);
	put_relative(c, 0xe8, (uintptr_t)area.gate);
	put(c, unskip, sizeof unskip);
	put(c, jrcxz, sizeof jrcxz);
}

int trampoline_build(int slot, const struct site *s, uint8_t code[ARCH_SLOT_SIZE])
{
	uintptr_t resume = s->syscall + 2, end = s->start + s->length;
	bool gone = s->form != SITE_BEFORE;
	uint32_t flags = (s->vector ? TRAMPOLINE_VECTOR : 0) | (gone ? TRAMPOLINE_GONE : 0);
	struct code c = {.p = code, .at = trampoline_address(slot)};

	for (size_t i = 0; i < ARCH_SLOT_SIZE; i += 8)
		__builtin_memset(code + i, 0xcc, 8);
	put_moved(&c, s->start, s->syscall);
	flags |= (uint32_t)(c.p - code) << TRAMPOLINE_PREFIX;
	put_decision(&c);
	uint8_t *ours = c.p;

	if (!gone || !put_moved(&c, resume, end))
		put_jump(&c, gone ? end : resume);
	ours[-1] = (uint8_t)(c.p - ours);
	if (gone)
		put(&c, "\x0f\x05", 2);
	if (!gone || !put_moved(&c, resume, end))
		put_jump(&c, gone ? end : s->syscall);
	INVARIANT(c.p <= code + ARCH_SLOT_RESUME);
	__builtin_memcpy(code + ARCH_SLOT_RESUME, &resume, 8);
	__builtin_memcpy(code + ARCH_SLOT_FLAGS, &flags, 4);
	__builtin_memcpy(code + TRAMPOLINE_NR, &s->nr, 4);
	return c.error;
}
