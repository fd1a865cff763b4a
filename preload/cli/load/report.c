/* report.c -- see loadreport.h */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/base.h"
#include "cli.h"
#include "load/report.h"
#include "load/tally.h"
#include "unit.h"

#define FORMAT	1     /* of the JSON object */
#define WIDTH	100   /* columns of the text */
#define COUNTED 14    /* columns of a number, its spaces included */
#define TIME	"%9s" /* of a time and its unit */

static const struct {
	const char *label, *key;
	double percent;
} percentiles[] = {
	{"p50", "p50_ns", 50},	    {"p90", "p90_ns", 90},	   {"p99", "p99_ns", 99},
	{"p99.9", "p999_ns", 99.9}, {"p99.99", "p9999_ns", 99.99},
};
#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

/* -- text ------------------------------------------------------------------------------------ */

/* print_wrapped -- a text of words, broken into lines of at most WIDTH columns. */
static void print_wrapped(const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column && column + 1 + n > WIDTH) {
			printf("\n  ");
			column = 2;
		} else if (column) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)n, text);
		column += n;
		text += n + strspn(text + n, " ");
	}
	putchar('\n');
}

static double per_second(uint64_t n)
{
	return tally.window_ns > 0 ? (double)n * 1e9 / (double)tally.window_ns : 0;
}

static double cpu_per_request(void)
{
	return tally.ends ? (double)tally.cpu_ns / (double)tally.ends : 0;
}

static double share(int64_t ns)
{
	return tally.window_ns > 0 && ns > 0 ? (double)ns / (double)tally.window_ns : 0;
}

static void text_plan(const struct loadplan *plan, const struct address *to)
{
	if (plan->idle)
		printf("%s idle connections, ", unit_grouped((uint64_t)plan->idle));
	else if (plan->rate > 0)
		printf("open loop at %.6g a second, %s connections, ", plan->rate,
		       unit_grouped((uint64_t)plan->connections));
	else
		printf("closed loop, %s connections, ", unit_grouped((uint64_t)plan->connections));
	if (plan->echo)
		printf("echoes of %s bytes", unit_grouped((uint64_t)plan->echo));
	else
		printf("GET %s", plan->http);
	printf("\nto %s\n\n", to->text);
}

static void text_failures(void)
{
	uint64_t all = tally_failures();

	printf("failed    %*s", COUNTED, unit_grouped(all));
	if (all != tally.failed)
		printf("   %s of them in the window", unit_grouped(tally.failed));
	putchar('\n');
	for (size_t i = 1; i < FAILURES; i++) {
		if (!tally.failures[i])
			continue;
		printf("  %-8s%*s   %s\n", failure_names[i], COUNTED, unit_grouped(tally.failures[i]),
		       failure_meanings[i]);
		printf("    the first: %s\n", tally.first[i]);
	}
}

static void text_latency(void)
{
	const struct histogram *h = &tally.latency;

	if (!h->count)
		return;
	printf("latency   %*s   mean   " TIME "\n", COUNTED, "", unit_time(histogram_mean(h)));
	for (size_t i = 0; i < PERCENTILES; i++)
		printf("%*s   %-6s " TIME "\n", COUNTED + 10, "", percentiles[i].label,
		       unit_time((double)histogram_percentile(h, percentiles[i].percent)));
	printf("%*s   max    " TIME "\n", COUNTED + 10, "", unit_time((double)h->max));
}

static void text_rate(const struct loadplan *plan)
{
	printf("requests  %*s   %s answered in %s\n", COUNTED, unit_grouped(tally.started),
	       unit_grouped(tally.answered), unit_time((double)tally.window_ns));
	printf("rate      %*s   answers a second\n", COUNTED,
	       unit_grouped((uint64_t)(per_second(tally.answers) + .5)));
	if (plan->rate > 0)
		printf("backlog   %*s   at most; so many requests had no free connection\n",
		       COUNTED, unit_grouped(tally.unsent_max));
}

static void text_generator(const struct loadplan *plan)
{
	printf("generator %*s   of CPU a request; computing %.1f %% of the time", COUNTED,
	       unit_time(cpu_per_request()), 100 * share(tally.cpu_ns));
	if (tally.queued_ns >= 0)
		printf(", waiting for a CPU %.1f %%", 100 * share(tally.queued_ns));
	if (plan->rate > 0 && tally.late.count)
		printf("\n%*s   late by %s in the mean, by %s at most", COUNTED + 10, "",
		       unit_time(histogram_mean(&tally.late)), unit_time((double)tally.late.max));
	putchar('\n');
}

void loadreport_text(const struct loadplan *plan, const struct address *to)
{
	const char *warning;

	text_plan(plan, to);
	if (plan->idle)
		printf("held      %*s   for %s\n", COUNTED, unit_grouped(tally.held),
		       unit_time((double)tally.held_ns));
	else if (tally.begun)
		text_rate(plan);
	text_failures();
	if (!plan->idle && tally.begun) {
		text_latency();
		text_generator(plan);
	}
	for (size_t i = 0; (warning = tally_warning(plan, i)); i++) {
		if (i == 0)
			putchar('\n');
		print_wrapped(warning);
	}
}

