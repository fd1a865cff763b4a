/* confine.h -- filters of system calls (seccomp) that this process runs under
 *
 * A filter allows what its author knew of the program. Our own calls are others, and a forbidden one ends the process or fails
 * in a way that nothing here expects. So the library asks before it does anything at all.
 *
 * Threads: any.  Memory: a page while a trial runs.
 */
#ifndef PRELOAD_CONFINE_H
#define PRELOAD_CONFINE_H

#include <stdbool.h>

/* confine_look -- is there a filter? To be called once, before any other call of ours. It makes only calls that the loader has
 * just made.
 *
 * Returns the id of this process if a filter is there and the file that says so names it, else 0.
 */
int confine_look(void);

/* confine_note -- the program has set a filter of its own. */
void confine_note(void);

/* confine_own -- has it? */
bool confine_own(void);

/* confine_stops -- do filters forbid our calls? The first caller of a process that was started with a filter tries all of them in
 * a child.
 *
 * call  set to the name of the first forbidden call, or to NULL where that is not known; may be NULL
 */
bool confine_stops(const char **call);

/* confine_filtered -- does it run under a filter, though one that allows all of our calls? */
bool confine_filtered(void);

/* confine_reason -- why the process runs natively, for a person to read; NULL when filters forbid nothing. */
const char *confine_reason(void);

/* confine_statistics -- may the file of the counters be made? */
bool confine_statistics(void);

#endif
