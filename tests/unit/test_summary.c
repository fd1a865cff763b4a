/* test_summary.c -- what the runs of a comparison say: medians, ratios, verdicts, reasons
 * libs: -ljansson
 */
#include "unit.h"
#include <math.h>
#include <stdarg.h>

#include "cli.h"
#include "compare/summary.h"

#define PAIRS 12

static struct record_run runs[PAIRS * 2];
static struct record record;
static struct summary summary;

int cli_fail(int status, const char *format, ...)
{
	return status;
}

/* make -- pairs of commands: native takes 1 s and more, weft `factor' of that. */
static void make(double factor)
{
	record = (struct record){
		.primary_metric = -1, .primary_figure = FIGURE_WALL, .variants = {"native", "weft"}, .variant_count = 2, .weft = {false, true},
		.level = {10}, .level_count = 1, .rule = verdict_usual, .runs = runs, .count = PAIRS * 2, .seconds = 1,
	};
	memset(runs, 0, sizeof runs);
	for (unsigned i = 0; i < PAIRS * 2; i++) {
		struct outcome *o = &runs[i].outcome;

		runs[i] = (struct record_run){.kind = RUN_TIMED, .pair = i / 2, .variant = i % 2, .second = i % 2};
		for (unsigned k = 0; k < FIGURES; k++)
			o->figure[k] = NAN;
		o->figure[FIGURE_WALL] = (1 + i / 2 * .01) * (i % 2 ? factor * (1 + (i / 2 % 3) * .001) : 1);
	}
}

static enum verdict_kind judged(void)
{
	summary_make(&summary, &record);
	return summary.of[1][0].verdict.kind;
}

static void assert_near(double a, double b)
{
	assert_true(fabs(a - b) < 1e-9);
}

static void medians_and_ratios_are_those_of_the_runs(void **state)
{
	struct estimate e;

	make(2);
	assert_near(summary_median(&record, RUN_TIMED, 0, 0, summary_figure, FIGURE_WALL), 1.055);
	assert_true(isnan(summary_median(&record, RUN_TIMED, 0, 0, summary_figure, FIGURE_RATE)));
	assert_true(isnan(summary_median(&record, RUN_MEMORY, 0, 0, summary_figure, FIGURE_WALL)));
	assert_true(summary_ratio(&record, 0, 1, summary_figure, FIGURE_WALL, &e));
	assert_true(fabs(e.ratio - 2.002) < 1e-5);
	assert_false(summary_ratio(&record, 0, 1, summary_figure, FIGURE_RATE, &e));
	assert_int_equal(summary_pairs(&record, 0, 1), PAIRS);
	runs[4].outcome.figure[FIGURE_WALL] = 0;
	assert_false(summary_ratio(&record, 0, 1, summary_figure, FIGURE_WALL, &e));
}

static void verdicts_follow_the_runs(void **state)
{
	make(2);
	assert_int_equal(judged(), VERDICT_BETTER);
	assert_string_equal(summary.of[1][0].verdict.better, "native");
	make(.5);
	assert_int_equal(judged(), VERDICT_BETTER);
	assert_string_equal(summary.of[1][0].verdict.better, "weft");
	make(1);
	assert_int_equal(judged(), VERDICT_SAME);
	record.count = 10;
	assert_int_equal(judged(), VERDICT_FEW);
	record.count = 0;
	assert_int_equal(judged(), VERDICT_FEW);
	assert_int_equal(summary.of[1][0].verdict.pairs, 0);
}

static void a_void_run_makes_its_variant_lose_and_its_pair_does_not_count(void **state)
{
	make(.5);
	strcpy(runs[5].outcome.error, "it fell");
	assert_int_equal(judged(), VERDICT_LOST);
	assert_string_equal(summary.of[1][0].verdict.better, "native");
	assert_string_equal(summary.of[1][0].error, "it fell");
	assert_string_equal(summary.of[1][0].error_of, "weft");
	assert_int_equal(summary_pairs(&record, 0, 1), PAIRS - 1);
	runs[8].outcome.failed = 1;
	assert_int_equal(judged(), VERDICT_FAILED);
}

