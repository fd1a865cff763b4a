/* summary.c -- see summary.h */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/summary.h"
#include "unit.h"

#define REASONS 3
#define LOOKS   20  /* at carriers, at least, to say something of them */
#define NOTABLE .05 /* of them */
#define HELD    .98 /* of a rate */

static bool is_valid(const struct record_run *run)
{
	return run && !*run->outcome.error;
}

double summary_figure(const struct record_run *run, unsigned which)
{
	return run->outcome.figure[which];
}

double summary_metric(const struct record_run *run, unsigned which)
{
	return run->outcome.metric[which];
}

double summary_counter(const struct record_run *run, unsigned which)
{
	return run->outcome.tasks.active ? (double)run->outcome.tasks.count[which] : NAN;
}

static unsigned pairs_begun(const struct record *r, unsigned level)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->count; i++)
		if (r->runs[i].kind == RUN_TIMED && r->runs[i].level == level && r->runs[i].pair >= n)
			n = r->runs[i].pair + 1;
	return n;
}

/* collect -- the logarithms of the ratios, in order of time. */
static unsigned collect(const struct record *r, unsigned level, unsigned variant, summary_value *value, unsigned which,
			double *logs)
{
	unsigned n = 0, pairs = pairs_begun(r, level);

	for (unsigned pair = 0; pair < pairs && n < ESTIMATE_MOST; pair++) {
		const struct record_run *a = record_find(r, RUN_TIMED, level, 0, pair);
		const struct record_run *b = record_find(r, RUN_TIMED, level, variant, pair);

		if (!is_valid(a) || !is_valid(b))
			continue;
		double one = value(a, which), other = value(b, which);

		if (one > 0 && other > 0 && isfinite(one) && isfinite(other))
			logs[n++] = log(other / one);
	}
	return n;
}

bool summary_ratio(const struct record *r, unsigned level, unsigned variant, summary_value *value, unsigned which,
		   struct estimate *e)
{
	double logs[ESTIMATE_MOST];
	unsigned n = collect(r, level, variant, value, which, logs);

	/* The pairs in which neither is zero are no fair sample of all. */
	return n && n == summary_pairs(r, level, variant) && !estimate_pairs(e, logs, n, verdict_usual.confidence);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double summary_median(const struct record *r, enum run_kind kind, unsigned level, unsigned variant, summary_value *value,
		      unsigned which)
{
	double all[ESTIMATE_MOST];
	size_t n = 0;

	for (size_t i = 0; i < r->count && n < ESTIMATE_MOST; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind == kind && run->level == level && run->variant == variant && is_valid(run) &&
		    isfinite(value(run, which)))
			all[n++] = value(run, which);
	}
	if (!n)
		return NAN;
	qsort(all, n, sizeof *all, ascending);
	return (all[(n - 1) / 2] + all[n / 2]) / 2;
}

unsigned summary_pairs(const struct record *r, unsigned level, unsigned variant)
{
	unsigned n = 0, pairs = pairs_begun(r, level);

	for (unsigned pair = 0; pair < pairs; pair++)
		n += is_valid(record_find(r, RUN_TIMED, level, 0, pair)) && is_valid(record_find(r, RUN_TIMED, level, variant, pair));
	return n;
}

unsigned summary_logs(const struct record *r, unsigned level, unsigned variant, double *logs)
{
	bool metric = r->primary_metric >= 0;

	return collect(r, level, variant, metric ? summary_metric : summary_figure,
		       metric ? (unsigned)r->primary_metric : r->primary_figure, logs);
}

/* -- rows ---------------------------------------------------------------------------------------------- */

bool summary_latency(const struct record *r, unsigned level, unsigned variant, struct histogram *to)
{
	static struct histogram one;

	memset(to, 0, sizeof *to);
	for (size_t i = 0; i < r->count; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind == RUN_TIMED && run->level == level && run->variant == variant && is_valid(run) && run->latency &&
		    !histogram_read(&one, run->latency))
			histogram_merge(to, &one);
	}
	return to->count > 0;
}

