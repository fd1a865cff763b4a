/* plan.c -- see plan.h */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "compare/plan.h"
#include "compare/fill.h"
#include "compare/serving.h"
#include "words.h"

#define SECOND	 1000000000ll
#define CONNECTIONS_MOST 100000
#define SECONDS_LEAST	 10000000 /* ns */

const struct figure_kind figure_kinds[FIGURES] = {
#define HIGHER true
#define LOWER  false
#define FIGURE(name, json, text, unit, better) {json, text, UNIT_##unit, better},
#include "compare/figure.def"
#undef FIGURE
};

double figure_latency(enum figure which, const struct histogram *h)
{
	if (!h->count)
		return NAN;
	switch (which) {
	case FIGURE_P50:
		return (double)histogram_percentile(h, 50) / 1e9;
	case FIGURE_P90:
		return (double)histogram_percentile(h, 90) / 1e9;
	case FIGURE_P99:
		return (double)histogram_percentile(h, 99) / 1e9;
	case FIGURE_P999:
		return (double)histogram_percentile(h, 99.9) / 1e9;
	case FIGURE_MAX:
		return (double)h->max / 1e9;
	default:
		return NAN;
	}
}

static int number_levels(struct compareplan *p)
{
	const char *text = p->levels, *prefix = "connections=";

	if (!text) {
		p->level[p->level_count++] = p->connections;
		return 0;
	}
	if (strncmp(text, prefix, strlen(prefix)))
		return cli_fail(CLI_USAGE, "--levels: `connections=1,10,100' is the form, not `%s'", text);
	for (text += strlen(prefix); *text;) {
		char *end;
		long long n = strtoll(text, &end, 10);

		if (end == text || (*end && *end != ',') || n < 1 || n > CONNECTIONS_MOST)
			return cli_fail(CLI_USAGE, "--levels: `%s' does not begin with a number from 1 to %d", text,
					CONNECTIONS_MOST);
		if (p->level_count == LEVELS_MOST)
			return cli_fail(CLI_USAGE, "--levels: at most %d of them", LEVELS_MOST);
		p->level[p->level_count++] = n;
		text = *end ? end + 1 : end;
	}
	return p->level_count ? 0 : cli_fail(CLI_USAGE, "--levels: there are none");
}

static struct variant *find_variant(struct compareplan *p, const char *name)
{
	for (unsigned i = 0; i < p->variant_count; i++)
		if (!strcmp(p->variants[i].name, name))
			return &p->variants[i];
	return NULL;
}

static struct variant *add_variant(struct compareplan *p, const char *name, size_t n)
{
	struct variant *v;
	char text[NAME_MOST];

	snprintf(text, sizeof text, "%.*s", (int)n, name);
	v = find_variant(p, text);
	if (!v && p->variant_count < VARIANTS_MOST)
		v = &p->variants[p->variant_count++];
	if (v)
		*v = (struct variant){.argv = p->argv};
	if (v)
		snprintf(v->name, sizeof v->name, "%s", text);
	return v;
}

/* is_name -- it stands in tables, in CSV and before a `='. */
static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_-.+/", s[i]))
			return false;
	return n > 0 && n < NAME_MOST;
}

static int read_variant(struct compareplan *p, const char *text)
{
	size_t n = strcspn(text, "=");
	const char *error;
	struct variant *v;

	if (!text[n] || !is_name(text, n))
		return cli_fail(CLI_USAGE,
				"--variant: `NAME=...' is the form, with a NAME of up to %d letters, digits and _-.+/, not `%s'",
				NAME_MOST - 1, text);
	v = add_variant(p, text, n);
	if (!v)
		return cli_fail(CLI_USAGE, "--variant: at most %d variants", VARIANTS_MOST);
	v->weft = strncmp(text, "native", n) || n != 6;
	v->words = words_given(text + n + 1, &error);
	return v->words ? 0 : cli_fail(CLI_USAGE, "--variant %s: %s in `%s'", v->name, error, text + n + 1);
}

/* Two stand there from the start: native, which the others are compared with, and weft. With --program-b the second one is that
 * program. */
