/* plan.h -- what a comparison is to do: the options of `weft compare', and what follows from
 * them
 *
 * Threads: one.
 * Errors:  a line on standard error and an exit status.
 * Memory:  never given back.
 */
#ifndef CLI_COMPARE_PLAN_H
#define CLI_COMPARE_PLAN_H

#include "compare/metric.h"
#include "option.h"
#include "load/outcome.h"
#include "compare/reader.h"
#include "compare/verdict.h"

#define VARIANTS_MOST 8
#define LEVELS_MOST   16
#define NAME_MOST     24

struct variant {
	char name[NAME_MOST];
	char **words;	  /* VAR=VALUE and options of `weft run'; NULL for none */
	bool weft;
	char **argv;	  /* of the program, before {port} and the like are filled in */
};

struct compareplan {
#define PLAN(field, type, initial, argument, help) OPTION_FIELD_##type field;
#include "compare/plan.def"
#undef PLAN
	char **argv; /* PROGRAM [ARG...] */
	struct variant variants[VARIANTS_MOST];
	unsigned variant_count;
	int64_t level[LEVELS_MOST]; /* connections */
	unsigned level_count;
	struct metric metrics[OUTCOME_METRICS];
	unsigned metric_count;
	const struct reader *reader; /* of --load's output, or NULL */
	const char *read_b;
	bool server;
	int stop_signal;
	struct verdict_rule rule;
	unsigned fewest; /* pairs: the first look that can end in a verdict */
	enum figure primary;
};

/* compareplan_read -- understand the arguments. Returns 0 or an exit status; *done is set when there
 * is nothing left to do, as after --help. */
int compareplan_read(struct compareplan *plan, int argc, char **argv, bool *done);

/* compareplan_higher -- is more better, of what gets the verdict? And its name for people. */
bool compareplan_higher(const struct compareplan *plan);
const char *compareplan_primary(const struct compareplan *plan);

/* compareplan_signal -- a signal's name without SIG, or NULL. */
const char *compareplan_signal(int sig);

#endif
