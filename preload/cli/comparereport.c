/* comparereport.c -- see comparereport.h */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "comparereport.h"
#include "unit.h"

#define BOLD  (isatty(1) ? "\033[1m" : "")
#define PLAIN (isatty(1) ? "\033[0m" : "")

/* -- text --------------------------------------------------------------------------------------------- */

static const char *in_unit(double value, enum figure_unit unit)
{
	if (!isfinite(value))
		return "-";
	switch (unit) {
	case UNIT_SECONDS:
		return unit_time(value * 1e9);
	case UNIT_BYTES:
		return unit_bytes(value);
	default:
		return unit_number(value);
	}
}

/* print_row -- one figure of both variants, and their ratio. Memory is looked at once, so it has no interval. */
static void print_row(const struct record *r, unsigned level, unsigned variant, const char *name, enum figure_unit unit,
		      summary_value *value, unsigned which)
{
	enum run_kind kind = RUN_TIMED;
	double a = summary_median(r, kind, level, 0, value, which);
	double b = summary_median(r, kind, level, variant, value, which);
	struct estimate e;

	if (!isfinite(a) && !isfinite(b)) {
		kind = RUN_MEMORY;
		a = summary_median(r, kind, level, 0, value, which);
		b = summary_median(r, kind, level, variant, value, which);
	}
	if ((!isfinite(a) && !isfinite(b)) || (a == 0 && b == 0))
		return;
	printf("  %-32s %13s %13s", name, in_unit(a, unit), in_unit(b, unit));
	if (kind == RUN_TIMED && summary_ratio(r, level, variant, value, which, &e))
		printf("   %6.3f (%.3f … %.3f)", e.ratio, e.lower, e.upper);
	else if (a > 0 && b > 0)
		printf("   %6.3f", b / a);
	putchar('\n');
}

static void print_rows(const struct record *r, unsigned level, unsigned variant)
{
	printf("%s  %-32s %13s %13s   ratio (95 %% interval)%s\n", BOLD, "", r->variants[0], r->variants[variant], PLAIN);
	for (unsigned i = 0; i < r->metric_count; i++)
		print_row(r, level, variant, r->metrics[i], UNIT_NUMBER, summary_metric, i);
	if (r->primary_metric < 0)
		print_row(r, level, variant, figure_kinds[r->primary_figure].text, figure_kinds[r->primary_figure].unit,
			  summary_figure, r->primary_figure);
	for (unsigned i = 0; i < FIGURES; i++)
		if (r->primary_metric >= 0 || i != r->primary_figure)
			print_row(r, level, variant, figure_kinds[i].text, figure_kinds[i].unit, summary_figure, i);
}

static void print_verdict(const struct record *r, const struct summary_one *s, unsigned level, unsigned variant)
{
	char text[300];
	const char *why;

	verdict_text(&s->verdict, text, sizeof text);
	printf("  %s%s%s\n", BOLD, text, PLAIN);
	unsigned pairs = summary_pairs(r, level, variant);

	printf("    by %s, %u pair%s%s\n", r->primary, pairs, pairs == 1 ? "" : "s", r->quick ? " (--quick: a first look)" : "");
	if (s->error)
		printf("  a run of %s was void: %s\n", s->error_of, s->error);
	for (unsigned i = 0; (why = summary_why(r, level, variant, i)); i++)
		printf("    %s\n", why);
}

void comparereport_text(const struct record *r, const struct summary *s)
{
	printf("%s\n%s; seed %lld\n", r->program, r->machine, (long long)r->seed);
	for (unsigned l = 0; l < r->level_count; l++)
		for (unsigned v = 1; v < r->variant_count; v++) {
			putchar('\n');
			if (r->server)
				printf("%lld connection%s\n", (long long)r->level[l], r->level[l] == 1 ? "" : "s");
			print_rows(r, l, v);
			print_verdict(r, &s->of[v][l], l, v);
		}
	if (r->server && !r->fixed_rate && r->primary_metric < 0)
		puts("\nLatencies are at different rates: not judged (--rate makes them equal). On loopback the sender\n"
		     "pays for the receiver's share of the kernel's work.");
}

/* -- JSON --------------------------------------------------------------------------------------------- */

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static void add_figure(json_t *to, const char *name, const struct record *r, unsigned level, unsigned variant,
		       summary_value *value, unsigned which)
{
	double a = summary_median(r, RUN_TIMED, level, 0, value, which);
	double b = summary_median(r, RUN_TIMED, level, variant, value, which);
	struct estimate e = {.ratio = NAN, .lower = NAN, .upper = NAN};

	if (!isfinite(a) && !isfinite(b)) {
		a = summary_median(r, RUN_MEMORY, level, 0, value, which);
		b = summary_median(r, RUN_MEMORY, level, variant, value, which);
	}
	if (!isfinite(a) && !isfinite(b))
		return;
	if (!summary_ratio(r, level, variant, value, which, &e))
		e.ratio = b / a;
	json_object_set_new(to, name, json_pack("{s:o, s:o, s:o, s:o, s:o}", "base", real(a), "variant", real(b), "ratio",
						real(e.ratio), "lower", real(e.lower), "upper", real(e.upper)));
}