/* fill_row -- by the counted runs, or where they know nothing by the one that looked. */
static void fill_row(const struct record *r, unsigned level, unsigned variant, summary_value *value, unsigned which,
		     struct summary_row *row)
{
	enum run_kind kind = RUN_TIMED;
	struct estimate e;

	row->base = summary_median(r, kind, level, 0, value, which);
	row->variant = summary_median(r, kind, level, variant, value, which);
	row->ratio = row->lower = row->upper = NAN;
	if (!isfinite(row->base) && !isfinite(row->variant)) {
		kind = RUN_MEMORY;
		row->from = SUMMARY_LOOK;
		row->base = summary_median(r, kind, level, 0, value, which);
		row->variant = summary_median(r, kind, level, variant, value, which);
	}
	if (row->base > 0 && row->variant > 0)
		row->ratio = row->variant / row->base;
	if (kind == RUN_TIMED && summary_ratio(r, level, variant, value, which, &e)) {
		row->ratio = e.ratio;
		row->lower = e.lower;
		row->upper = e.upper;
	}
}

/* All latencies of the two that are compared, or nothing. */
struct latencies {
	struct histogram base, variant;
};

/* merge_row -- put all latencies in the place of the runs' percentiles. Where a few runs make the tail, the quotient lies outside
 * of what the pairs say, and then there is no interval. */
static void merge_row(enum figure which, const struct latencies *all, struct summary_row *row)
{
	double a = figure_latency(which, &all->base), b = figure_latency(which, &all->variant);

	if (!isfinite(a) || !isfinite(b))
		return;
	row->from = SUMMARY_MERGED;
	row->base = a;
	row->variant = b;
	row->ratio = b / a;
	if (!(row->lower <= row->ratio && row->ratio <= row->upper))
		row->lower = row->upper = NAN;
}

bool summary_time(const struct record *r, unsigned metric)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->runs[i].outcome.time[metric])
			return true;
	return false;
}

static void add_metric(const struct record *r, unsigned level, unsigned variant, unsigned which, struct summary_row *row)
{
	*row = (struct summary_row){
		.name = r->metrics[which], .json = r->metrics[which], .unit = summary_time(r, which) ? UNIT_SECONDS : UNIT_NUMBER,
	};
	fill_row(r, level, variant, summary_metric, which, row);
}

/* add_figure -- returns false for one that neither has. */
static bool add_figure(const struct record *r, unsigned level, unsigned variant, enum figure which, const struct latencies *all,
		       struct summary_row *row)
{
	const struct figure_kind *kind = &figure_kinds[which];

	*row = (struct summary_row){.name = kind->text, .json = kind->json, .unit = kind->unit, .latency = which >= FIGURE_P50 &&
				    which <= FIGURE_MAX};
	fill_row(r, level, variant, summary_figure, which, row);
	merge_row(which, all, row);
	return isfinite(row->base) || isfinite(row->variant);
}

unsigned summary_rows(const struct record *r, unsigned level, unsigned variant, struct summary_row rows[SUMMARY_ROWS])
{
	static struct latencies all;
	bool judged = r->primary_metric < 0; /* is it a figure? */
	unsigned n = 0;

	summary_latency(r, level, 0, &all.base);
	summary_latency(r, level, variant, &all.variant);
	for (unsigned i = 0; i < r->metric_count; i++)
		add_metric(r, level, variant, i, &rows[n++]);
	if (judged)
		n += add_figure(r, level, variant, r->primary_figure, &all, &rows[n]);
	for (enum figure i = 0; i < FIGURES; i++)
		if (!judged || i != r->primary_figure)
			n += add_figure(r, level, variant, i, &all, &rows[n]);
	return n;
}

/* -- verdicts ---------------------------------------------------------------------------------------- */

/* look_at -- note what a variant's runs at a level have got wrong. */
static bool look_at(const struct record *r, unsigned level, unsigned variant, struct summary_one *s)
{
	bool failed = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind != RUN_TIMED || run->level != level || run->variant != variant)
			continue;
		failed |= run->outcome.failed > 0 || *run->outcome.error;
		s->one.coarse |= run->outcome.coarse;
		if (*run->outcome.error && !s->error) {
			s->error = run->outcome.error;
			s->error_of = r->variants[variant];
		}
	}
	return failed;
}

