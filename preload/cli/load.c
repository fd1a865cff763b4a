/* load.c -- `weft load': put a server under load, and say what it did */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "loadreport.h"
#include "loop.h"

#define SECOND	   1000000000ll
#define COUNT_MOST 1000000000ll
#define RATE_MOST  1e7 /* a second */
#define TIME_MOST  (100000 * SECOND)
#define ECHO_MOST  (64 << 20) /* bytes */

enum type { TYPE_COUNT, TYPE_RATE, TYPE_TIME, TYPE_TEXT, TYPE_FLAG };

static struct loadplan plan = {
#define LOAD(field, type, initial, argument, help) .field = initial,
#include "loadplan.def"
#undef LOAD
};

static const struct option {
	const char *name;
	enum type type;
	void *field;
	const char *argument;
} options[] = {
#define LOAD(field, type, initial, argument, help) {#field, TYPE_##type, &plan.field, argument},
#include "loadplan.def"
#undef LOAD
};

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

static bool read_time(const char *text, int64_t *to)
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

static int set_option(const struct option *o, const char *value)
{
	if (o->type == TYPE_FLAG)
		*(bool *)o->field = true;
	else if (o->type == TYPE_TEXT)
		*(const char **)o->field = value;
	else if (o->type == TYPE_COUNT && !read_count(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a number from 1 to %lld", o->name,
				value, COUNT_MOST);
	else if (o->type == TYPE_RATE && !read_rate(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a number above 0, of at most %.0f",
				o->name, value, RATE_MOST);
	else if (o->type == TYPE_TIME && !read_time(value, o->field))
		return cli_fail(CLI_USAGE, "--%s: `%s' is not a time like 10, 2.5s, 500ms or 1m",
				o->name, value);
	return 0;
}

/* find_option -- the option in `--name' or `--name=value'; *value is what follows the `=', or
 * NULL. */
static const struct option *find_option(const char *arg, const char **value)
{
	const char *equals = strchrnul(arg, '=');
	size_t n = (size_t)(equals - arg);

	*value = *equals ? equals + 1 : NULL;
	for (size_t i = 0; i < sizeof options / sizeof options[0] && n > 2; i++)
		if (!strncmp(arg, "--", 2) && strlen(options[i].name) == n - 2 &&
		    !strncmp(arg + 2, options[i].name, n - 2))
			return &options[i];
	return NULL;
}

/* take_option -- read the option at argv[i], and its value. Returns how many arguments that were,
 * or 0 with an exit status. */
static int take_option(char **argv, int i, int *status)
{
	const char *value;
	const struct option *o = find_option(argv[i], &value);
	int taken = 1;

	if (!o)
		*status = cli_fail(CLI_USAGE, "load: unknown option `%s'; try `weft load --help'",
				   argv[i]);
	else if (o->type == TYPE_FLAG && value)
		*status = cli_fail(CLI_USAGE, "--%s takes no value", o->name);
	else if (o->type != TYPE_FLAG && !value && !argv[i + 1])
		*status = cli_fail(CLI_USAGE, "--%s needs a value: %s", o->name, o->argument);
	else if (o->type != TYPE_FLAG && !value)
		*status = set_option(o, argv[i + taken++]);
	else
		*status = set_option(o, value);
	return *status ? 0 : taken;
}

/* parse -- read the options into the plan. *address stays NULL when there is nothing to run. */
static int parse(int argc, char **argv, const char **address)
{
	const char *found = NULL;
	bool dashes = true;
	int status = 0;

	for (int i = 1, taken = 1; i < argc; i += taken) {
		taken = 1;
		if (!dashes || argv[i][0] != '-' || !argv[i][1]) {
			if (found)
				return cli_fail(CLI_USAGE,
						"load: one ADDRESS is needed, not `%s' "
						"as well",
						argv[i]);
			found = argv[i];
		} else if (!strcmp(argv[i], "--")) {
			dashes = false;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			return cli_help_of("load");
		} else {
			taken = take_option(argv, i, &status);
			if (!taken)
				return status;
		}
	}
	if (!found)
		return cli_fail(CLI_USAGE, "load: an ADDRESS is needed; try `weft load --help'");
	*address = found;
	return 0;
}

static bool is_path(const char *path)
{
	if (*path != '/')
		return false;
	for (; *path; path++)
		if (*path <= ' ' || *path > '~')
			return false;
	return true;
}

/* complete -- see that the options agree, and fill in what follows from others. */
static int complete(void)
{
	if (!plan.echo == !plan.http)
		return cli_fail(CLI_USAGE, "load: one of --echo and --http is needed");
	if (plan.echo > ECHO_MOST)
		return cli_fail(CLI_USAGE, "--echo: %d bytes are the most", ECHO_MOST);
	if (plan.http && !is_path(plan.http))
		return cli_fail(CLI_USAGE, "--http: a path like /index.html is needed");
	if (plan.body && !plan.http)
		return cli_fail(CLI_USAGE, "--body needs --http");
	if (plan.idle && (plan.rate > 0 || plan.time || plan.requests || plan.warmup >= 0))
		return cli_fail(CLI_USAGE, "--idle sends nothing: it takes none of --rate, --time, "
					   "--warmup and --requests");
	if (!plan.timeout)
		return cli_fail(CLI_USAGE, "--timeout: a time above 0 is needed");
	if (plan.phases && fcntl((int)plan.phases, F_GETFD) < 0)
		return cli_fail(CLI_USAGE, "--phases: descriptor %d is not open", (int)plan.phases);
	if (!plan.time && !plan.requests)
		plan.time = 10 * SECOND;
	if (plan.warmup < 0)
		plan.warmup = plan.requests || plan.idle ? 0 : SECOND;
	if (plan.requests && plan.requests < plan.connections)
		plan.connections = plan.requests;
	return 0;
}

int load_command(int argc, char **argv)
{
	const struct protocol *protocol;
	const char *text = NULL;
	struct address to;
	int status = parse(argc, argv, &text);

	if (!text)
		return status;
	signal(SIGPIPE, SIG_IGN);
	status = complete();
	if (!status)
		status = address_read(&to, text);
	if (status)
		return status;
	if (plan.echo)
		protocol = echo_protocol((size_t)plan.echo);
	else
		protocol = http_protocol(plan.http, to.host, plan.body);
	if (!protocol)
		return plan.echo ? cli_fail(CLI_USAGE, "%s", strerror(ENOMEM)) : CLI_USAGE;
	status = loop_run(&plan, protocol, &to);
	if (status)
		return status;
	if (plan.json)
		status = loadreport_json(&plan, &to);
	else
		loadreport_text(&plan, &to);
	return status || tally_failures() ? CLI_FAILED : 0;
}
