/* load.c -- `weft load': put a server under load, and say what it did */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "load/report.h"
#include "load/loop.h"
#include "option.h"

#define SECOND	   1000000000ll
#define ECHO_MOST  (64 << 20) /* bytes */

static struct loadplan plan = {
#define LOAD(field, type, initial, argument, help) .field = initial,
#include "load/plan.def"
#undef LOAD
};

static const struct option options[] = {
#define LOAD(field, type, initial, argument, help) {#field, OPTION_##type, &plan.field, argument},
#include "load/plan.def"
#undef LOAD
	{NULL, 0, NULL, NULL},
};

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
			taken = option_take("load", options, argv + i, &status);
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
