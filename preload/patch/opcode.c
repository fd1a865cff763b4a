/* opcode.c -- the commonest instructions: how long they are and what they do to the flow */
#include "patch/opcode.h"

/* Why a second look is needed. */
enum kind {
	PREFIX = 1,
	TEST,	/* has the immediate in two forms of eight */
	ZERO,	/* known in one form of eight */
	GROUP5, /* indirect jumps and calls among others */
	SIB	/* maybe one without base, which has four bytes more */
};

#define KIND(k) ((k) << 8)

#define FLOW  OPCODE_FLAGS(INSN_FLOW)
#define STOP  OPCODE_FLAGS(INSN_FLOW | INSN_STOP)
#define CALL  OPCODE_FLAGS(INSN_FLOW | INSN_CALL)
#define JUMP  OPCODE_FLAGS(INSN_FLOW | INSN_JUMP)
#define LEAVE OPCODE_FLAGS(INSN_FLOW | INSN_LEAVE)
#define ENTER OPCODE_FLAGS(INSN_FLOW | INSN_SYSCALL)
#define VEC   OPCODE_FLAGS(INSN_VECTOR)

/* Bytes from the opcode on. */
#define BARE  (OPCODE_KNOWN | 1)
#define IMM8  (OPCODE_KNOWN | 2)
#define IMM32 (OPCODE_KNOWN | 5)
#define RM    (OPCODE_MODRM | BARE)
#define RM8   (OPCODE_MODRM | IMM8)
#define RM32  (OPCODE_MODRM | IMM32)

#define ARITHMETIC(o) [o ... (o) + 3] = RM, [(o) + 4] = IMM8, [(o) + 5] = IMM32

const uint32_t opcode_one[256] = {
	ARITHMETIC(0x00), ARITHMETIC(0x08), ARITHMETIC(0x10), ARITHMETIC(0x18), ARITHMETIC(0x20),
	ARITHMETIC(0x28), ARITHMETIC(0x30), ARITHMETIC(0x38), [0x2e] = KIND(PREFIX),
	[0x3e] = KIND(PREFIX), [0x64] = KIND(PREFIX), [0x66] = KIND(PREFIX),
	[0xf0] = KIND(PREFIX), [0xf2 ... 0xf3] = KIND(PREFIX),
	[0x50 ... 0x5f] = BARE, [0x63] = RM, [0x68] = IMM32, [0x69] = RM32, [0x6a] = IMM8,
	[0x6b] = RM8, [0x70 ... 0x7f] = IMM8 | JUMP, [0x80] = RM8, [0x81] = RM32, [0x83] = RM8,
	[0x84 ... 0x8b] = RM, [0x8d] = RM, [0x90 ... 0x99] = BARE, [0x9c ... 0x9f] = BARE,
	[0xa4 ... 0xa7] = BARE, [0xa8] = IMM8, [0xa9] = IMM32, [0xaa ... 0xaf] = BARE,
	[0xb0 ... 0xb7] = IMM8, [0xb8 ... 0xbf] = IMM32, [0xc0 ... 0xc1] = RM8,
	[0xc3] = BARE | STOP | LEAVE, [0xc6] = RM8 | KIND(ZERO), [0xc7] = RM32 | KIND(ZERO),
	[0xc9] = BARE, [0xcc] = BARE | FLOW, [0xd0 ... 0xd3] = RM, [0xd8 ... 0xdf] = RM | VEC,
	[0xe0 ... 0xe3] = IMM8 | JUMP, [0xe8] = IMM32 | CALL, [0xe9] = IMM32 | JUMP | STOP,
	[0xeb] = IMM8 | JUMP | STOP, [0xf4] = BARE | STOP, [0xf5] = BARE,
	[0xf6] = RM8 | KIND(TEST), [0xf7] = RM32 | KIND(TEST), [0xf8 ... 0xf9] = BARE,
	[0xfc ... 0xfd] = BARE, [0xff] = RM | KIND(GROUP5),
};

const uint32_t opcode_two[256] = {
	[0x05] = BARE | ENTER, [0x0b] = BARE | STOP, [0x10 ... 0x17] = RM | VEC, [0x18] = RM,
	[0x1e ... 0x1f] = RM, [0x28 ... 0x2f] = RM | VEC, [0x31] = BARE, [0x40 ... 0x4f] = RM,
	[0x51 ... 0x6f] = RM | VEC, [0x70] = RM8 | VEC, [0x74 ... 0x76] = RM | VEC,
	[0x7e ... 0x7f] = RM | VEC, [0x80 ... 0x8f] = IMM32 | JUMP, [0x90 ... 0x9f] = RM,
	[0xa2] = BARE, [0xa3] = RM, [0xa4] = RM8, [0xa5] = RM, [0xab] = RM, [0xac] = RM8,
	[0xad] = RM, [0xaf ... 0xb1] = RM, [0xb3] = RM, [0xb6 ... 0xb7] = RM, [0xba] = RM8,
	[0xbb ... 0xc1] = RM, [0xc6] = RM8 | VEC, [0xc8 ... 0xcf] = BARE, [0xd4] = RM | VEC,
	[0xd6] = RM | VEC, [0xdb] = RM | VEC, [0xeb] = RM | VEC, [0xef] = RM | VEC,
	[0xfa ... 0xfb] = RM | VEC, [0xfe] = RM | VEC,
};

