/* loop.h -- run a load: one thread, one epoll set, all connections
 *
 * Threads: one.    Errors: see below.    Memory: until the process ends.
 */
#ifndef CLI_LOAD_LOOP_H
#define CLI_LOAD_LOOP_H

#include "load/connection.h"

/* loop_run -- do what the plan says; what came of it is in the tally. Returns 0, or an exit status
 * when the load could not even begin, which is said on standard error. */
int loop_run(const struct loadplan *plan, const struct protocol *protocol, struct address *to);

#endif
