/* age.h -- how long tasks have waited for descriptors
 *
 * The monitor looks at all waits from time to time. One that it finds for the third time is looked at once: its registration is
 * renewed, which reports what is ready now (fd.h).
 *
 * Threads: the monitor's alone.    Locks: an entry's, while it is looked at.
 */
#ifndef PRELOAD_AGE_H
#define PRELOAD_AGE_H

#include <stdbool.h>

/* age_sweep -- look at all waits. Returns whether there is one that has not been looked at in its age. For monitor_on_sweep. */
bool age_sweep(void);

#endif
