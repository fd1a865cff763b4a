/* near.h -- the addresses worth a closer look, as a bitmap of grains
 *
 * Of the 32 000 branches of a libc 500 lead near a pair; this answers for the others with one load.
 *
 * Threads: one at a time.    Errors: 0 or -errno.    Memory: the caller's.
 */
#ifndef PRELOAD_NEAR_H
#define PRELOAD_NEAR_H

#include "base.h"

#define NEAR_GRAIN 64 /* bytes of text to a bit */

struct near {
	uint64_t *bits;
	uintptr_t low, high; /* the first grain begins at low */
	size_t grains;	     /* the one behind the last stands for all that is outside, and stays clear */
};

static inline struct near near_make(uintptr_t low, uintptr_t high)
{
	return (struct near){.low = low, .high = high, .grains = (high - low + NEAR_GRAIN - 1) / NEAR_GRAIN};
}

/* near_size -- bytes of zeroed memory that `bits' has to lead to. */
static inline size_t near_size(const struct near *n)
{
	return (n->grains / 64 + 1) * sizeof *n->bits;
}

static inline size_t near_grain(const struct near *n, uintptr_t at)
{
	size_t grain = (at - n->low) / NEAR_GRAIN;

	return grain < n->grains ? grain : n->grains;
}

static inline void near_set(struct near *n, uintptr_t at)
{
	size_t grain = near_grain(n, at);

	if (grain < n->grains)
		n->bits[grain / 64] |= 1ull << (grain % 64);
}

static inline bool near_is(const struct near *n, uintptr_t at)
{
	size_t grain = near_grain(n, at);

	return n->bits[grain / 64] >> (grain % 64) & 1;
}

#endif