static bool differs(const struct record *r, unsigned level, unsigned variant)
{
	const struct record_run *first = record_find(r, RUN_TIMED, level, 0, 0);

	if (r->server || !first)
		return false;
	for (size_t i = 0; i < r->count; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind != RUN_TIMED || run->level != level || (run->variant && run->variant != variant) || *run->outcome.error)
			continue;
		if (run->outcome.status != first->outcome.status ||
		    (r->same_output && run->outcome.output != first->outcome.output))
			return true;
	}
	return false;
}

static void judge_one(const struct record *r, unsigned level, unsigned variant, double confidence, struct summary_one *s)
{
	double logs[ESTIMATE_MOST];
	unsigned n = summary_logs(r, level, variant, logs);

	s->one = (struct verdict_case){.base = r->variants[0], .name = r->variants[variant], .higher = r->higher};
	s->one.base_failed = look_at(r, level, 0, s);
	s->one.name_failed = look_at(r, level, variant, s);
	s->one.differs = differs(r, level, variant);
	if (!n || estimate_pairs(&s->one.estimate, logs, n, confidence))
		s->one.estimate = (struct estimate){.ratio = 1, .lower = 1, .upper = 1, .p = 1};
}

void summary_make(struct summary *s, const struct record *r)
{
	struct verdict_case cases[LEVELS_MOST];
	struct verdict verdicts[LEVELS_MOST];
	double confidence = verdict_confidence(&r->rule, r->level_count);

	*s = (struct summary){0};
	for (unsigned v = 1; v < r->variant_count; v++) {
		for (unsigned l = 0; l < r->level_count; l++) {
			judge_one(r, l, v, confidence, &s->of[v][l]);
			cases[l] = s->of[v][l].one;
		}
		verdict_judge(&r->rule, cases, verdicts, r->level_count);
		for (unsigned l = 0; l < r->level_count; l++)
			s->of[v][l].verdict = verdicts[l];
	}
}

/* -- reasons ------------------------------------------------------------------------------------------ */

static const struct outcome_tasks *tasks_of(const struct record *r, unsigned level, unsigned variant)
{
	for (size_t i = r->count; i-- > 0;)
		if (r->runs[i].level == level && r->runs[i].variant == variant && r->runs[i].outcome.tasks.seen)
			return &r->runs[i].outcome.tasks;
	return NULL;
}

/* count_of -- a counter's median over the runs; 0 for what Weft did not run. */
static uint64_t count_of(const struct record *r, unsigned level, unsigned variant, enum counter which)
{
	double n = summary_median(r, RUN_TIMED, level, variant, summary_counter, which);

	return isfinite(n) ? (uint64_t)llround(n) : 0;
}

/* Reasons write into `to' and return false where they do not apply. */
typedef bool reason(const struct record *r, unsigned level, unsigned variant, char *to, size_t n);

static bool native(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	const struct outcome_tasks *t = tasks_of(r, level, variant);

	if (!r->weft[variant] || (t && t->active) || (!t && !summary_pairs(r, level, variant)))
		return false;
	if (t && *t->why)
		snprintf(to, n, "0 tasks: it ran natively: %s", t->why);
	else
		snprintf(to, n, "0 tasks: this program makes no threads, so Weft has nothing to do");
	return true;
}

/* changes -- then it is no wonder that another variant's differs. */
static bool changes(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	const struct record_run *first = record_find(r, RUN_TIMED, level, 0, 0);

	for (size_t i = 0; first && r->same_output && i < r->count; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind == RUN_TIMED && run->level == level && !run->variant && is_valid(run) &&
		    run->outcome.output != first->outcome.output) {
			snprintf(to, n, "the output of %s is not the same in all its runs", r->variants[0]);
			return true;
		}
	}
	return false;
}