static void what_is_not_timed_does_not_count(void **state)
{
	make(1);
	runs[PAIRS * 2 - 1].kind = RUN_WARMUP;
	strcpy(runs[PAIRS * 2 - 1].outcome.error, "it fell");
	assert_int_equal(judged(), VERDICT_SAME);
	assert_int_equal(summary_pairs(&record, 0, 1), PAIRS - 1);
}

static void statuses_and_outputs_that_differ_are_said(void **state)
{
	make(1);
	runs[7].outcome.output = 5;
	assert_int_equal(judged(), VERDICT_SAME);
	record.same_output = true;
	assert_int_equal(judged(), VERDICT_DIFFERS);
	assert_non_null(strstr(summary_why(&record, 0, 1, 0), "no threads"));
	runs[6].outcome.output = 5;
	assert_string_equal(summary_why(&record, 0, 1, 0), "the output of native is not the same in all its runs");
	make(1);
	runs[7].outcome.status = 256;
	assert_int_equal(judged(), VERDICT_DIFFERS);
	record.server = true; /* its end is by a signal, as it comes */
	assert_int_equal(judged(), VERDICT_SAME);
}

static void a_metric_takes_the_place_of_the_figure(void **state)
{
	make(2);
	record.primary_metric = 1;
	record.higher = true;
	for (unsigned i = 0; i < PAIRS * 2; i++) {
		runs[i].outcome.metric[0] = NAN;
		runs[i].outcome.metric[1] = 100 + i % 2 * (50 + i / 2 % 3);
	}
	assert_int_equal(judged(), VERDICT_BETTER);
	assert_string_equal(summary.of[1][0].verdict.better, "weft");
	assert_near(summary_median(&record, RUN_TIMED, 0, 0, summary_metric, 1), 100);
}

static void a_coarse_figure_gives_no_verdict(void **state)
{
	make(2);
	runs[3].outcome.coarse = true;
	assert_int_equal(judged(), VERDICT_COARSE);
}

static void reasons_are_told(void **state)
{
	make(1);
	assert_string_equal(summary_why(&record, 0, 1, 0), "0 tasks: this program makes no threads, so Weft has nothing to do");
	assert_null(summary_why(&record, 0, 1, 1));
	assert_null(summary_why(&record, 0, 0, 0));
	runs[1].outcome.tasks = (struct outcome_tasks){.seen = true, .why = "too old"};
	assert_string_equal(summary_why(&record, 0, 1, 0), "0 tasks: it ran natively: too old");
	runs[1].outcome.tasks = (struct outcome_tasks){.seen = true, .active = true, .count = {
		[COUNTER_hubs] = 2, [COUNTER_most] = 7}};
	assert_string_equal(summary_why(&record, 0, 1, 0), "up to 7 tasks at once on 2 hubs");
	assert_null(summary_why(&record, 0, 1, 1));
}

static void blocked_carriers_are_a_reason_where_they_are_notable(void **state)
{
	make(1);
	runs[3].kind = RUN_WARMUP;
	runs[3].outcome.carriers = (struct outcome_looks){.looks = 1000, .blocked = 410, .in = "fsync"};
	assert_string_equal(summary_why(&record, 0, 1, 1), "41 % of carrier time blocked in fsync");
	runs[3].outcome.carriers.blocked = 49;
	assert_null(summary_why(&record, 0, 1, 1));
	runs[3].outcome.carriers = (struct outcome_looks){.looks = 19, .blocked = 19, .in = "fsync"};
	assert_null(summary_why(&record, 0, 1, 1));
	runs[2].outcome.carriers = (struct outcome_looks){.looks = 1000, .blocked = 410, .in = "fsync"}; /* another variant's */
	assert_null(summary_why(&record, 0, 1, 1));
}

