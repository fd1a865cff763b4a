/* outcome.h -- what one run of `weft compare' gave
 *
 * It lies in memory that the process of the run shares with its parent, so it holds no pointers.
 */
#ifndef CLI_LOAD_OUTCOME_H
#define CLI_LOAD_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "load/histogram.h"

enum figure { /* P50 to MAX are percentiles of the latencies */
#define FIGURE(name, json, text, unit, better) FIGURE_##name,
#include "compare/figure.def"
#undef FIGURE
	FIGURES
};

enum figure_unit { UNIT_SECONDS, UNIT_BYTES, UNIT_NUMBER };

struct figure_kind {
	const char *json, *text;
	enum figure_unit unit;
	bool higher; /* is better */
};
extern const struct figure_kind figure_kinds[FIGURES];

/* figure_latency -- what the figure is of these latencies, in seconds; NAN for one that is none of them, or where there are none. */
double figure_latency(enum figure which, const struct histogram *h);

#define OUTCOME_METRICS 8
#define OUTCOME_ERROR	2048

enum counter {
#define COUNTER(name, text, value) COUNTER_##name,
#include "counter.def"
#undef COUNTER
	COUNTERS
};

struct counter_kind {
	const char *json, *text;
};
extern const struct counter_kind counter_kinds[COUNTERS];

/* What Weft's statistics said of the process that had most tasks. */
struct outcome_tasks {
	bool seen;	/* there was a file */
	bool active;	/* its threads were tasks */
	char why[128];	/* why they were not */
	uint64_t count[COUNTERS];
};

/* What looks at Weft's carriers found, in a run that does not count. */
struct outcome_looks {
	uint64_t looks;	  /* at a carrier that was no idle spare */
	uint64_t blocked; /* of these, asleep in a call in which no hub waits */
	char in[32];	  /* most often in this one */
};

struct outcome {
	int status;		/* of the program, as from waitpid */
	uint64_t output;	/* a hash of what it wrote to standard output */
	double figure[FIGURES]; /* NAN: not measured */
	double metric[OUTCOME_METRICS];
	bool time[OUTCOME_METRICS]; /* this metric is one, in seconds */
	double requests, failed;
	bool coarse;		/* the primary figure has too few quanta */
	double begun;		/* seconds since the comparison began */
	struct outcome_tasks tasks;
	struct outcome_looks carriers;
	char error[OUTCOME_ERROR]; /* the run is void; "" for none */
};

/* All that the process of a run hands over. */
struct outcome_shared {
	struct outcome outcome;
	struct histogram latency; /* of a load of ours; empty for any other */
};

#endif
