/* words.c -- the words of a shell command, as far as they tell what it runs */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define BLANKS		" \t"
#define OPERATORS	";|&()\n"

/* take -- copy one word to `to', as far as there is room before `end', its quotes removed and a NUL
 * behind it.
 *
 * stops  what ends a word, outside quotes
 * error  out: what a shell would ask more for, a text; unchanged when the word is whole
 * Returns what follows the word.
 */
static const char *take(const char *s, const char *stops, char *to, const char *end,
			const char **error)
{
	char quote = 0;

	for (; *s && (quote || !strchr(stops, *s)); s++) {
		if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && quote != '\'' && (!quote || (s[1] && strchr("\"\\$`", s[1])))) {
			if (s[1])
				s++;
			else
				*error = "nothing follows the last backslash";
		}
		if (to < end)
			*to++ = *s;
	}
	*to = 0;
	if (quote)
		*error = quote == '"' ? "a \" is not closed" : "a ' is not closed";
	return s;
}

void words_split(struct words *w, const char *s)
{
	char *to = w->text, *end = w->text + sizeof w->text - 1;
	const char *error;	/* of an unfinished command we want what there is */

	w->count = 0;
	while (*s && w->count < WORDS_MOST && to < end) {
		if (strchr(OPERATORS, *s)) {
			w->word[w->count++] = NULL;
			s++;
		} else if (strchr(BLANKS, *s)) {
			s++;
		} else {
			w->word[w->count++] = to;
			s = take(s, BLANKS OPERATORS, to, end, &error);
			to += strlen(to) + 1;
		}
	}
	w->word[w->count] = NULL;
}

/* value_in -- the value that the word itself holds, or NULL; *follows where it is the next word. */
static const char *value_in(const char *word, const char *name, bool *follows)
{
	size_t n = strlen(name);
	bool is_long = n > 1 && name[1] == '-';

	*follows = false;
	if (strncmp(word, name, n))
		return NULL;
	if (name[n - 1] == '=')
		return word + n;
	if (!word[n]) {
		*follows = true;
		return NULL;
	}
	return !is_long ? word + n : word[n] == '=' ? word + n + 1 : NULL;
}

const char *words_option(const struct words *w, size_t at, const char *name)
{
	const char *found = NULL;

	for (size_t i = at; i < w->count && w->word[i]; i++) {
		bool follows;
		const char *value = value_in(w->word[i], name, &follows);

		if (follows)
			value = w->word[i + 1];
		if (value)
			found = value;
	}
	return found;
}

char **words_given(const char *text, const char **error)
{
	size_t n = strlen(text), count = 0;
	char **words = calloc(n / 2 + 2, sizeof *words), *to = malloc(n + 1), *end = to + n;
	const char *broken = words && to ? NULL : strerror(ENOMEM);

	while (!broken && *(text += strspn(text, BLANKS "\n"))) {
		words[count++] = to;
		text = take(text, BLANKS "\n", to, end, &broken);
		to += strlen(to) + 1;
	}
	if (!broken)
		return words;
	*error = broken;
	free(count ? words[0] : to);
	free(words);
	return NULL;
}
