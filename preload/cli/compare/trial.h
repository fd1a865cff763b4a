/* trial.h -- one run of one variant, in a process and, for root, a network of its own
 *
 * The process of the run starts everything else, is told of whatever is left behind, and takes its directory away. It ends when
 * its parent ends. So nothing stays, however the comparison ends.
 *
 * Threads: one.
 * Errors:  a text in the outcome; -EINTR when the comparison is to end.
 * Memory:  what the outcome lies in is the parent's.
 */
#ifndef CLI_COMPARE_TRIAL_H
#define CLI_COMPARE_TRIAL_H

#include "compare/plan.h"
#include "run.h"

struct trial {
	const struct compareplan *plan;
	const struct variant *variant;
	const struct run_program *program; /* how the variant is started, its words not yet filled in */
	int64_t connections;
	unsigned padding; /* bytes of environment */
	bool look;	  /* at memory and carriers; its times do not count */
};

/* trial_run -- do it. `to' lies in shared memory. Returns 0 or -EINTR. */
int trial_run(const struct trial *t, struct outcome_shared *to);

/* trial_interrupt -- in a signal handler: the present run, and the comparison, is to end. */
void trial_interrupt(int sig);

#endif
