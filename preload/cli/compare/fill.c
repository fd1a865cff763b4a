/* fill.c -- see fill.h */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/fill.h"

/* value_of -- print what stands for the name of n bytes. Returns false for one that is not known. */
static bool value_of(const struct fill *f, const char *name, size_t n, FILE *to)
{
	if (n == 4 && !memcmp(name, "port", n))
		fprintf(to, "%d", f->port);
	else if (n == 3 && !memcmp(name, "dir", n))
		fputs(f->dir, to);
	else if (n == 3 && !memcmp(name, "cpu", n))
		fprintf(to, "%d", f->cpu);
	else if (n == 7 && !memcmp(name, "seconds", n))
		fprintf(to, "%g", f->seconds);
	else if (n == 11 && !memcmp(name, "connections", n))
		fprintf(to, "%lld", (long long)f->connections);
	else
		return false;
	return true;
}

char *fill_text(const struct fill *f, const char *text)
{
	char *result = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&result, &size);

	if (!to)
		return NULL;
	while (*text) {
		size_t n = *text == '{' ? strcspn(text, "}") : 0;

		if (n && text[n] && value_of(f, text + 1, n - 1, to))
			text += n + 1;
		else
			fputc(*text++, to);
	}
	return fclose(to) ? NULL : result;
}

char **fill_words(const struct fill *f, char **words)
{
	size_t n = 0;
	char **result;

	while (words[n])
		n++;
	result = calloc(n + 1, sizeof *result);
	for (size_t i = 0; result && i < n; i++) {
		result[i] = fill_text(f, words[i]);
		if (!result[i])
			return NULL;
	}
	return result;
}