/* ModRM itself, SIB and displacement. */
#define FORMS(m, regs, sib, rm5) \
	[m] = regs, [(m) + 1] = regs, [(m) + 2] = regs, [(m) + 3] = regs, [(m) + 4] = sib, \
	[(m) + 5] = rm5, [(m) + 6] = regs, [(m) + 7] = regs
#define MODE(m, regs, sib, rm5) \
	FORMS(m, regs, sib, rm5), FORMS((m) + 8, regs, sib, rm5), FORMS((m) + 16, regs, sib, rm5), \
	FORMS((m) + 24, regs, sib, rm5), FORMS((m) + 32, regs, sib, rm5), \
	FORMS((m) + 40, regs, sib, rm5), FORMS((m) + 48, regs, sib, rm5), \
	FORMS((m) + 56, regs, sib, rm5)

const uint32_t opcode_operand[256] = {
	MODE(0x00, 1, 2 | KIND(SIB), 5 | OPCODE_FLAGS(INSN_RIP)), MODE(0x40, 2, 3, 2),
	MODE(0x80, 5, 6, 5), MODE(0xc0, 1, 1, 1),
};

uintptr_t opcode_place(uintptr_t at)
{
	const uint8_t *p = (const uint8_t *)at;

	while (opcode_one[*p] == KIND(PREFIX))
		p++;
	p += (*p & 0xf0) == 0x40;
	return (uintptr_t)p + (*p == 0x0f);
}

uintptr_t opcode_target(uintptr_t at, unsigned length)
{
	uintptr_t end = at + length;
	uint8_t first = *(const uint8_t *)at;
	bool far = first == 0x0f || first == 0xe9 || first == 0xe8;
	int32_t displacement = *(const int8_t *)(end - 1);

	if (far || (length != 2 && end - opcode_place(at) != 2))
		__builtin_memcpy(&displacement, (const void *)(end - 4), 4);
	return end + (uintptr_t)(intptr_t)displacement;
}

/* The opcode's entry, as the register field of ModRM and the prefixes change it; 0 for decoder.h. */
static uint32_t adjusted(uint32_t entry, unsigned reg, bool wide_move)
{
	switch (entry & OPCODE_CLOSER) {
	case KIND(TEST):
		return reg > 1 ? RM : entry;
	case KIND(ZERO):
		return reg ? 0 : entry;
	case KIND(GROUP5):
		if (reg == 2)
			return entry | CALL | LEAVE;
		if (reg == 4)
			return entry | STOP | LEAVE | OPCODE_FLAGS(INSN_INDIRECT);
		return reg == 3 || reg == 5 || reg == 7 ? 0 : entry;
	case KIND(PREFIX):
		return 0;
	}
	return wide_move ? entry + 4 : entry;
}

/* An operand-size prefix shortens immediates; what it does to branches depends on who made the CPU. */
static bool is_changed_by_width(uint32_t entry)
{
	return entry & FLOW || (entry & OPCODE_LENGTH) == 5 ||
	       (entry & OPCODE_CLOSER) == KIND(GROUP5);
}

uint32_t opcode_closer(uintptr_t at)
{
	const uint8_t *p = (const uint8_t *)at;
	bool narrow = false, wide = false;
	uint32_t entry;

	for (; opcode_one[*p] == KIND(PREFIX); p++) {
		narrow |= *p == 0x66;
		if ((uintptr_t)p - at == 4)
			return 0;
	}
	bool prefixed = (uintptr_t)p != at;

	if ((*p & 0xf0) == 0x40)
		wide = *p++ & 8;
	bool two = *p == 0x0f;

	p += two;
	entry = two ? opcode_two[*p] : opcode_one[*p];
	if (narrow && is_changed_by_width(entry))
		return 0;
	entry = adjusted(entry, p[1] >> 3 & 7, wide && !two && (*p & 0xf8) == 0xb8);
	if (!(entry & OPCODE_KNOWN) || (prefixed && entry & ENTER & ~FLOW))
		return 0;
	if (entry & OPCODE_MODRM)
		entry += opcode_operand[p[1]] & ~OPCODE_CLOSER;
	if (entry & OPCODE_MODRM && (p[1] & 0xc7) == 4 && (p[2] & 7) == 5)
		entry += 4 + OPCODE_FLAGS(INSN_INDEXED);
	entry &= ~(OPCODE_CLOSER | OPCODE_KNOWN | OPCODE_MODRM);
	return entry + (uint32_t)((uintptr_t)p - at);
}
