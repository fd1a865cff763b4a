/* words.h -- the words of a shell command, as far as they tell what it runs
 *
 * Quotes and backslashes are removed and operators seen; nothing is expanded.
 *
 * Threads: any function, from anywhere.
 * Errors:  none: of a command longer than WORDS_TEXT, or of more words, the beginning is seen.
 * Memory:  the caller's struct words; the words point into it.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stddef.h>

#define WORDS_MOST	256
#define WORDS_TEXT	8192

struct words {
	size_t count;
	const char *word[WORDS_MOST + 1];	/* NULL where an operator ends a command, and last */
	char text[WORDS_TEXT];
};

void words_split(struct words *w, const char *command);

/* words_option -- the value of the last such option behind word `at', up to the end of its command.
 *
 * name   `-e' is found in `-e VALUE' and `-eVALUE', `--long' in `--long VALUE' and `--long=VALUE',
 *        `--long=' in the latter only
 * Returns NULL where there is none.
 */
const char *words_option(const struct words *w, size_t at, const char *name);

/* words_given -- words with nothing special in them but blanks, quotes and backslashes, as a shell reads these: NULL behind the last
 * one, never given back. Returns NULL with *error, a text, for an open quote and without memory. */
char **words_given(const char *text, const char **error);

#endif