static void reasons_count_what_a_run_does_in_the_median(void **state)
{
	make(1);
	for (unsigned i = 1; i < PAIRS * 2; i += 2) {
		runs[i].outcome.tasks = (struct outcome_tasks){.seen = true, .active = true, .count = {
			[COUNTER_hubs] = 1, [COUNTER_most] = 7, [COUNTER_switches] = 5000, [COUNTER_handoffs] = 90,
			[COUNTER_offloads] = 1090, [COUNTER_preemptions] = 1200}};
		runs[i].outcome.figure[FIGURE_SWITCHES] = 10;
		runs[i - 1].outcome.figure[FIGURE_SWITCHES] = 4000;
	}
	runs[PAIRS * 2 - 1].outcome.tasks.count[COUNTER_switches] = 1;
	runs[PAIRS * 2 - 1].outcome.tasks.count[COUNTER_offloads] = 1;
	assert_string_equal(summary_why(&record, 0, 1, 0), "1 180 calls a run blocked a kernel thread where Weft cannot park "
							    "them (90 taken over, 1 090 by the pool)");
	assert_string_equal(summary_why(&record, 0, 1, 1), "the kernel switched threads 10 times in a run of weft, 4 000 times in "
							    "one of native; tasks 5 000 times in user space");
	assert_string_equal(summary_why(&record, 0, 1, 2), "1 200 preemptions a run: its threads compute");
	assert_null(summary_why(&record, 0, 1, 3));
}

static void a_rate_that_was_not_held_is_a_reason(void **state)
{
	make(1);
	record.rate = 1000;
	record.weft[1] = false;
	for (unsigned i = 0; i < PAIRS * 2; i++)
		runs[i].outcome.figure[FIGURE_RATE] = i % 2 ? 970 : 999;
	assert_string_equal(summary_why(&record, 0, 1, 0), "the rate of 1 000 requests a second was not held: 999 by native, 970 by weft");
	for (unsigned i = 1; i < PAIRS * 2; i += 2)
		runs[i].outcome.figure[FIGURE_RATE] = 981;
	assert_null(summary_why(&record, 0, 1, 0));
}

/* add_latencies -- give each run of a variant latencies: so many of 1 ms, and one of `longest' ns. */
static void add_latencies(unsigned variant, unsigned many, int64_t longest)
{
	static struct histogram h;

	for (unsigned i = variant; i < PAIRS * 2; i += 2) {
		memset(&h, 0, sizeof h);
		for (unsigned k = 0; k < many; k++)
			histogram_add(&h, 1000000);
		histogram_add(&h, longest);
		runs[i].latency = histogram_write(&h);
		for (unsigned k = 0; k < FIGURES; k++)
			if (isfinite(figure_latency(k, &h)))
				runs[i].outcome.figure[k] = figure_latency(k, &h);
	}
}

static const struct summary_row *row_of(const struct summary_row *rows, unsigned n, const char *json)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(rows[i].json, json))
			return &rows[i];
	fail();
	return NULL;
}

/* One run of twelve has a stall: no run's percentile but its own shows it, and all latencies together do. */
static void percentiles_are_those_of_all_runs_together(void **state)
{
	struct summary_row rows[SUMMARY_ROWS];
	static struct histogram h;
	unsigned n;

	make(1);
	add_latencies(0, 99, 2000000);
	add_latencies(1, 99, 2000000);
	memset(&h, 0, sizeof h);
	for (unsigned i = 0; i < 100; i++)
		histogram_add(&h, 80000000);
	runs[7].latency = histogram_write(&h);
	runs[7].outcome.figure[FIGURE_P99] = .08;
	n = summary_rows(&record, 0, 1, rows);
	assert_true(summary_latency(&record, 0, 1, &h));
	assert_int_equal(h.count, PAIRS * 100);
	const struct summary_row *p50 = row_of(rows, n, "p50_s"), *p99 = row_of(rows, n, "p99_s");

	assert_int_equal(p50->from, SUMMARY_MERGED);
	assert_true(fabs(p50->base - .001) < 2e-6 && fabs(p50->variant - .001) < 2e-6);
	assert_near(p50->lower, 1);
	assert_near(p50->upper, 1);
	assert_true(fabs(p99->base - .001) < 2e-6);
	assert_true(fabs(p99->variant - .08) < 2e-4);
	assert_true(fabs(p99->ratio - 80) < .3);
	assert_true(isnan(p99->lower) && isnan(p99->upper)); /* of pairs it would be 1, which is not about this */
	strcpy(runs[7].outcome.error, "it fell");
	assert_true(summary_latency(&record, 0, 1, &h));
	assert_int_equal(h.count, (PAIRS - 1) * 100);
}

