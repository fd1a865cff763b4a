/* words.c -- the words of a shell command, as far as they tell what it runs */
#include <stdbool.h>
#include <string.h>

#include "words.h"

#define BLANKS		" \t"
#define OPERATORS	";|&()\n"

/* next -- copy the next word to `to', its quotes removed. Returns what follows it. */
static const char *next(const char *s, char *to, const char *end)
{
	char quote = 0;

	for (; *s && (quote || !strchr(BLANKS OPERATORS, *s)); s++) {
		if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && quote != '\'' && s[1])
			s++;
		if (to < end)
			*to++ = *s;
	}
	*to = 0;
	return s;
}

void words_split(struct words *w, const char *s)
{
	char *to = w->text, *end = w->text + sizeof w->text - 1;

	w->count = 0;
	while (*s && w->count < WORDS_MOST && to < end) {
		if (strchr(OPERATORS, *s)) {
			w->word[w->count++] = NULL;
			s++;
		} else if (strchr(BLANKS, *s)) {
			s++;
		} else {
			w->word[w->count++] = to;
			s = next(s, to, end);
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