static bool load_was_limit(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	double used = summary_median(r, RUN_TIMED, level, variant, summary_figure, FIGURE_LOAD_SHARE);

	if (!r->server || !(used > .97))
		return false;
	snprintf(to, n, "the load used %.0f %% of its CPU: its rate is the load's limit, not that of %s",
		 100 * used, r->variants[variant]);
	return true;
}

static bool was_not_held(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	double a = summary_median(r, RUN_TIMED, level, 0, summary_figure, FIGURE_RATE);
	double b = summary_median(r, RUN_TIMED, level, variant, summary_figure, FIGURE_RATE);

	if (!(r->rate > 0) || (!(a < HELD * r->rate) && !(b < HELD * r->rate)))
		return false;
	snprintf(to, n, "the rate of %s requests a second was not held: %s by %s, %s by %s", unit_number(r->rate), unit_number(a),
		 r->variants[0], unit_number(b), r->variants[variant]);
	return true;
}

static bool asleep(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	uint64_t looks = 0, blocked = 0;
	const char *in = "";

	for (size_t i = 0; i < r->count; i++) {
		const struct outcome_looks *l = &r->runs[i].outcome.carriers;

		if (r->runs[i].variant != variant || r->runs[i].level != level)
			continue;
		looks += l->looks;
		blocked += l->blocked;
		in = l->blocked ? l->in : in;
	}
	if (looks < LOOKS || (double)blocked < NOTABLE * (double)looks)
		return false;
	snprintf(to, n, "%.0f %% of carrier time blocked in %s", 100 * (double)blocked / (double)looks, in);
	return true;
}

static bool blocked(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	uint64_t handoffs = count_of(r, level, variant, COUNTER_handoffs), offloads = count_of(r, level, variant, COUNTER_offloads);

	if (handoffs + offloads < 100)
		return false;
	snprintf(to, n, "%s calls a run blocked a kernel thread where Weft cannot park them (%s taken over, %s by the pool)",
		 unit_grouped(handoffs + offloads), unit_grouped(handoffs), unit_grouped(offloads));
	return true;
}

static bool switched(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	double a = summary_median(r, RUN_TIMED, level, 0, summary_figure, FIGURE_SWITCHES);
	double b = summary_median(r, RUN_TIMED, level, variant, summary_figure, FIGURE_SWITCHES);
	uint64_t switches = count_of(r, level, variant, COUNTER_switches);

	if (!(a > 100 || b > 100) || (a < 2 * b && b < 2 * a))
		return false;
	snprintf(to, n, "the kernel switched threads %s times in a run of %s, %s times in one of %s", unit_number(b), r->variants[variant],
		 unit_number(a), r->variants[0]);
	if (switches)
		snprintf(to + strlen(to), n - strlen(to), "; tasks %s times in user space", unit_grouped(switches));
	return true;
}

static bool threads(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	uint64_t most = 0, hubs = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct outcome_tasks *t = &r->runs[i].outcome.tasks;

		if (r->runs[i].level != level || r->runs[i].variant != variant || !t->active || t->count[COUNTER_most] < most)
			continue;
		most = t->count[COUNTER_most];
		hubs = t->count[COUNTER_hubs];
	}
	snprintf(to, n, "up to %s tasks at once on %s hub%s", unit_grouped(most), unit_grouped(hubs), hubs == 1 ? "" : "s");
	return hubs > 0;
}

static bool preempted(const struct record *r, unsigned level, unsigned variant, char *to, size_t n)
{
	uint64_t times = count_of(r, level, variant, COUNTER_preemptions);

	if (times < 100)
		return false;
	snprintf(to, n, "%s preemptions a run: its threads compute", unit_grouped(times));
	return true;
}

const char *summary_why(const struct record *r, unsigned level, unsigned variant, unsigned n)
{
	static reason *const reasons[] = {changes, native, was_not_held, load_was_limit, asleep, blocked, switched, preempted, threads};
	static char text[300];

	for (size_t i = 0; n < REASONS && i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i](r, level, variant, text, sizeof text) && !n--)
			return text;
	return NULL;
}
