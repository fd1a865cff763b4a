/* option.h -- the options of a sub-command, read by a table
 *
 * A table is made from a .def file, one row an option, and ends with a row without name. `_' in a
 * name stands for `-'. Fields keep what they had where an option is not given.
 *
 * Threads: one.
 * Errors:  a line on standard error and an exit status.
 * Memory:  none; texts are those of argv.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MOST 16

struct option_list {
	size_t count;
	const char *text[OPTION_LIST_MOST];
};

/* The types of options, and of their fields. */
enum option_type {
	OPTION_COUNT,	/* int64_t: a whole number from 1 */
	OPTION_RATE,	/* double: above 0 */
	OPTION_TIME,	/* int64_t, ns: seconds, or with `ms', `s' or `m' behind */
	OPTION_TEXT,	/* const char * */
	OPTION_FLAG,	/* bool: no argument */
	OPTION_LIST,	/* struct option_list: may be given several times */
	OPTION_PERCENT, /* double, a fraction: 5% is 0.05 */
};

#define OPTION_FIELD_COUNT   int64_t
#define OPTION_FIELD_RATE    double
#define OPTION_FIELD_TIME    int64_t
#define OPTION_FIELD_TEXT    const char *
#define OPTION_FIELD_FLAG    bool
#define OPTION_FIELD_LIST    struct option_list
#define OPTION_FIELD_PERCENT double

struct option {
	const char *name;
	enum option_type type;
	void *field;
	const char *argument; /* for users */
};

/* option_take -- read the option at argv[0], and its value. Returns how many arguments that were,
 * or 0 with an exit status. */
int option_take(const char *command, const struct option *options, char **argv, int *status);

/* option_read -- read all options, up to the first argument that is none, or behind `--'.
 *
 * first  out: the index of what follows the options; -1 when there is nothing left to do, as after
 *        --help and after an error
 * Returns 0 or an exit status.
 */
int option_read(const char *command, const struct option *options, int argc, char **argv,
		int *first);

/* option_time -- read a time. Returns false for what is none. */
bool option_time(const char *text, int64_t *ns);

#endif
