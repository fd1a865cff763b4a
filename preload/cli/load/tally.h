/* tally.h -- what a load counts
 *
 * A request belongs to the window when it started there, in an open loop when it was to start
 * there; its latency is counted from that instant. The rate is that of the answers that came in the
 * window. Failures are counted through the whole run, so that none is hidden.
 *
 * Threads: one.    Errors: none.    Memory: static.
 */
#ifndef CLI_LOAD_TALLY_H
#define CLI_LOAD_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/histogram.h"
#include "load/plan.h"

enum failure {
	FAILURE_none,
#define FAILURE(name, meaning) FAILURE_##name,
#include "load/failure.def"
#undef FAILURE
	FAILURES
};

#define TALLY_STATUSES 1000 /* HTTP's have three digits */
#define TALLY_TEXT     72   /* bytes of a failure's description */

struct tally {
	/* requests of the window */
	uint64_t started, answered, failed;
	struct histogram latency; /* of those answered */
	struct histogram late;	  /* how late the generator itself was */

	/* the window */
	bool open;
	int64_t window_ns; /* its length */
	int64_t cpu_ns;	   /* processor time of this process */
	int64_t queued_ns; /* in which it was ready to run and had no CPU; -1: not known */
	uint64_t answers;  /* good ones that came in it */
	uint64_t ends;	   /* requests that ended in it, well or not */
	uint64_t due;	   /* requests that were to start in it; open loop only */
	uint64_t unsent;   /* at its end: due, and no connection was free for them */
	uint64_t unsent_max;

	/* the run */
	uint64_t failures[FAILURES];
	char first[FAILURES][TALLY_TEXT]; /* description of the first one */
	uint64_t opened;		  /* connections */
	uint64_t received;		  /* bytes */
	uint64_t statuses[TALLY_STATUSES];
	uint64_t held; /* idle connections */
	int64_t held_ns;
	bool begun; /* the first request was answered */
	bool interrupted;
};

extern struct tally tally;

extern const char *const failure_names[FAILURES];
extern const char *const failure_meanings[FAILURES];

/* tally_describe -- say what a failure of this kind looked like; only the first text is kept. */
void tally_describe(enum failure kind, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* tally_fail -- count a failure. */
void tally_fail(enum failure kind);

/* tally_end -- a request has ended: after `ns', or failed unless `kind' is FAILURE_none.
 *
 * inside  it is one of the window
 */
void tally_end(enum failure kind, int64_t ns, bool inside);

/* tally_failures -- all of them. */
uint64_t tally_failures(void);

/* tally_window -- the window opens, or closes when it is open. */
void tally_window(int64_t now_ns);

/* tally_warning -- the nth thing, from 0, that a reader of the figures has to know; NULL when there
 * is none more. The text holds until the next call. */
const char *tally_warning(const struct loadplan *plan, size_t n);

#endif
