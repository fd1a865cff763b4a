/* fill.h -- {port}, {dir} and the like in command lines
 *
 * Threads: any.    Errors: none: a name that is not known stays as it is.
 * Memory:  the result is the caller's, to be freed; NULL without memory.
 */
#ifndef CLI_COMPARE_FILL_H
#define CLI_COMPARE_FILL_H

#include <stdint.h>

struct fill {
	int port;
	const char *dir;
	int cpu;
	double seconds;
	int64_t connections;
};

char *fill_text(const struct fill *f, const char *text);
char **fill_words(const struct fill *f, char **words);

#endif
