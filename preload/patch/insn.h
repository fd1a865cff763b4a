/* insn.h -- one decoded instruction: how long it is and what it does to the flow
 *
 * decoder.h reads what opcode.h does not know. What is going to be moved is always read by it as well
 * (insn_confirm).
 *
 * Threads: any.    Errors: 0 or -errno.    Memory: never allocates.
 */
#ifndef PRELOAD_INSN_H
#define PRELOAD_INSN_H

#include "patch/opcode.h"

struct insn {
	uint8_t length;
	uint8_t disp; /* with INSN_RIP: where its 32-bit displacement stands in the instruction */
	uint16_t flags;
	uintptr_t target; /* of INSN_JUMP, INSN_RIP, INSN_INDEXED: an address */
};

/* insn_decode -- decode what stands at `at', of which `room' bytes may be read. Returns 0 or
 * -EILSEQ. */
int insn_decode(uintptr_t at, size_t room, struct insn *in);

/* insn_confirm -- true when decoder.h sees the same as insn_decode did. */
bool insn_confirm(uintptr_t at, const struct insn *in);

/* insn_rax -- what becomes of rax.
 *
 * Returns true when it is written; *value is then the constant written, or -1.
 */
bool insn_rax(uintptr_t at, const struct insn *in, int *value);

/* insn_table -- as insn_decode, from the tables of opcode.h alone. Returns 0 or -ENOENT where
 * decoder.h has to be asked. */
int insn_table(uintptr_t at, struct insn *in);

#endif
