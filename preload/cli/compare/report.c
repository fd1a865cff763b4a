/* report.c -- see report.h */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "compare/report.h"
#include "unit.h"

#define WIDTH  100 /* columns */
#define COLUMN 13  /* of a value */

#define BOLD  (isatty(1) ? "\033[1m" : "")
#define PLAIN (isatty(1) ? "\033[0m" : "")

static int flush(void)
{
	return fflush(stdout) || ferror(stdout) ? cli_fail(CLI_FAILED, "cannot write to standard output") : 0;
}

/* -- text --------------------------------------------------------------------------------------------- */

static const char *in_unit(double value, enum figure_unit unit)
{
	if (!isfinite(value))
		return "-";
	if (value == 0)
		return "0";
	switch (unit) {
	case UNIT_SECONDS:
		return unit_time(value * 1e9);
	case UNIT_BYTES:
		return unit_bytes(value);
	default:
		return unit_number(value);
	}
}

/* word_length -- in bytes, of at most so many columns; the space within a number does not end it. */
static size_t word_length(const char *text, unsigned most, unsigned *columns)
{
	size_t n = 0;

	for (*columns = 0; text[n] && *columns < most; ++*columns) {
		if (text[n] == ' ' && !(n && isdigit((unsigned char)text[n - 1]) && isdigit((unsigned char)text[n + 1])))
			break;
		for (n++; (text[n] & 0xc0) == 0x80;)
			n++;
	}
	return n;
}

/* wrap -- print words within the width, further lines indented by some columns more; a word that is wider is broken. */
static void wrap(unsigned indent, const char *text)
{
	unsigned column = indent, columns;

	printf("%*s", (int)indent, "");
	for (bool space = false; *text; space = *text == ' ', text += space) {
		size_t n = word_length(text, WIDTH - indent - 2, &columns);

		if (column + space + columns > WIDTH) {
			printf("\n%*s", (int)indent + 2, "");
			column = indent + 2;
			space = false;
		}
		printf("%s%.*s", space ? " " : "", (int)n, text);
		column += space + columns;
		text += n;
	}
	putchar('\n');
}

