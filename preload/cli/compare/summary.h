/* summary.h -- what the runs of a comparison say
 *
 * Threads: one.    Errors: none.    Memory: the caller's.
 */
#ifndef CLI_COMPARE_SUMMARY_H
#define CLI_COMPARE_SUMMARY_H

#include "compare/record.h"
#include "compare/verdict.h"

/* One variant against the first one, at one level. */
struct summary_one {
	struct verdict_case one;
	struct verdict verdict;
	const char *error; /* of the first run that was void, or NULL */
	const char *error_of; /* the variant that had it */
};

struct summary {
	struct summary_one of[VARIANTS_MOST][LEVELS_MOST]; /* the first row is not used */
};

void summary_make(struct summary *s, const struct record *r);

/* A value of a run; NAN where it has none. */
typedef double summary_value(const struct record_run *run, unsigned which);
summary_value summary_figure, summary_metric, summary_counter;

/* summary_ratio -- the ratio of any figure, with its interval at 95 %. Returns false where there is none, as with a
 * zero among the values. */
bool summary_ratio(const struct record *r, unsigned level, unsigned variant, summary_value *value, unsigned which,
		   struct estimate *e);

/* summary_median -- of a figure over a variant's runs of this kind; NAN for none. */
double summary_median(const struct record *r, enum run_kind kind, unsigned level, unsigned variant, summary_value *value,
		      unsigned which);

/* summary_time -- are this metric's values times, in seconds? */
bool summary_time(const struct record *r, unsigned metric);

/* summary_latency -- all latencies of a variant's counted runs. Returns false where there are none. */
bool summary_latency(const struct record *r, unsigned level, unsigned variant, struct histogram *to);

/* One figure of a variant beside the first one's, as it is shown. */
struct summary_row {
	const char *name, *json;
	enum figure_unit unit;
	enum {
		SUMMARY_MEDIAN, /* of the counted runs; the ratio is that of pairs */
		SUMMARY_MERGED, /* of all their latencies; the ratio is the quotient, its interval that of pairs or none */
		SUMMARY_LOOK,	/* of the run that looked at memory: no interval */
	} from;
	bool latency;		 /* at a percentile */
	double base, variant;	 /* NAN: not known, like all that follows */
	double ratio, lower, upper;
};

/* summary_rows -- all that there are, what gets the verdict first. Returns how many. */
#define SUMMARY_ROWS (OUTCOME_METRICS + FIGURES)
unsigned summary_rows(const struct record *r, unsigned level, unsigned variant, struct summary_row rows[SUMMARY_ROWS]);

/* summary_logs -- of the primary figure's ratios, in order of time; room for ESTIMATE_MOST. Returns how many. */
unsigned summary_logs(const struct record *r, unsigned level, unsigned variant, double *logs);

/* summary_pairs -- how many pairs have a valid run of each. */
unsigned summary_pairs(const struct record *r, unsigned level, unsigned variant);

/* summary_why -- the nth reason, from 0, for what was found; NULL when there is none more. Holds until the next call. */
const char *summary_why(const struct record *r, unsigned level, unsigned variant, unsigned n);

#endif
