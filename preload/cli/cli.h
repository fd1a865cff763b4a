/* cli.h -- what the parts of the `weft' command share
 *
 * Threads: one.
 * Errors:  a line on standard error and an exit status, see below.
 * Memory:  given back at exit.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stddef.h>
#include <stdio.h>

/* As env(1) has them, so that a script can tell our failures from the program's. */
enum cli_status {
	CLI_FAILED = 1,		/* a file or a process is not what the command needs */
	CLI_USAGE = 125,	/* wrong options, or Weft itself cannot work */
	CLI_NOT_EXECUTABLE = 126,
	CLI_NOT_FOUND = 127,
};

enum cli_option_type { CONF_INT, CONF_FLAG, CONF_TEXT, CONF_LEVEL };

/* One row of conf.def, as an option of `weft run'. */
struct cli_option {
	const char *name;	/* as in `--name' */
	enum cli_option_type type;
	const char *initial;	/* the default, as C source */
	const char *variable;	/* of the environment */
	const char *argument;
	const char *help;
};

extern const struct cli_option cli_options[];
extern const size_t cli_option_count;

#define CLI_LEVELS 5
extern const char *const cli_levels[CLI_LEVELS];	/* names of a CONF_LEVEL's values */

/* cli_fail -- print `weft: ...' on standard error. Returns `status'. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* cli_help -- print what `weft --help' shows, or `weft NAME --help'. Returns the exit status. */
int cli_help(void);
int cli_help_of(const char *name);

/* The sub-commands: argv[0] is the name of the sub-command. They return the exit status. */
#define COMMAND(name, arguments, help) int name##_command(int argc, char **argv);
#include "command.def"
#undef COMMAND

#endif
