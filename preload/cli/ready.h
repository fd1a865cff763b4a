/* ready.h -- when does a server serve?
 *
 * Threads: one.    Errors: a text.    Memory: none.
 */
#ifndef CLI_READY_H
#define CLI_READY_H

#include "child.h"

/* ready_wait -- until the condition of --ready holds, the server has ended or 20 s have passed.
 *
 * condition  with {port} and the like filled in
 * Returns 0, -EINTR when the run is to end, or -ENOTCONN with a text in `why'.
 */
int ready_wait(struct child *server, const char *condition, char *why, size_t n);

#endif