static void wrap_format(unsigned indent, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrap_format(unsigned indent, const char *format, ...)
{
	char text[1000];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	wrap(indent, text);
}

/* print_head -- names that are wider than their columns get letters. */
static void print_head(const char *a, const char *b)
{
	if (strlen(a) > COLUMN || strlen(b) > COLUMN) {
		wrap_format(2, "A: %s   B: %s", a, b);
		a = "A";
		b = "B";
	}
	printf("%s  %-32s %*s %*s   ratio (95 %% interval)%s\n", BOLD, "", COLUMN, a, COLUMN, b, PLAIN);
}

/* print_row -- returns true for one that wants the note on percentiles. */
static bool print_row(const struct summary_row *row)
{
	bool note = row->latency && row->from == SUMMARY_MEDIAN;
	char name[40];

	if (row->base == 0 && row->variant == 0)
		return false;
	snprintf(name, sizeof name, "%s%s", row->name, note ? " *" : "");
	printf("  %-32s %*s %*s", name, COLUMN, in_unit(row->base, row->unit), COLUMN, in_unit(row->variant, row->unit));
	if (isfinite(row->ratio))
		printf("   %6.3f", row->ratio);
	if (isfinite(row->lower))
		printf(" (%.3f … %.3f)", row->lower, row->upper);
	putchar('\n');
	return note;
}

/* print_counters -- of Weft, for what it ran. */
static void print_counters(const struct record *r, unsigned level, unsigned variant)
{
	char text[600];
	size_t at = 0;

	for (unsigned i = 0; i < COUNTERS; i++) {
		double value = summary_median(r, RUN_TIMED, level, variant, summary_counter, i);

		if (isfinite(value))
			at += (size_t)snprintf(text + at, sizeof text - at, "%s %s %s", at ? "," : "", counter_kinds[i].text,
					       unit_grouped((uint64_t)llround(value)));
	}
	if (at)
		wrap_format(2, "Weft's counters, a run of %s:%s", r->variants[variant], text);
}

static void print_rows(const struct record *r, unsigned level, unsigned variant)
{
	struct summary_row rows[SUMMARY_ROWS];
	unsigned n = summary_rows(r, level, variant, rows);
	bool note = false;

	print_head(r->variants[0], r->variants[variant]);
	for (unsigned i = 0; i < n; i++)
		note |= print_row(&rows[i]);
	if (note)
		puts("  * medians of what the load printed for each run: it gives nothing that could be merged");
	if (r->weft[0] && variant == 1)
		print_counters(r, level, 0);
	print_counters(r, level, variant);
}

static void print_verdict(const struct record *r, const struct summary_one *s, unsigned level, unsigned variant)
{
	char text[300];
	const char *why;

	verdict_text(&s->verdict, text, sizeof text);
	printf("%s", BOLD);
	wrap(2, text);
	printf("%s", PLAIN);
	unsigned pairs = summary_pairs(r, level, variant);

	printf("    by %s, %u pair%s%s\n", r->primary, pairs, pairs == 1 ? "" : "s", r->quick ? " (--quick: a first look)" : "");
	if (s->verdict.kind == VERDICT_OPEN && s->verdict.needed > VERDICT_MOST)
		puts("    more than 96 pairs are never taken: measure each run for longer, or ask for less --precision");
	if (s->error)
		printf("  a run of %s was void: %s\n", s->error_of, s->error);
	for (unsigned i = 0; (why = summary_why(r, level, variant, i)); i++)
		wrap(4, why);
}

int comparereport_text(const struct record *r, const struct summary *s)
{
	wrap(0, r->program);
	wrap_format(0, "%s%s%s; seed %lld", r->machine, r->stack > 0 ? "; stacks of " : "", r->stack > 0 ? unit_bytes(r->stack) : "",
		    (long long)r->seed);
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
	return flush();
}

/* -- JSON --------------------------------------------------------------------------------------------- */

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_row(const struct summary_row *row)
{
	static const char *const units[] = {[UNIT_SECONDS] = "s", [UNIT_BYTES] = "B", [UNIT_NUMBER] = ""};
	static const char *const from[] = {[SUMMARY_MEDIAN] = "median", [SUMMARY_MERGED] = "merged", [SUMMARY_LOOK] = "look"};

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "unit", units[row->unit], "from", from[row->from], "base", real(row->base),
			 "variant", real(row->variant), "ratio", real(row->ratio), "lower", real(row->lower), "upper", real(row->upper));
}

/* json_counters -- medians over the runs; null for what Weft did not run. */
static json_t *json_counters(const struct record *r, unsigned level, unsigned variant)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < COUNTERS; i++) {
		double value = summary_median(r, RUN_TIMED, level, variant, summary_counter, i);

		if (isfinite(value))
			json_object_set_new(object, counter_kinds[i].json, json_real(value));
	}
	if (json_object_size(object))
		return object;
	json_decref(object);
	return json_null();
}

static json_t *case_of(const struct record *r, const struct summary_one *s, unsigned level, unsigned variant)
{
	const struct estimate *e = &s->one.estimate;
	json_t *figures = json_object(), *why = json_array();
	struct summary_row rows[SUMMARY_ROWS];
	unsigned n = summary_rows(r, level, variant, rows);
	const char *reason;
	char text[300];

	for (unsigned i = 0; i < n; i++)
		json_object_set_new(figures, rows[i].json, json_row(&rows[i]));
	for (unsigned i = 0; (reason = summary_why(r, level, variant, i)); i++)
		json_array_append_new(why, json_string(reason));
	verdict_text(&s->verdict, text, sizeof text);
	return json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:s}", "base",
			 r->variants[0], "variant", r->variants[variant], "connections", (json_int_t)r->level[level], "pairs",
			 (int)summary_pairs(r, level, variant), "verdict", verdict_word(s->verdict.kind), "sentence", text,
			 "significant", s->verdict.significant, "ratio", e->ratio, "lower", e->lower, "upper", e->upper, "p", e->p,
			 "confidence", e->confidence, "why", why, "figures", figures, "base_counters", json_counters(r, level, 0),
			 "counters", json_counters(r, level, variant), "error", s->error ? s->error : "");
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
	return flush() ? CLI_FAILED : status;
}

