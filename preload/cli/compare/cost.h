/* cost.h -- what a process and its descendants have used so far
 *
 * Threads: any.    Errors: what cannot be read counts as 0.    Memory: none.
 */
#ifndef CLI_COMPARE_COST_H
#define CLI_COMPARE_COST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cost {
	double cpu_s;	    /* threads that have ended included; of children that have, in ticks of 10 ms */
	double peak;	    /* bytes, the sum of each one's peak */
	uint64_t threads;   /* kernel threads that live */
	/* with `memory' only, in bytes: */
	double pss, page_tables, kernel_stacks;
};

/* cost_of -- of the whole tree. `memory' walks all page tables: not in a timed window. */
struct cost cost_of(pid_t root, bool memory);

#endif
