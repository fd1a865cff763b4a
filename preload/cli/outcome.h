/* outcome.h -- what one run of `weft compare' gave
 *
 * It lies in memory that the process of the run shares with its parent, so it holds no pointers.
 */
#ifndef CLI_OUTCOME_H
#define CLI_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum figure {
#define FIGURE(name, json, text, unit, better) FIGURE_##name,
#include "figure.def"
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

#define OUTCOME_METRICS 8
#define OUTCOME_ERROR	2048

/* What Weft's statistics said of the process that had most tasks. */
struct outcome_tasks {
	bool seen;	/* there was a file */
	bool active;	/* its threads were tasks */
	char why[128];	/* why they were not */
	uint64_t hubs, most, created, switches, offloads, handoffs, preemptions, calls, calls_native;
};

struct outcome {
	int status;		/* of the program, as from waitpid */
	uint64_t output;	/* a hash of what it wrote to standard output */
	double figure[FIGURES]; /* NAN: not measured */
	double metric[OUTCOME_METRICS];
	double requests, failed;
	bool coarse;		/* the primary figure has too few quanta */
	double begun;		/* seconds since the comparison began */
	struct outcome_tasks tasks;
	char error[OUTCOME_ERROR]; /* the run is void; "" for none */
};

#endif