static void percentiles_alone_give_medians(void **state)
{
	struct summary_row rows[SUMMARY_ROWS];

	make(1);
	for (unsigned i = 0; i < PAIRS * 2; i++)
		runs[i].outcome.figure[FIGURE_P99] = 1 + i / 2;
	const struct summary_row *p99 = row_of(rows, summary_rows(&record, 0, 1, rows), "p99_s");

	assert_int_equal(p99->from, SUMMARY_MEDIAN);
	assert_true(p99->latency);
	assert_near(p99->base, 6.5);
	assert_near(p99->ratio, 1);
}

static void what_gets_the_verdict_is_the_first_row_and_memory_is_of_the_look(void **state)
{
	struct summary_row rows[SUMMARY_ROWS];
	unsigned n;

	make(1);
	runs[0].kind = runs[1].kind = RUN_MEMORY;
	runs[0].outcome.figure[FIGURE_PSS] = 1000;
	runs[1].outcome.figure[FIGURE_PSS] = 500;
	runs[2].outcome.figure[FIGURE_RATE] = runs[3].outcome.figure[FIGURE_RATE] = 5;
	n = summary_rows(&record, 0, 1, rows);
	assert_int_equal(n, 3);
	assert_string_equal(rows[0].json, "wall_s");
	const struct summary_row *pss = row_of(rows, n, "pss_bytes");

	assert_int_equal(pss->from, SUMMARY_LOOK);
	assert_near(pss->ratio, .5);
	assert_true(isnan(pss->lower));
	record.metric_count = 1;
	record.primary_metric = 0;
	strcpy(record.metrics[0], "mine");
	for (unsigned i = 0; i < PAIRS * 2; i++) {
		runs[i].outcome.metric[0] = 3;
		runs[i].outcome.time[0] = true;
	}
	assert_int_equal(summary_rows(&record, 0, 1, rows), 4);
	assert_string_equal(rows[0].json, "mine");
	assert_int_equal(rows[0].unit, UNIT_SECONDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(medians_and_ratios_are_those_of_the_runs),
		cmocka_unit_test(verdicts_follow_the_runs),
		cmocka_unit_test(a_void_run_makes_its_variant_lose_and_its_pair_does_not_count),
		cmocka_unit_test(what_is_not_timed_does_not_count),
		cmocka_unit_test(statuses_and_outputs_that_differ_are_said),
		cmocka_unit_test(a_metric_takes_the_place_of_the_figure),
		cmocka_unit_test(a_coarse_figure_gives_no_verdict),
		cmocka_unit_test(reasons_are_told),
		cmocka_unit_test(blocked_carriers_are_a_reason_where_they_are_notable),
		cmocka_unit_test(reasons_count_what_a_run_does_in_the_median),
		cmocka_unit_test(a_rate_that_was_not_held_is_a_reason),
		cmocka_unit_test(percentiles_are_those_of_all_runs_together),
		cmocka_unit_test(percentiles_alone_give_medians),
		cmocka_unit_test(what_gets_the_verdict_is_the_first_row_and_memory_is_of_the_look),
	};

	return RUN_GROUP(tests);
}
