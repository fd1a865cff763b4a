/* serving.h -- when does a server serve?
 *
 * Threads: one.    Errors: a text, but for serving_check.    Memory: none.
 */
#ifndef CLI_COMPARE_SERVING_H
#define CLI_COMPARE_SERVING_H

#include "child.h"

/* serving_check -- before any run: is it a condition at all? Returns 0, or an exit status with a line on standard error. */
int serving_check(const char *condition);

/* serving_already -- does somebody accept there before the server has begun? */
bool serving_already(const char *condition);

/* serving_wait -- until the condition of --ready holds, the server has ended or time is up.
 *
 * condition    with {port} and the like filled in
 * patience_ns  20 s if it is more
 * Returns 0, -EINTR when the run is to end, or -ENOTCONN with a text in `why'.
 */
int serving_wait(struct child *server, const char *condition, int64_t patience_ns, char *why, size_t n);

#endif
