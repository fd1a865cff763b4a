/* conf.c -- the WEFT_* options, read once from the environment */
#include "conf.h"
#include "log.h"
#include "pages.h"

struct conf conf = {
#define OPT(field, type, dflt, name, arg, help) .field = dflt,
#include "conf.def"
#undef OPT
};

#define TEXT_ROOM 8192

static const char *const level_names[] = {"none", "error", "warn", "info", "debug"};

static bool same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && !memcmp(a, b, strlen(a));
}

static bool parse_INT(int *to, const char *s)
{
	int v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > 100000000)
			return false;
		v = v * 10 + (*s - '0');
	}
	*to = v;
	return true;
}

static bool parse_FLAG(bool *to, const char *s)
{
	if (!same(s, "0") && !same(s, "1") && *s)
		return false;
	*to = *s == '1';
	return true;
}

static bool parse_LEVEL(int *to, const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (same(s, level_names[i])) {
			*to = (int)i;
			return true;
		}
	int level;

	if (!parse_INT(&level, s) || level > LOG_DEBUG)
		return false;
	*to = level;
	return true;
}

/* Kept: a program may write over its environment, to show a title in ps. */
static bool parse_TEXT(const char **to, const char *s)
{
	static char kept[TEXT_ROOM] SPARSE;
	static size_t used;
	size_t n = strlen(s) + 1;

	if (n > sizeof kept - used)
		return false;
	*to = memcpy(kept + used, s, n);
	used += n;
	return true;
}

static const char *value(char **environ, const char *name)
{
	size_t n = strlen(name);

	for (; environ && *environ; environ++)
		if (strlen(*environ) > n && !memcmp(*environ, name, n) && (*environ)[n] == '=')
			return *environ + n + 1;
	return NULL;
}

void conf_read(char **environ)
{
	const char *s;

	s = value(environ, "WEFT_LOG");
	if (s && parse_LEVEL(&conf.log, s))
		log_level = conf.log;
#define OPT(field, type, dflt, name, arg, help)					\
	s = value(environ, name);						\
	if (s && !parse_##type(&conf.field, s))					\
		LOG(ERROR, "weft: %s: `%s' is no value for it\n", name, s);
#include "conf.def"
#undef OPT
}

bool conf_lists(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list) {
		size_t k = 0;

		while (list[k] && list[k] != ',')
			k++;
		if ((k == n && !memcmp(list, word, n)) || (k == 3 && !memcmp(list, "all", 3)))
			return true;
		list += k + (list[k] == ',');
	}
	return false;
}
