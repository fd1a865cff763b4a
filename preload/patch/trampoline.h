/* trampoline.h -- slots: the code that a site jumps to
 *
 * They lie in libweft's own text (thunk.S), so that one FDE there describes them all; a slot is
 * ARCH_SLOT_SIZE bytes, aligned to that. A slot of the form SITE_BEFORE:
 *
 *	the instructions that the jump at the site overwrote
 *	lea	-128(%rsp),%rsp			past the red zone
 *	call	gate_entry			keeps all registers and flags but rax, rcx, r11
 *	lea	128(%rsp),%rsp
 *	jrcxz	1f				rcx 0: not ours, rax is the number again
 *	jmp	behind the syscall		ours, rax is the result
 * 1:	jmp	the syscall
 *
 * Where the syscall itself was overwritten, what follows it (if that was, too) stands before both
 * jumps, and a syscall before the second, which leads behind it as well. Data stands at its end:
 *
 *	+112	uint64	address behind the site's syscall
 *	+120	uint32	bit 0: the function uses vector registers
 *			bit 1: the site's syscall is overwritten
 *			bits 8-15: size of what stands before the first lea; the gate returns to
 *			that size + 10.
 *	+124	int32	number of the system call, -1 where it is not constant
 *
 * Text that is out of reach of a relative jump has its slots as well; the jumps back are indirect
 * then.
 *
 * Threads: one at a time.    Errors: 0 or -errno.    Memory: never allocates.    Locks: none.
 */
#ifndef PRELOAD_TRAMPOLINE_H
#define PRELOAD_TRAMPOLINE_H

#include "patch/sites.h"

#define TRAMPOLINE_NR	    124
#define TRAMPOLINE_VECTOR 1
#define TRAMPOLINE_GONE   2
#define TRAMPOLINE_PREFIX 8 /* shift */

/* In thunk.S. */
extern char weft_slots[] __attribute__((visibility("hidden")));
extern char weft_slots_end[] __attribute__((visibility("hidden")));
extern char gate_entry[] __attribute__((visibility("hidden")));

/* trampoline_get -- take a free slot, the lowest one. Returns its number or -ENOSPC. */
int trampoline_get(void);

/* trampoline_put -- give it back. Its code stays until it is written again. */
void trampoline_put(int slot);

uintptr_t trampoline_address(int slot);

/* trampoline_take -- codewrite_take for the pages of all slots; those up to `last' are going to be written. */
void trampoline_take(int last);

/* trampoline_reaches -- true when a relative jump leads from any slot to any address of the range and
 * back. */
bool trampoline_reaches(uintptr_t low, uintptr_t high);

/* trampoline_build -- make the code for a site, to be written to the slot's address.
 *
 * Returns 0, or -ERANGE when something relative would be out of reach from there, and cannot be said otherwise.
 */
int trampoline_build(int slot, const struct site *s, uint8_t code[ARCH_SLOT_SIZE]);

#endif
