/* counters.h -- what Weft's statistics say of the processes of one run
 *
 * Threads: any.    Errors: none.    Memory: the environment is never given back.
 */
#ifndef CLI_COMPARE_COUNTERS_H
#define CLI_COMPARE_COUNTERS_H

#include "load/outcome.h"

/* counters_environment -- the same with a file of statistics in `dir' for each process, unless it says where already. */
char **counters_environment(char **env, const char *dir);

/* counters_file -- is this the name of such a file? */
bool counters_file(const char *name);

/* counters_read -- of the process that had most tasks. */
void counters_read(const char *dir, struct outcome_tasks *to);

#endif
