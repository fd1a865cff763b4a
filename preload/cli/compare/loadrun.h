/* loadrun.h -- the load of one run: ours or a tool's, and what the server used meanwhile
 *
 * Threads: one.
 * Errors:  a text in the outcome with -ECANCELED; -EINTR when the run is to end.
 * Memory:  none.
 */
#ifndef CLI_COMPARE_LOADRUN_H
#define CLI_COMPARE_LOADRUN_H

#include "child.h"
#include "compare/plan.h"
#include "compare/fill.h"

/* loadrun -- put the server under load.
 *
 * look     at its memory in the middle, and at its carriers all the time
 * latency  all of them, where the load is ours
 */
int loadrun(const struct compareplan *plan, const struct fill *fill, struct child *server, bool look,
	    struct outcome *to, struct histogram *latency);

/* loadrun_metrics -- find the figures of --metric in what a command has printed. */
int loadrun_metrics(const struct compareplan *plan, const char *command, int status, const char *out, const char *err,
		    struct outcome *to);

/* loadrun_tail -- the last lines of a file, each on a line of its own behind a colon; "" for none. Holds until the next call. */
const char *loadrun_tail(const char *path);

#endif
