/* metric.h -- a figure that the user finds in a load's output: --metric NAME=REGEX[:higher|:lower]
 *
 * REGEX is an extended one of POSIX, matched within each line; the first group of its last match is
 * the figure, a number with a unit as quantity.h has them. Standard output is searched, and
 * standard error if nothing matches there.
 *
 * Threads: any function, from anywhere.
 * Errors:  as text.    Memory: metric_init's is given back by metric_fini.
 */
#ifndef CLI_COMPARE_METRIC_H
#define CLI_COMPARE_METRIC_H

#include <regex.h>

#include "compare/reader.h"

#define METRIC_NAME 32

enum metric_better {
	METRIC_UNSAID,		/* higher, but an error for a time: nobody means that */
	METRIC_HIGHER,
	METRIC_LOWER,
};

struct metric {
	char name[METRIC_NAME];
	enum metric_better better;
	regex_t regex;
};

/* metric_init -- understand what stands behind --metric. Returns false with a text in `error'. */
bool metric_init(struct metric *m, const char *spec, char *error, size_t n);
void metric_fini(struct metric *m);

/* metric_read -- find the figure. Returns false with a text in `error' for a run that did not end
 * well, for no match, and for what is no number above 0: ratios are compared. */
bool metric_read(const struct metric *m, const struct reader_run *run, struct quantity *to,
		 char *error, size_t n);

#endif
