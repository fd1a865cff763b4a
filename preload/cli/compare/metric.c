/* metric.c -- a figure that the user finds in a load's output */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compare/metric.h"

#define SPEC_MOST 1024

static bool fail(char *error, size_t n, const char *what, const char *spec)
{
	snprintf(error, n, "--metric %.200s: %s", spec, what);
	return false;
}

/* is_name -- may these n bytes name a column? */
static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_-./", s[i]))
			return false;
	return n > 0 && n < METRIC_NAME;
}

/* cut -- cut `ending' off a text, if it is there. */
static bool cut(char *text, const char *ending)
{
	size_t n = strlen(text), k = strlen(ending);

	if (n < k || strcmp(text + n - k, ending))
		return false;
	text[n - k] = 0;
	return true;
}

bool metric_init(struct metric *m, const char *spec, char *error, size_t n)
{
	char pattern[SPEC_MOST], why[100];
	size_t name = strcspn(spec, "=");
	int result;

	if (!spec[name] || !is_name(spec, name))
		return fail(error, n, "NAME=REGEX[:higher|:lower] is wanted, NAME of up to 31 "
			    "letters, digits, `_', `-', `.' and `/'", spec);
	if (snprintf(pattern, sizeof pattern, "%s", spec + name + 1) >= (int)sizeof pattern)
		return fail(error, n, "is too long", spec);
	snprintf(m->name, sizeof m->name, "%.*s", (int)name, spec);
	m->better = cut(pattern, ":higher") ? METRIC_HIGHER :
		    cut(pattern, ":lower") ? METRIC_LOWER : METRIC_UNSAID;
	result = regcomp(&m->regex, pattern, REG_EXTENDED);
	if (result) {
		regerror(result, &m->regex, why, sizeof why);
		return fail(error, n, why, spec);
	}
	if (m->regex.re_nsub)
		return true;
	metric_fini(m);
	return fail(error, n, "the figure is wanted in parentheses, as in `total: ([0-9.]+)'", spec);
}

void metric_fini(struct metric *m)
{
	regfree(&m->regex);
}

/* find_in_line -- the last match that has a first group, in n bytes. */
static void find_in_line(const regex_t *regex, const char *line, size_t n, const char **found,
			 size_t *length)
{
	size_t from = 0;

	while (from <= n) {
		regmatch_t match[2] = {{(regoff_t)from, (regoff_t)n}};

		if (regexec(regex, line, 2, match, REG_STARTEND))
			return;
		if (match[1].rm_so >= 0) {
			*found = line + match[1].rm_so;
			*length = (size_t)(match[1].rm_eo - match[1].rm_so);
		}
		from = (size_t)match[0].rm_eo + (match[0].rm_eo == match[0].rm_so);
	}
}

static const char *find(const regex_t *regex, const char *text, size_t *length)
{
	const char *found = NULL;

	while (*text) {
		size_t n = strcspn(text, "\n");

		find_in_line(regex, text, n, &found, length);
		text += n + (text[n] == '\n');
	}
	return found;
}

/* refuse -- why the n bytes at `text' are no figure; NULL if they are one. */
static const char *refuse(const struct metric *m, int result, const struct quantity *q)
{
	if (result == -EDOM)
		return "is the comma a decimal mark? start the load with LC_ALL=C";
	if (result)
		return "is no number with a unit";
	if (!(q->value > 0))
		return "is not above 0: it has no ratio";
	if (q->unit == QUANTITY_SECONDS && m->better == METRIC_UNSAID)
		return "is a time: add `:lower' to --metric, or `:higher'";
	return NULL;
}

bool metric_read(const struct metric *m, const struct reader_run *run, struct quantity *to,
		 char *error, size_t n)
{
	size_t length = 0;
	const char *text, *why;

	*error = 0;
	*to = (struct quantity){QUANTITY_NONE, 0, 0};
	if (!reader_ended("the load", run, error, n))
		return false;
	text = find(&m->regex, run->out, &length);
	if (!text)
		text = find(&m->regex, run->err, &length);
	if (!text)
		return reader_fail(run, error, n, "no line matches --metric %s", m->name);
	why = refuse(m, quantity_read(text, length, to), to);
	if (!why)
		return true;
	*to = (struct quantity){QUANTITY_NONE, 0, 0};
	return reader_fail(run, error, n, "--metric %s: `%.*s' %s", m->name,
			   (int)(length < 40 ? length : 40), text, why);
}