static int name_variants(struct compareplan *p)
{
	add_variant(p, "native", 6);
	if (!p->program_b)
		add_variant(p, "weft", 4)->weft = true;
	for (size_t i = 0; i < p->variant.count; i++) {
		int status = read_variant(p, p->variant.text[i]);

		if (status)
			return status;
	}
	if (p->program_b && p->variant_count == 1)
		add_variant(p, "b", 1);
	if (p->program_b) {
		size_t n = 0;
		char **argv;

		while (p->argv[n])
			n++;
		argv = calloc(n + 1, sizeof *argv);
		if (!argv)
			return cli_fail(CLI_USAGE, "%s", strerror(errno));
		memcpy(argv, p->argv, n * sizeof *argv);
		argv[0] = (char *)p->program_b;
		p->variants[1].argv = argv;
	}
	return 0;
}

static int read_metrics(struct compareplan *p)
{
	char error[200];

	if (p->metric.count > OUTCOME_METRICS)
		return cli_fail(CLI_USAGE, "--metric: at most %d of them", OUTCOME_METRICS);
	for (size_t i = 0; i < p->metric.count; i++) {
		if (!metric_init(&p->metrics[i], p->metric.text[i], error, sizeof error))
			return cli_fail(CLI_USAGE, "%s", error);
		p->metric_count++;
	}
	return 0;
}

