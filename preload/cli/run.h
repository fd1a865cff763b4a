/* run.h -- what `weft run' would become, for those who start it themselves
 *
 * Threads: one.
 * Errors:  a line on standard error and an exit status.
 * Memory:  never given back.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>

struct run_program {
	const char *path;
	char **argv;
	char **env;
	bool helped; /* the library is in env */
};

/* run_find -- do what `weft run' with these arguments does, up to its exec. The options are left in
 * the environment of the caller. Returns 0 or an exit status. */
int run_find(int argc, char **argv, struct run_program *to);

#endif