static json_t *case_of(const struct record *r, const struct summary_one *s, unsigned level, unsigned variant)
{
	const struct estimate *e = &s->one.estimate;
	json_t *figures = json_object(), *why = json_array();
	const char *reason;
	char text[300];

	for (unsigned i = 0; i < r->metric_count; i++)
		add_figure(figures, r->metrics[i], r, level, variant, summary_metric, i);
	for (unsigned i = 0; i < FIGURES; i++)
		add_figure(figures, figure_kinds[i].json, r, level, variant, summary_figure, i);
	for (unsigned i = 0; (reason = summary_why(r, level, variant, i)); i++)
		json_array_append_new(why, json_string(reason));
	verdict_text(&s->verdict, text, sizeof text);
	return json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:s}", "base", r->variants[0], "variant",
			 r->variants[variant], "connections", (json_int_t)r->level[level], "pairs",
			 (int)summary_pairs(r, level, variant), "verdict", verdict_word(s->verdict.kind), "sentence", text,
			 "significant", s->verdict.significant, "ratio", e->ratio, "lower", e->lower, "upper", e->upper, "p", e->p,
			 "confidence", e->confidence, "why", why, "figures", figures, "error", s->error ? s->error : "");
}

int comparereport_json(const struct record *r, const struct summary *s)
{
	json_t *cases = json_array(), *all;
	int status;

	for (unsigned v = 1; v < r->variant_count; v++)
		for (unsigned l = 0; l < r->level_count; l++)
			json_array_append_new(cases, case_of(r, &s->of[v][l], l, v));
	all = json_pack("{s:i, s:s, s:s, s:s, s:b, s:I, s:o}", "weft_compare", RECORD_FORMAT, "program", r->program, "machine", r->machine,
			"primary", r->primary, "higher_is_better", r->higher, "seed", (json_int_t)r->seed, "cases", cases);
	status = all && !json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) ? 0 : CLI_FAILED;
	putchar('\n');
	json_decref(all);
	return status;
}

int comparereport_csv(const struct record *r)
{
	printf("kind,variant,connections,pair,second,begun_s,status,requests,failed");
	for (unsigned i = 0; i < r->metric_count; i++)
		printf(",%s", r->metrics[i]);
	for (unsigned i = 0; i < FIGURES; i++)
		printf(",%s", figure_kinds[i].json);
	putchar('\n');
	for (size_t i = 0; i < r->count; i++) {
		const struct record_run *run = &r->runs[i];
		const struct outcome *o = &run->outcome;

		printf("%s,%s,%lld,%u,%d,%.3f,%d,%.12g,%.12g", record_kind_names[run->kind],
		       r->variants[run->variant], (long long)r->level[run->level], run->pair, run->second, o->begun, o->status,
		       o->requests, o->failed);
		for (unsigned k = 0; k < r->metric_count; k++)
			isfinite(o->metric[k]) ? printf(",%.12g", o->metric[k]) : putchar(',');
		for (unsigned k = 0; k < FIGURES; k++)
			isfinite(o->figure[k]) ? printf(",%.12g", o->figure[k]) : putchar(',');
		putchar('\n');
	}
	return 0;
}

/* -- two kept ones ------------------------------------------------------------------------------------ */

int comparereport_two(const struct record *a, const struct record *b)
{
	bool any = false;

	printf("%s, by %s; the second file's ratio by the first one's\n", a->program, a->primary);
	for (unsigned v = 1; v < a->variant_count && v < b->variant_count; v++)
		for (unsigned l = 0; l < a->level_count; l++)
			for (unsigned m = 0; m < b->level_count; m++) {
				double x[ESTIMATE_MOST], y[ESTIMATE_MOST];
				struct estimate one, two, e;

				if (a->level[l] != b->level[m] || strcmp(a->variants[v], b->variants[v]))
					continue;
				unsigned n = summary_logs(a, l, v, x), k = summary_logs(b, m, v, y);

				if (!n || !k || estimate_pairs(&one, x, n, .95) || estimate_pairs(&two, y, k, .95) ||
				    estimate_between(&e, y, k, x, n, .95))
					continue;
				any = true;
				printf("  %s by %s, %lld connections: %.3f, then %.3f: %.3f (%.3f … %.3f)%s\n", a->variants[v],
				       a->variants[0], (long long)a->level[l], one.ratio, two.ratio, e.ratio, e.lower, e.upper,
				       e.lower <= 1 && e.upper >= 1 ? ", no sure difference" : "");
			}
	return any ? 0 : cli_fail(CLI_USAGE, "the two have no variant at the same level in common");
}
