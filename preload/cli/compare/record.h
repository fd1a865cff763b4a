/* record.h -- a comparison: what was asked, and every run of it, in memory and in a file
 *
 * The file is JSON, an object a line (weft-compare(1) describes them): a header, then the runs as they come, each written at once,
 * so that a comparison that is killed loses none. A line that was cut short, at the end or before the next header, is left out
 * when the file is read.
 *
 * Threads: one.
 * Errors:  a line on standard error and an exit status.
 * Memory:  never given back.
 */
#ifndef CLI_COMPARE_RECORD_H
#define CLI_COMPARE_RECORD_H

#include "compare/plan.h"

#define RECORD_FORMAT 1

enum run_kind { RUN_TIMED, RUN_WARMUP, RUN_MEMORY, RUN_KINDS };
extern const char *const record_kind_names[RUN_KINDS];

struct record_run {
	enum run_kind kind;
	unsigned level, pair, variant; /* counted from 0 */
	bool second;		       /* of its pair */
	struct outcome outcome;
	char *latency; /* histogram.h's text, or NULL */
};

struct record {
	char program[300]; /* and its arguments */
	char machine[200];
	char primary[64];  /* the name of what gets the verdict */
	int primary_metric; /* its number among the metrics, or -1 */
	enum figure primary_figure;
	bool higher, server, quick;
	char variants[VARIANTS_MOST][NAME_MOST];
	unsigned variant_count;
	bool weft[VARIANTS_MOST];
	int64_t level[LEVELS_MOST];
	unsigned level_count;
	char metrics[OUTCOME_METRICS][METRIC_NAME];
	unsigned metric_count;
	bool same_output, fixed_rate;
	double rate; /* requests a second that were asked for, or 0 */
	int64_t seed;
	double seconds;
	double stack; /* bytes of address space for a thread's stack; 0: unlimited, NAN: not known */
	struct verdict_rule rule;
	struct record_run *runs;
	size_t count;
	int fd; /* where runs are written, or -1 */
};

/* record_begin -- from a plan; opens its --output. Returns 0 or an exit status. */
int record_begin(struct record *r, const struct compareplan *plan);

/* record_add -- keep one more run, and write it. Returns 0 or an exit status. */
int record_add(struct record *r, const struct record_run *run);

/* record_read -- the last comparison that a file holds. */
int record_read(struct record *r, const char *path);

/* record_value -- the primary figure of a run; NAN where it has none. */
double record_value(const struct record *r, const struct record_run *run);

/* record_find -- a run; NULL where there is none. */
const struct record_run *record_find(const struct record *r, enum run_kind kind, unsigned level, unsigned variant,
				     unsigned pair);

#endif
