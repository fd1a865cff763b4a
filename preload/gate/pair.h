/* pair.h -- two bytes that may be a `syscall', and what is known of those around them
 *
 * One bit a byte, from PAIR_BEFORE bytes before the pair to PAIR_BEHIND behind it: room for what a
 * jump can overwrite, and for the rest of a basic block that sets eax.
 */
#ifndef PRELOAD_PAIR_H
#define PRELOAD_PAIR_H

#include "base.h"

#define PAIR_BEFORE 58
#define PAIR_BEHIND 5

struct pair {
	uintptr_t at;	  /* where 0f 05 stands */
	uint64_t starts;  /* bit i: an instruction begins at at - PAIR_BEFORE + i */
	uint64_t targets; /* bit i: a branch leads there */
};

/* pair_bit -- the bit of an address, 0 where it is out of sight. */
static inline uint64_t pair_bit(const struct pair *p, uintptr_t at)
{
	uintptr_t i = at - (p->at - PAIR_BEFORE);

	return i < 64 ? 1ull << i : 0;
}

static inline bool pair_is_target(const struct pair *p, uintptr_t at)
{
	return p->targets & pair_bit(p, at);
}

/* pair_instruction_before -- where the instruction before `at' begins, 0 where that is out of
 * sight. */
static inline uintptr_t pair_instruction_before(const struct pair *p, uintptr_t at)
{
	uint64_t before = p->starts & (pair_bit(p, at) - 1);

	return before ? p->at - PAIR_BEFORE + 63 - (unsigned)__builtin_clzll(before) : 0;
}

/* pair_literal_number -- the number in what looks like a mov to eax or rax right before, else -1.
 * Eight bytes before the pair are read. */
static inline int pair_literal_number(const struct pair *p)
{
	const uint8_t *b = (const uint8_t *)p->at;
	int32_t nr;

	__builtin_memcpy(&nr, b - 4, 4);
	if (b[-5] != 0xb8 && (b[-7] != 0x48 || b[-6] != 0xc7 || b[-5] != 0xc0))
		return -1;
	return nr >= 0 && nr < 1024 ? nr : -1;
}

#endif
