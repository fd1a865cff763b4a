/* option.c -- see option.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "option.h"

#define COUNT_MOST 1000000000ll
#define RATE_MOST  1e7 /* a second */
#define TIME_MOST  (100000 * 1000000000ll)

static bool read_count(const char *text, int64_t *to)
{
	char *end;

	errno = 0;
	*to = strtoll(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *to >= 1 && *to <= COUNT_MOST;
}

/* read_decimal -- digits with a point among them or none. Returns what stands behind, or NULL. */
static const char *read_decimal(const char *text, double *to)
{
	size_t n = strspn(text, "0123456789.");
	char *end;

	*to = strtod(text, &end);
	return n && end == text + n ? end : NULL;
}

static bool read_rate(const char *text, double *to)
{
	const char *end = read_decimal(text, to);

	return end && !*end && *to > 0 && *to <= RATE_MOST;
}

bool option_time(const char *text, int64_t *to)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}};
	double value = 0;
	const char *end = read_decimal(text, &value);

	for (size_t i = 0; end && i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].name))
			continue;
		*to = value * units[i].ns <= TIME_MOST ? (int64_t)(value * units[i].ns) : -1;
		return *to >= 0;
	}
	return false;
}

static bool read_percent(const char *text, double *to)
{
	const char *end = read_decimal(text, to);

	*to /= 100;
	return end && (!*end || !strcmp(end, "%")) && *to > 0 && *to < 1;
}

/* shown -- the name as users write it. Holds until the next call. */
static const char *shown(const struct option *o)
{
	static char name[32];
	size_t n = 0;

	for (; o->name[n] && n < sizeof name - 1; n++)
		name[n] = o->name[n] == '_' ? '-' : o->name[n];
	name[n] = 0;
	return name;
}

static int append(const struct option *o, const char *value)
{
	struct option_list *list = o->field;

	if (list->count == OPTION_LIST_MOST)
		return cli_fail(CLI_USAGE, "--%s: at most %d of them", shown(o), OPTION_LIST_MOST);
	list->text[list->count++] = value;
	return 0;
}

/* option_named -- is it this name? `_' in a field's name is `-' for users. */
static bool option_named(const char *name, const char *given, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (given[i] != (name[i] == '_' ? '-' : name[i]))
			return false;
	return !name[n];
}

static int set(const struct option *o, const char *value)
{
	if (o->type == OPTION_FLAG)
		*(bool *)o->field = true;
	else if (o->type == OPTION_TEXT)
		*(const char **)o->field = value;
	else if (o->type == OPTION_LIST)
		return append(o, value);
	else if (o->type == OPTION_COUNT && !read_count(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a number from 1 to %lld", shown(o),
				value, COUNT_MOST);
	else if (o->type == OPTION_RATE && !read_rate(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a number above 0, of at most %.0f",
				shown(o), value, RATE_MOST);
	else if (o->type == OPTION_TIME && !option_time(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a time like 10, 2.5s, 500ms or 1m",
				shown(o), value);
	else if (o->type == OPTION_PERCENT && !read_percent(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a percentage like 5%% or 0.5%%", shown(o),
				value);
	return 0;
}

/* find -- the option in `--name' or `--name=value'; *value is what follows the `=', or NULL. */
static const struct option *find(const struct option *options, const char *arg, const char **value)
{
	const char *equals = strchrnul(arg, '=');
	size_t n = (size_t)(equals - arg);

	*value = *equals ? equals + 1 : NULL;
	for (const struct option *o = options; o->name && n > 2; o++)
		if (!strncmp(arg, "--", 2) && option_named(o->name, arg + 2, n - 2))
			return o;
	return NULL;
}

int option_take(const char *command, const struct option *options, char **argv, int *status)
{
	const char *value;
	const struct option *o = find(options, argv[0], &value);
	bool flag = o && o->type == OPTION_FLAG;
	int taken = 1;

	if (!o)
		*status = cli_fail(CLI_USAGE, "%s: unknown option `%s'; try `weft %s --help'", command,
				   argv[0], command);
	else if (flag && value)
		*status = cli_fail(CLI_USAGE, "--%s takes no value", shown(o));
	else if (!flag && !value && !argv[1])
		*status = cli_fail(CLI_USAGE, "--%s needs a value: %s", shown(o), o->argument);
	else if (!flag && !value)
		*status = set(o, argv[taken++]);
	else
		*status = set(o, value);
	return *status ? 0 : taken;
}

int option_read(const char *command, const struct option *options, int argc, char **argv,
		int *first)
{
	int i = 1, status = 0;

	*first = -1;
	for (int taken; i < argc && argv[i][0] == '-' && argv[i][1]; i += taken) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return cli_help_of(command);
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		taken = option_take(command, options, argv + i, &status);
		if (!taken)
			return status;
	}
	*first = i;
	return 0;
}
