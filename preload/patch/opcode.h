/* opcode.h -- the commonest instructions: how long they are and what they do to the flow
 *
 * To read all parts of an instruction takes tens of nanoseconds and a libc has 20 000 in the functions
 * that matter, so most are looked up in tables of sums: what the opcode says and what ModRM says are
 * added, and the sum is length and flags. What is rare or needs care takes a second look; what the
 * tables do not want to know is for decoder.h. tests/unit/test_insn compares the two over all the text
 * at hand.
 *
 * Threads: any.    Errors: none.    Memory: never allocates.
 */
#ifndef PRELOAD_OPCODE_H
#define PRELOAD_OPCODE_H

#include "base.h"

#define INSN_LONGEST 15 /* bytes */
#define INSN_ROOM    16 /* bytes that must be mapped for the tables to be asked */

enum insn_flags {
	INSN_FLOW = 1, /* may go on elsewhere: never moved */
	INSN_STOP = 2, /* does not go on behind itself */
	INSN_JUMP = 4, /* may go to `target' */
	INSN_CALL = 8,
	INSN_LEAVE = 16, /* goes where we cannot see: ret, indirect jump or call */
	INSN_SYSCALL = 32,
	INSN_VECTOR = 64,    /* touches x87, MMX or XMM registers */
	INSN_WIDE = 128,     /* touches more: YMM, ZMM, XMM16 and up, masks */
	INSN_RIP = 256,	     /* has an operand relative to itself: `target' */
	INSN_INDIRECT = 512, /* jump through a register or memory: maybe a jump table */
	INSN_INDEXED = 1024, /* memory operand base-less with index: `target' may be a jump table */
};

#define OPCODE_LENGTH	   0xffu
#define OPCODE_CLOSER	   0xff00u		/* why a second look is needed */
#define OPCODE_FLAGS(flag) ((flag) * 0x10000u) /* enum insn_flags */
#define OPCODE_KNOWN	   0x40000000u
#define OPCODE_MODRM	   0x80000000u

/* What is said by the opcode, by the one behind 0f, and by ModRM. */
extern const uint32_t opcode_one[256], opcode_two[256], opcode_operand[256]
	__attribute__((visibility("hidden")));

/* opcode_place -- where the opcode's last byte stands, behind the prefixes. */
uintptr_t opcode_place(uintptr_t at);

/* opcode_target -- where a relative jump or call of this length leads. */
uintptr_t opcode_target(uintptr_t at, unsigned length);

/* opcode_closer -- the same as opcode_look, by a second look. */
uint32_t opcode_closer(uintptr_t at);

/* opcode_look -- OPCODE_LENGTH and OPCODE_FLAGS of what stands there, where INSN_ROOM bytes may be
 * read; 0 when decoder.h has to be asked. */
static inline uint32_t opcode_look(uintptr_t at)
{
	uint64_t bytes;
	uint32_t before = 0, sum;

	__builtin_memcpy(&bytes, (const void *)at, sizeof bytes);
	if ((bytes & 0xf0) == 0x40) { /* REX; mov to 64 bits has a longer immediate */
		if (unlikely((bytes & 0xf808) == 0xb808))
			return opcode_closer(at);
		bytes >>= 8;
		before = 1;
	}
	sum = opcode_one[bytes & 0xff];
	if ((bytes & 0xff) == 0x0f) {
		bytes >>= 8;
		before++;
		sum = opcode_two[bytes & 0xff];
	}
	if (sum & OPCODE_MODRM)
		sum += opcode_operand[bytes >> 8 & 0xff];
	if (unlikely((sum & (OPCODE_KNOWN | OPCODE_CLOSER)) != OPCODE_KNOWN))
		return opcode_closer(at);
	return (sum & ~(OPCODE_KNOWN | OPCODE_MODRM)) + before;
}

#endif