/* As sigabbrev_np, which libc has since 2.32. */
const char *compareplan_signal(int sig)
{
	static const char *const names[] = {
		[SIGHUP] = "HUP", [SIGINT] = "INT", [SIGQUIT] = "QUIT", [SIGILL] = "ILL", [SIGTRAP] = "TRAP", [SIGABRT] = "ABRT",
		[SIGBUS] = "BUS", [SIGFPE] = "FPE", [SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM", [SIGSTKFLT] = "STKFLT", [SIGCHLD] = "CHLD",
		[SIGCONT] = "CONT", [SIGSTOP] = "STOP", [SIGTSTP] = "TSTP", [SIGTTIN] = "TTIN", [SIGTTOU] = "TTOU", [SIGURG] = "URG",
		[SIGXCPU] = "XCPU", [SIGXFSZ] = "XFSZ", [SIGVTALRM] = "VTALRM", [SIGPROF] = "PROF", [SIGWINCH] = "WINCH",
		[SIGPOLL] = "POLL", [SIGPWR] = "PWR", [SIGSYS] = "SYS",
	};

	return names[sig];
}

static int read_signal(struct compareplan *p)
{
	const char *name = strncmp(p->stop, "SIG", 3) ? p->stop : p->stop + 3;

	for (int sig = 1; sig < 32; sig++) {
		const char *known = compareplan_signal(sig);

		if (known && !strcmp(known, name)) {
			p->stop_signal = sig;
			return 0;
		}
	}
	return cli_fail(CLI_USAGE, "--stop: `%s' is no signal", p->stop);
}

/* read_ready -- with a port and a directory like those of the runs. */
static int read_ready(const struct compareplan *p)
{
	const struct fill fill = {.port = 1, .dir = "/tmp/weft-compare.XXXXXX", .seconds = 1, .connections = 1};
	char *condition = fill_text(&fill, p->ready);

	if (strncmp(p->ready, "tcp:", 4) && strncmp(p->ready, "unix:", 5) && strncmp(p->ready, "line:", 5) &&
	    strncmp(p->ready, "cmd:", 4))
		return cli_fail(CLI_USAGE, "--ready: one of tcp:PORT, unix:PATH, line:REGEX and cmd:'...', not `%s'", p->ready);
	return condition ? serving_check(condition) : cli_fail(CLI_USAGE, "%s", strerror(errno));
}

static int read_server(struct compareplan *p)
{
	int loads = (p->load != NULL) + (p->http != NULL) + (p->echo != 0);

	p->server = p->ready != NULL;
	if (!p->server && loads)
		return cli_fail(CLI_USAGE, "compare: a load needs a server, and that needs --ready");
	if (!p->server && (p->levels || p->rate > 0))
		return cli_fail(CLI_USAGE, "compare: --levels and --rate are for servers, with --ready");
	if (!p->server)
		return 0;
	if (loads != 1)
		return cli_fail(CLI_USAGE, "compare: a server needs one load: --http, --echo or --load");
	if (p->rate > 0 && p->load)
		return cli_fail(CLI_USAGE, "--rate is for --http and --echo");
	if (p->load) {
		p->reader = reader_find(p->load);
		if (!p->reader && !p->metric_count)
			return cli_fail(CLI_USAGE, "--load: no known tool in `%s'; say by --metric what to read", p->load);
	}
	return read_ready(p);
}

/* A file that cannot be written is found before the runs, not after an hour of them. */
static int try_output(const char *option, const char *path)
{
	FILE *f = path ? fopen(path, "ae") : NULL;

	if (path && !f)
		return cli_fail(CLI_USAGE, "%s: %s: %s", option, path, strerror(errno));
	if (f)
		fclose(f);
	return 0;
}

/* times -- what --quick says holds where nothing else was asked for. */
static int times(struct compareplan *p)
{
	if (p->seconds < 0)
		p->seconds = p->quick ? SECOND : 3 * SECOND;
	if (!p->pairs)
		p->pairs = p->quick ? p->fewest : VERDICT_MOST;
	if (p->seconds < SECONDS_LEAST)
		return cli_fail(CLI_USAGE, "--seconds: at least %d ms", SECONDS_LEAST / 1000000);
	if (p->pairs < p->fewest)
		return cli_fail(CLI_USAGE, "--pairs: fewer than %u give no verdict on %u level%s", p->fewest, p->level_count,
				p->level_count == 1 ? "" : "s");
	if (p->server && p->timeout < p->seconds * 2)
		return cli_fail(CLI_USAGE, "--timeout: twice the time of --seconds is needed at least");
	return 0;
}

static int complete(struct compareplan *p)
{
	int status = read_metrics(p);

	if (!status)
		status = name_variants(p);
	if (!status)
		status = read_signal(p);
	if (!status)
		status = read_server(p);
	if (!status)
		status = number_levels(p);
	if (!status)
		status = try_output("--output", p->output);
	if (status)
		return status;
	if (p->variant_count < 2)
		return cli_fail(CLI_USAGE, "compare: two variants are needed");
	p->rule = (struct verdict_rule){p->precision, p->margin, verdict_usual.confidence};
	p->primary = p->server ? FIGURE_PER_CPU : FIGURE_WALL;
	p->fewest = verdict_look(verdict_fewest(&p->rule, p->level_count) - 1);
	return times(p);
}

static const struct compareplan initial = {
#define PLAN(field, type, initial, argument, help) .field = initial,
#include "compare/plan.def"
#undef PLAN
};

int compareplan_read(struct compareplan *p, int argc, char **argv, bool *done)
{
	const struct option options[] = {
#define PLAN(field, type, initial, argument, help) {#field, OPTION_##type, &p->field, argument},
#include "compare/plan.def"
#undef PLAN
		{NULL, 0, NULL, NULL},
	};
	int i, status;

	*p = initial;
	status = option_read("compare", options, argc, argv, &i);
	*done = i < 0;
	if (*done)
		return status;
	p->argv = argv + i;
	if (p->json && p->csv)
		return cli_fail(CLI_USAGE, "compare: either --json or --csv");
	if (p->read) {
		p->read_b = argv[i];
		if (i + 1 < argc && argv[i + 1])
			return cli_fail(CLI_USAGE, "--read: two files at most");
		return p->read_b && (p->json || p->csv || p->plot || p->fail_if_worse > 0)
			       ? cli_fail(CLI_USAGE, "--read: two files are compared as text only") : 0;
	}
	if (i == argc)
		return cli_fail(CLI_USAGE, "compare: a PROGRAM is needed; try `weft compare --help'");
	if (!p->seed) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		p->seed = (t.tv_sec ^ t.tv_nsec ^ (int64_t)getpid() << 20) & 0x3fffffff;
	}
	return complete(p);
}

bool compareplan_higher(const struct compareplan *p)
{
	return p->metric_count ? p->metrics[0].better != METRIC_LOWER : figure_kinds[p->primary].higher;
}

const char *compareplan_primary(const struct compareplan *p)
{
	return p->metric_count ? p->metrics[0].name : figure_kinds[p->primary].text;
}
