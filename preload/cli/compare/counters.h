/* counters.h -- what Weft's statistics say of the processes of one run
 *
 * Threads: any.    Errors: none.    Memory: the environment is never given back.
 */
#ifndef CLI_TASKS_H
#define CLI_TASKS_H

#include "load/outcome.h"

/* tasks_environment -- the same with a file of statistics in `dir' for each process, unless it says where already. */
char **tasks_environment(char **env, const char *dir);

/* tasks_file -- is this the name of such a file? */
bool tasks_file(const char *name);

/* tasks_read -- of the process that had most tasks. */
void tasks_read(const char *dir, struct outcome_tasks *to);

#endif