/* -- JSON ------------------------------------------------------------------------------------ */

static json_t *integer(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *json_latency(const struct histogram *h)
{
	char *text = histogram_write(h);
	json_t *object =
		json_pack("{s:o, s:f, s:o, s:o}", "count", integer(h->count), "mean_ns",
			  histogram_mean(h), "min_ns", integer(h->min), "max_ns", integer(h->max));

	for (size_t i = 0; i < PERCENTILES; i++)
		json_object_set_new(object, percentiles[i].key,
				    integer(histogram_percentile(h, percentiles[i].percent)));
	/* Without memory for the text it is null, which json_object_set_new refuses. */
	json_object_set_new(object, "histogram", json_string(text ? text : ""));
	free(text);
	return object;
}

static json_t *json_plan(const struct loadplan *plan, const struct address *to)
{
	json_t *object = json_pack(
		"{s:i, s:s, s:s, s:s, s:o, s:f, s:f}", "weft_load", FORMAT, "version", WEFT_VERSION,
		"address", to->text, "loop",
		plan->idle	 ? "idle"
		: plan->rate > 0 ? "open"
				 : "closed",
		"connections", integer((uint64_t)(plan->idle ? plan->idle : plan->connections)),
		"timeout_s", (double)plan->timeout / 1e9, "warmup_s", (double)plan->warmup / 1e9);

	if (plan->echo)
		json_object_set_new(object, "echo", integer((uint64_t)plan->echo));
	else
		json_object_set_new(object, "http", json_string(plan->http));
	if (plan->rate > 0)
		json_object_set_new(object, "asked_rate", json_real(plan->rate));
	return object;
}

static json_t *json_failures(void)
{
	json_t *object = json_pack("{s:o, s:o}", "all", integer(tally_failures()), "window",
				   integer(tally.failed));
	json_t *first = json_object();

	for (size_t i = 1; i < FAILURES; i++) {
		json_object_set_new(object, failure_names[i], integer(tally.failures[i]));
		if (tally.failures[i])
			json_object_set_new(first, failure_names[i], json_string(tally.first[i]));
	}
	json_object_set_new(object, "first", first);
	return object;
}

static json_t *json_statuses(void)
{
	json_t *object = json_object();
	char key[8];

	for (int i = 0; i < TALLY_STATUSES; i++) {
		if (!tally.statuses[i])
			continue;
		snprintf(key, sizeof key, "%d", i);
		json_object_set_new(object, key, integer(tally.statuses[i]));
	}
	return object;
}

static void json_measured(json_t *object, const struct loadplan *plan)
{
	json_object_set_new(object, "window_s", json_real((double)tally.window_ns / 1e9));
	json_object_set_new(object, "requests",
			    json_pack("{s:o, s:o, s:o}", "started", integer(tally.started),
				      "answered", integer(tally.answered), "unanswered",
				      integer(tally.started - tally.answered - tally.failed)));
	json_object_set_new(object, "rate",
			    json_pack("{s:o, s:f}", "answers", integer(tally.answers), "per_second",
				      per_second(tally.answers)));
	json_object_set_new(object, "latency", json_latency(&tally.latency));
	json_object_set_new(object, "generator",
			    json_pack("{s:f, s:f, s:f}", "cpu_s", (double)tally.cpu_ns / 1e9,
				      "cpu_per_request_ns", cpu_per_request(), "busy",
				      share(tally.cpu_ns)));
	if (tally.queued_ns >= 0)
		json_object_set_new(json_object_get(object, "generator"), "queued",
				    json_real(share(tally.queued_ns)));
	if (plan->rate <= 0)
		return;
	json_object_set_new(object, "late", json_latency(&tally.late));
	json_object_set_new(object, "backlog",
			    json_pack("{s:o, s:o, s:o, s:o}", "due", integer(tally.due), "ended",
				      integer(tally.ends), "unsent", integer(tally.unsent),
				      "unsent_max", integer(tally.unsent_max)));
}

int loadreport_json(const struct loadplan *plan, const struct address *to)
{
	json_t *object = json_plan(plan, to), *warnings = json_array();
	const char *warning;
	int bad;

	if (plan->idle)
		json_object_set_new(object, "held",
				    json_pack("{s:o, s:f}", "connections", integer(tally.held),
					      "seconds", (double)tally.held_ns / 1e9));
	else
		json_measured(object, plan);
	json_object_set_new(object, "failures", json_failures());
	if (plan->http)
		json_object_set_new(object, "statuses", json_statuses());
	json_object_set_new(object, "opened", integer(tally.opened));
	json_object_set_new(object, "received_bytes", integer(tally.received));
	json_object_set_new(object, "interrupted", json_boolean(tally.interrupted));
	for (size_t i = 0; (warning = tally_warning(plan, i)); i++)
		json_array_append_new(warnings, json_string(warning));
	json_object_set_new(object, "warnings", warnings);
	bad = json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
	json_decref(object);
	if (bad)
		return cli_fail(CLI_FAILED, "cannot write to standard output");
	putchar('\n');
	return 0;
}