/* -- CSV ---------------------------------------------------------------------------------------------- */

static void csv_head(const struct record *r)
{
	printf("kind,variant,connections,pair,second,begun_s,status,requests,failed");
	for (unsigned i = 0; i < r->metric_count; i++)
		printf(",%s%s", r->metrics[i], summary_time(r, i) ? "_s" : "");
	for (unsigned i = 0; i < FIGURES; i++)
		printf(",%s", figure_kinds[i].json);
	for (unsigned i = 0; i < COUNTERS; i++)
		printf(",weft_%s", counter_kinds[i].json);
	putchar('\n');
}

static void csv_value(double value)
{
	isfinite(value) ? printf(",%.12g", value) : putchar(',');
}

static void csv_run(const struct record *r, const struct record_run *run)
{
	const struct outcome *o = &run->outcome;

	printf("%s,%s,%lld,%u,%d,%.3f,%d", record_kind_names[run->kind], r->variants[run->variant], (long long)r->level[run->level],
	       run->pair, run->second, o->begun, o->status);
	csv_value(o->requests);
	csv_value(o->failed);
	for (unsigned i = 0; i < r->metric_count; i++)
		csv_value(o->metric[i]);
	for (unsigned i = 0; i < FIGURES; i++)
		csv_value(o->figure[i]);
	for (unsigned i = 0; i < COUNTERS; i++)
		csv_value(summary_counter(run, i));
	putchar('\n');
}

/* csv_merged -- the percentiles of all counted runs together, where there are histograms. */
static void csv_merged(const struct record *r, unsigned level, unsigned variant)
{
	static struct histogram h;

	if (!summary_latency(r, level, variant, &h))
		return;
	printf("merged,%s,%lld,,,,,%" PRIu64 ",", r->variants[variant], (long long)r->level[level], h.count);
	for (unsigned i = 0; i < r->metric_count; i++)
		putchar(',');
	for (unsigned i = 0; i < FIGURES; i++)
		csv_value(figure_latency(i, &h));
	for (unsigned i = 0; i < COUNTERS; i++)
		putchar(',');
	putchar('\n');
}

int comparereport_csv(const struct record *r)
{
	csv_head(r);
	for (size_t i = 0; i < r->count; i++)
		csv_run(r, &r->runs[i]);
	for (unsigned l = 0; l < r->level_count; l++)
		for (unsigned v = 0; v < r->variant_count; v++)
			csv_merged(r, l, v);
	return flush();
}

/* -- two kept ones ------------------------------------------------------------------------------------ */

int comparereport_two(const struct record *a, const struct record *b)
{
	bool any = false;

	wrap_format(0, "%s, by %s; the second file's ratio by the first one's", a->program, a->primary);
	for (unsigned v = 1; v < a->variant_count && v < b->variant_count; v++)
		for (unsigned l = 0; l < a->level_count; l++)
			for (unsigned m = 0; m < b->level_count; m++) {
				double x[ESTIMATE_MOST], y[ESTIMATE_MOST];
				struct estimate one, two, e;
				char at[40];

				if (a->level[l] != b->level[m] || strcmp(a->variants[v], b->variants[v]))
					continue;
				unsigned n = summary_logs(a, l, v, x), k = summary_logs(b, m, v, y);

				if (!n || !k || estimate_pairs(&one, x, n, .95) || estimate_pairs(&two, y, k, .95) ||
				    estimate_between(&e, y, k, x, n, .95))
					continue;
				any = true;
				snprintf(at, sizeof at, ", %lld connections", (long long)a->level[l]);
				wrap_format(2, "%s by %s%s: %.3f, then %.3f: %.3f (%.3f … %.3f)%s", a->variants[v], a->variants[0],
					    a->server ? at : "", one.ratio, two.ratio, e.ratio, e.lower, e.upper,
					    e.lower <= 1 && e.upper >= 1 ? ", no sure difference" : "");
			}
	return any ? 0 : cli_fail(CLI_USAGE, "the two have no variant at the same level in common");
}
