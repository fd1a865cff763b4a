/* insn.h -- one decoded instruction: how long it is and what it does to the flow
 *
 * Zydis decodes what opcode.h does not know. What is going to be moved is always decoded by Zydis as
 * well (insn_confirm).
 *
 * Threads: insn_open once, before the first use; the rest from anywhere.
 * Errors:  0 or -errno.
 * Memory:  insn_open lets the loader allocate, the rest never.    Locks: insn_open the loader's.
 */
#ifndef PRELOAD_INSN_H
#define PRELOAD_INSN_H

#include "opcode.h"

struct insn {
	uint8_t length;
	uint8_t disp; /* with INSN_RIP: where its 32-bit displacement stands in the instruction */
	uint16_t flags;
	uintptr_t target; /* of INSN_JUMP, INSN_RIP, INSN_INDEXED: an address */
};

/* insn_open -- load Zydis. Returns 0, or -ENOENT where it is not installed. It stays loaded. */
int insn_open(void);

/* insn_library -- an address within Zydis, which makes no system calls of its own; 0 before insn_open. */
uintptr_t insn_library(void);

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

/* insn_table -- as insn_decode, from the tables of opcode.h alone. Returns 0 or -ENOENT where Zydis
 * has to be asked. */
int insn_table(uintptr_t at, struct insn *in);

#endif
