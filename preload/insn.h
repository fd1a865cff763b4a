/* insn.h -- one decoded instruction: how long it is and what it does to the flow
 *
 * Zydis decodes. It takes 100 ns an instruction and a libc has 20 000 in the functions that matter,
 * so the commonest opcodes are looked up in a table first; tests/unit/test_insn compares the table
 * with Zydis over all the text at hand. What is going to be moved is always decoded by Zydis as
 * well (insn_confirm).
 *
 * Threads: insn_open once, before the first use; the rest from anywhere.
 * Errors:  0 or -errno.
 * Memory:  insn_open lets the loader allocate, the rest never.    Locks: insn_open the loader's.
 */
#ifndef PRELOAD_INSN_H
#define PRELOAD_INSN_H

#include "base.h"

#define INSN_ROOM 16 /* enough to read; what was decoded before needs no more care */

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

struct insn {
	uint8_t length;
	uint8_t disp; /* with INSN_RIP: where its 32-bit displacement stands in the instruction */
	uint16_t flags;
	uintptr_t target; /* of INSN_JUMP, INSN_RIP, INSN_INDEXED: an address */
};

/* insn_open -- load Zydis. Returns 0, or -ENOENT where it is not installed. It stays loaded. */
int insn_open(void);

/* insn_decode -- decode what stands at `at', of which `room' bytes may be read. Returns 0 or
 * -EILSEQ. */
int insn_decode(uintptr_t at, size_t room, struct insn *in);

/* insn_confirm -- true when Zydis sees the same as insn_decode did. */
bool insn_confirm(uintptr_t at, const struct insn *in);

/* insn_rax -- what becomes of rax.
 *
 * Returns true when it is written; *value is then the constant written, or -1.
 */
bool insn_rax(uintptr_t at, const struct insn *in, int *value);

/* insn_table -- as insn_decode, from the table alone; for the test. Returns 0 or -ENOENT where
 * Zydis has to be asked. */
int insn_table(uintptr_t at, struct insn *in);

#endif
