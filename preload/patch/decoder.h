/* decoder.h -- any x86-64 instruction: where its parts are
 *
 * It tells how long an instruction is and which parts it has; that every combination of these means something is not its
 * business, since it is asked about text that runs. What it does not know (of newer encodings APX and that of Knights Corner) it
 * refuses. Where Zydis is installed, tests/unit/test_insn compares the two over all the text at hand, at every byte, and over
 * all opcodes with all prefixes.
 *
 * Rejected: Zydis itself. Distributions ship it as a shared library alone, under another name with each version, or not at all; to
 * load it into the program costs as much as all the rest of activation.
 *
 * Threads: any.    Errors: 0 or -errno.    Memory: never allocates.
 */
#ifndef PRELOAD_DECODER_H
#define PRELOAD_DECODER_H

#include "base.h"

enum encoding { LEGACY, VEX, EVEX, XOP, AMD3DNOW };

/* The number of VEX and EVEX is the same for those that legacy instructions have. */
enum opcode_map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_EVEX_5 = 5, MAP_EVEX_6 = 6, MAP_XOP_8 = 8, MAP_XOP_9, MAP_XOP_10 };

struct decoded {
	int32_t displacement;
	int64_t immediate;	/* the first, with its sign */
	uint8_t length;
	uint8_t encoding, map, opcode;
	uint8_t rex;		/* 0: none */
	uint8_t mandatory;	/* the last of f2 and f3; 0: none */
	bool has_modrm, has_sib;
	uint8_t mod, reg, rm, base;	/* of three bits; mod of two */
	uint8_t displacement_at;	/* from the instruction's begin; 0: none */
	bool narrow;		/* operands of 16 bits */
	bool short_address;	/* addresses of 32 bits */
	bool relative;		/* the immediate is a distance from the instruction's end */
	bool long_vector;	/* VEX.L, XOP.L */
};

/* decoder_read -- the instruction at `at', of which `room' bytes may be read. Returns 0 or -EILSEQ. */
int decoder_read(uintptr_t at, size_t room, struct decoded *d);

/* decoder_may_write_rax -- may it write any part of rax? False only for what is known not to. */
bool decoder_may_write_rax(const struct decoded *d);

#endif
