/* steal.h -- what others do on the machine while something is measured
 *
 * Threads: any.    Errors: none: what cannot be read is quiet.    Memory: none.
 */
#ifndef CLI_COMPARE_STEAL_H
#define CLI_COMPARE_STEAL_H

#include <stddef.h>

struct others {
	double all, stolen; /* ticks of all CPUs since the machine began; those that its host gave to others */
};

struct others steal_now(void);

/* steal_of -- of the first line of /proc/stat. */
struct others steal_of(const char *line);

/* steal_share -- the share of the time between the two that was stolen. */
double steal_share(struct others from, struct others until);

/* steal_load -- the processes that wanted a CPU in the last minute, in the mean; 0 where it is not known. */
double steal_load(void);

#endif
