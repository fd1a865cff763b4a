/* steal.h -- what others do on the machine while something is measured
 *
 * Threads: any.    Errors: none: what cannot be read is quiet.    Memory: none.
 */
#ifndef CLI_OTHERS_H
#define CLI_OTHERS_H

#include <stddef.h>

struct others {
	double all, stolen; /* ticks of all CPUs since the machine began; those that its host gave to others */
};

struct others others_now(void);

/* others_of -- of the first line of /proc/stat. */
struct others others_of(const char *line);

/* others_share -- the share of the time between the two that was stolen. */
double others_share(struct others from, struct others until);

/* others_load -- the processes that wanted a CPU in the last minute, in the mean; 0 where it is not known. */
double others_load(void);

#endif
