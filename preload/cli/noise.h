/* noise.h -- what others do on the machine while something is measured
 *
 * Threads: any.    Errors: none: what cannot be read is quiet.    Memory: none.
 */
#ifndef CLI_NOISE_H
#define CLI_NOISE_H

#include <stddef.h>

struct noise {
	double all, stolen; /* ticks of all CPUs since the machine began; those that its host gave to others */
};

struct noise noise_now(void);

/* noise_of -- of the first line of /proc/stat. */
struct noise noise_of(const char *line);

/* noise_stolen -- the share of the time between the two that was stolen. */
double noise_stolen(struct noise from, struct noise until);

/* noise_load -- the processes that wanted a CPU in the last minute, in the mean; 0 where it is not known. */
double noise_load(void);

#endif
