/* reader.h -- what a load tool measured, from what it printed
 *
 * A tool's word for success is not taken: wrk ends with status 0 when all answers are errors, hey
 * when all connects are refused. Each tool has a row of its own rules in reader.def, and the tests
 * hold them against real output. Nothing is localized in the tools that we know, but a program
 * should run its load with LC_ALL=C all the same.
 *
 * Threads: any function, from anywhere.
 * Errors:  as text in the result; what could be read is there nevertheless.
 * Memory:  the caller's; regular expressions are compiled for the time of a call.
 */
#ifndef CLI_COMPARE_READER_H
#define CLI_COMPARE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "quantity.h"

enum reader_field {
#define FIELD(name, text, help) READER_##name,
#include "compare/reader.def"
#undef FIELD
	READER_FIELDS
};

struct reader {
	const char *name;
	const char *start;	/* "with --csv": only so it is read; "" for any way */
	double step;		/* seconds, of its clock */
	const char *quantum;	/* sentences for users */
	const char *failures;
};

/* One run of a load. */
struct reader_run {
	const char *command;	/* as for sh -c */
	int status;		/* as from waitpid */
	const char *out, *err;	/* all of standard output and standard error */
	const char *file;	/* what reader_file named, or NULL */
};

#define READER_ERROR 2048

/* A run can count when there is no error and no failed request. */
struct reader_result {
	struct quantity field[READER_FIELDS];	/* QUANTITY_NONE for what was not printed */
	char error[READER_ERROR];		/* sentence and last lines of output; "" for none */
};

extern const char *const reader_field_names[READER_FIELDS];
extern const char *const reader_field_help[READER_FIELDS];
extern const struct reader readers[];
extern const size_t reader_count;

/* reader_find -- the reader of the first tool that the command names, or NULL. */
const struct reader *reader_find(const char *command);

/* reader_file -- copy the path of the file into which this command makes its tool write results.
 *
 * Remove that file before the run: the reader cannot tell an old one. Relative paths are the
 * load's.
 * Returns false if there is none, or if it is too long.
 */
bool reader_file(const struct reader *r, const char *command, char *path, size_t n);

/* reader_read -- fill in a result.
 *
 * It has an error when the tool failed or was killed, when counts or times are missing, and when
 * not one request was completed. Times and rates of no completed request are not given. A rate's
 * quantum is at least one request: fewer than 100 requests make a coarse one.
 * Returns true if there is no error.
 */
bool reader_read(const struct reader *r, const struct reader_run *run,
		 struct reader_result *result);

/* reader_ended -- was this the end of a load that went well? If not, tells why in `error', with the
 * last lines of output. */
bool reader_ended(const char *name, const struct reader_run *run, char *error, size_t n);

/* reader_fail -- set an error: the text, and the last lines of output. Returns false. */
bool reader_fail(const struct reader_run *run, char *error, size_t n, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
