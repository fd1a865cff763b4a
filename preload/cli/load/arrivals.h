/* arrivals.h -- when the requests of an open loop are due
 *
 * Request K, from 0, is due at origin + K / rate, whatever became of the others, and none is due
 * from the end on. Those that no connection was free for need not be kept: they are the numbers
 * between what was sent and what is due.
 *
 * Threads: one.    Errors: none.    Memory: the caller's.
 */
#ifndef CLI_LOAD_ARRIVALS_H
#define CLI_LOAD_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#define ARRIVALS_NEVER INT64_MAX

struct arrivals {
	double rate; /* a second */
	int64_t origin_ns;
	int64_t end_ns;
	uint64_t sent; /* requests, those included that were given up */
};

/* arrivals_of -- requests that are due from origin_ns on, and end with a window that begins at
 * window_ns: after window_ns + length_ns, or after so many requests of the window, or what comes
 * first; 0 is no limit. */
struct arrivals arrivals_of(double rate, int64_t origin_ns, int64_t window_ns, int64_t length_ns,
			    uint64_t requests);

/* arrivals_next -- when the next request is due; ARRIVALS_NEVER when none is any more. */
int64_t arrivals_next(const struct arrivals *a);

/* arrivals_count -- how many requests are due before this instant. */
uint64_t arrivals_count(const struct arrivals *a, int64_t ns);

#endif
