/* schedule.h -- what chance decides about a pair of runs, again the same from the same seed
 *
 * Which of the two runs goes first is drawn in permuted blocks of two pairs: one pair of a block
 * runs AB and the other BA, and chance says which. So a machine that slows down costs both the
 * same over every block, and nothing that comes back in time can fall in step with the order.
 * The environment is padded, because where a program's stack begins moves its speed by more than
 * what we look for (Mytkowicz and others, 2009); both runs of a pair get the same padding.
 *
 * A draw is splitmix64's output function applied to the seed and a counter, so pair 40 can be asked
 * for without the 39 before it, and a series that is gone on with later is the one it would have
 * been. Series that are to differ, those of several levels say, take seeds that differ by anything.
 *
 * Threads: any function, from any thread.    Errors: none.    Memory: none.
 */
#ifndef CLI_COMPARE_SCHEDULE_H
#define CLI_COMPARE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_PADDING 4096 /* bytes at most */

struct schedule {
	bool swapped;	  /* B runs before A */
	unsigned padding; /* bytes to add to the environment, 0 to SCHEDULE_PADDING */
};

/* schedule_of -- how pair number `pair' runs, counted from 0. */
struct schedule schedule_of(uint64_t seed, unsigned pair);

#endif
