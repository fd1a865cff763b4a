/* test_verdict.c -- looks, verdicts in their order, several levels; and how often they are wrong */
#include "unit.h"
#include <math.h>

#include "compare/estimate.h"
#include "noise.h"
#include "compare/verdict.h"

/* An interval as 24 well-behaved pairs might give it; p as it must be. */
static struct estimate interval(double ratio, double lower, double upper)
{
	return (struct estimate){
		.pairs = 24,
		.ratio = ratio,
		.lower = lower,
		.upper = upper,
		.confidence = .95,
		.p = lower > 1 || upper < 1 ? .01 : .5,
	};
}

static struct verdict_case compare(double ratio, double lower, double upper)
{
	return (struct verdict_case){
		.base = "native",
		.name = "weft",
		.higher = true,
		.estimate = interval(ratio, lower, upper),
	};
}

static struct verdict judge(const struct verdict_case *c)
{
	struct verdict v;

	verdict_judge(&verdict_usual, c, &v, 1);
	return v;
}

static void assert_says(const struct verdict_case *c, enum verdict_kind kind, const char *text)
{
	struct verdict v = judge(c);
	char said[256];

	assert_int_equal(verdict_text(&v, said, sizeof said), strlen(text));
	assert_string_equal(said, text);
	assert_int_equal(v.kind, kind);
}

static void looks_are_after_6_12_24_48_96(void **state)
{
	static const unsigned next[][2] = {{0, 6},   {5, 6},   {6, 12},	 {11, 12}, {12, 24},
					   {24, 48}, {48, 96}, {95, 96}, {96, 0},  {200, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof next / sizeof *next; i++)
		assert_int_equal(verdict_look(next[i][0]), next[i][1]);
}

static void a_series_ends_when_the_interval_is_narrow(void **state)
{
	struct estimate e = interval(1, 1, 1.0199), far = interval(3, 3, 3 * 1.0199),
			wide = interval(1.5, 1.5, 1.5 * 1.021);
	struct verdict_rule rough = {.precision = .05, .margin = .02, .confidence = .95};

	(void)state;
	assert_true(verdict_reached(&verdict_usual, 1, &e));
	assert_true(verdict_reached(&verdict_usual, 1, &far));
	assert_false(
		verdict_reached(&verdict_usual, 1, &wide)); /* though the difference is clear */
	assert_true(verdict_reached(&rough, 1, &wide));
	e.pairs = 5;
	assert_false(verdict_reached(&verdict_usual, 1, &e));
}

static void levels_want_more_of_each_interval(void **state)
{
	struct estimate e = interval(1, 1, 1.01);

	(void)state;
	assert_true(fabs(verdict_confidence(&verdict_usual, 1) - .95) < 1e-15);
	assert_true(fabs(verdict_confidence(&verdict_usual, 4) - .9875) < 1e-15);
	e.pairs = 6;
	assert_true(verdict_reached(&verdict_usual, 1, &e));
	assert_false(verdict_reached(&verdict_usual, 2, &e)); /* six pairs attain 0.96875 */
	e.pairs = 12;
	assert_true(verdict_reached(&verdict_usual, 100, &e));
	assert_false(verdict_reached(&verdict_usual, 103, &e));
}

static void each_verdict_has_its_sentence(void **state)
{
	struct verdict_case c = compare(1.1, 1.08, 1.12);

	(void)state;
	assert_says(&c, VERDICT_BETTER, "weft is better by 10.0 % (8.0 … 12.0)");
	c.estimate = interval(1.02, .9999999, 1.05);
	assert_says(&c, VERDICT_OPEN,
		    "not resolved: weft may be up to 0.0 % worse or 5.0 % better; about 146 pairs would tell");
	c.estimate = interval(1 / 1.1, 1 / 1.12, 1 / 1.08);
	assert_says(&c, VERDICT_BETTER, "native is better by 10.0 % (8.0 … 12.0)");
	c.higher = false;
	assert_says(&c, VERDICT_BETTER, "weft is better by 10.0 % (8.0 … 12.0)");
	c.estimate = interval(1.1, 1.08, 1.12);
	assert_says(&c, VERDICT_BETTER, "native is better by 10.0 % (8.0 … 12.0)");
	c.estimate = interval(13.52, 11.24, 16.251);
	assert_says(&c, VERDICT_BETTER, "native is better by 1252 % (1024 … 1525)");
	c.estimate = interval(1.003, .99, 1.015);
	assert_says(&c, VERDICT_SAME, "no difference above 2 %");
	c.estimate = interval(1.03, .99, 1.07);
	assert_says(
		&c, VERDICT_OPEN,
		"not resolved: weft may be up to 7.0 % worse or 1.0 % better; about 370 pairs would tell");
	c.estimate.dependent = true;
	c.estimate.correlation = .4567;
	assert_says(&c, VERDICT_WITHHELD,
		    "verdict withheld: the ratios depend on one another in time, "
		    "autocorrelation 0.46");
	c.estimate.pairs = 5;
	assert_says(&c, VERDICT_FEW, "no verdict: 5 pairs, and 6 are needed");
	c.coarse = true;
	assert_says(&c, VERDICT_COARSE, "no verdict: the figures are too coarse, below 100 quanta");
	c.differs = true;
	assert_says(&c, VERDICT_DIFFERS,
		    "differs: exit status or output of weft is not that of native");
	c.name_failed = true;
	assert_says(&c, VERDICT_LOST, "native is better: weft had failed requests or runs");
	c.base_failed = true;
	assert_says(&c, VERDICT_FAILED, "no verdict: weft and native both had failed requests or runs");
	c.name_failed = false;
	assert_says(&c, VERDICT_LOST, "weft is better: native had failed requests or runs");
	c.estimate = (struct estimate){0};
	assert_says(&c, VERDICT_LOST, "weft is better: native had failed requests or runs");
}

static void words_are_for_json(void **state)
{
	(void)state;
	assert_string_equal(verdict_word(VERDICT_OPEN), "not resolved");
	assert_string_equal(verdict_word(VERDICT_BETTER), "better");
	for (unsigned a = 0; a < VERDICT_COUNT; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(verdict_word(a), verdict_word(b));
}

static void a_sentence_is_cut_short_where_room_ends(void **state)
{
	struct verdict_case c = compare(1.1, 1.08, 1.12);
	struct verdict v = judge(&c);
	char whole[256], cut[256];
	size_t length = verdict_text(&v, whole, sizeof whole);

	(void)state;
	assert_int_equal(verdict_text(&v, NULL, 0), length);
	for (size_t size = 1; size < sizeof cut; size++) {
		memset(cut, '#', sizeof cut);
		assert_int_equal(verdict_text(&v, cut, size), length);
		assert_int_equal(strlen(cut), size <= length ? size - 1 : length);
		assert_memory_equal(cut, whole, strlen(cut));
		assert_true(cut[size] == '#' || size > length);
	}
}

/* The margin comes first: what lies inside it is no difference, even one that is certain. */
static void inside_the_margin_is_no_difference(void **state)
{
	struct verdict_case c = compare(1.01, 1.005, 1.019);

	(void)state;
	assert_int_equal(judge(&c).kind, VERDICT_SAME);
	assert_true(judge(&c).significant);
	c.estimate = interval(1.01, 1.005, 1.0201);
	assert_int_equal(judge(&c).kind, VERDICT_BETTER);
	c.estimate = interval(.99, 1 / 1.0201, .995);
	assert_int_equal(judge(&c).kind, VERDICT_BETTER);
	c.estimate = interval(1, 1 / 1.0199, 1.0199);
	assert_int_equal(judge(&c).kind, VERDICT_SAME);
}

static void the_margin_is_at_least_twice_the_precision(void **state)
{
	struct verdict_rule rule = {.precision = .03, .margin = .02, .confidence = .95};
	struct verdict_case c = compare(1, .96, 1.05);
	struct verdict v;
	char text[64];

	(void)state;
	verdict_judge(&rule, &c, &v, 1);
	verdict_text(&v, text, sizeof text);
	assert_string_equal(text, "no difference above 6 %");
	assert_true(v.margin == .06);
}

static void what_was_reached_is_resolved(void **state)
{
	(void)state;
	for (double lower = .9; lower < 1.1; lower += .00001) {
		struct verdict_case c = compare(lower * 1.01, lower, lower * 1.02);

		if (verdict_reached(&verdict_usual, 1, &c.estimate))
			assert_int_not_equal(judge(&c).kind, VERDICT_OPEN);
	}
}

static void pairs_needed_grow_with_the_square(void **state)
{
	struct verdict_case c = compare(1, 1 / 1.0404, 1.0404); /* four times too wide */
	struct verdict v = judge(&c);

	(void)state;
	assert_int_equal(v.kind, VERDICT_OPEN);
	assert_in_range(v.needed, 16 * 24, 16 * 24 + 1);
	c.estimate = interval(1, 0, INFINITY);
	assert_in_range(judge(&c).needed, 1000000, 1000000000);
}

static void worse_than_a_limit(void **state)
{
	static const struct {
		double ratio, lower, upper;
		int higher, lower_is_better;
	} rows[] = {
		{.90, .88, .92, 1, 0},	 {.97, .96, .98, 0, 0},	   {.95, .93, .97, 2, 0},
		{1.1, 1.08, 1.12, 0, 1}, {1.03, 1.02, 1.04, 0, 0}, {1.05, 1.03, 1.07, 0, 2},
		{1, .995, 1.005, 0, 0},	 {1, .9, 1.1, 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct verdict_case c = compare(rows[i].ratio, rows[i].lower, rows[i].upper);
		struct verdict v = judge(&c);

		assert_int_equal(verdict_worse(&c, &v, .05), rows[i].higher);
		c.higher = false;
		v = judge(&c);
		assert_int_equal(verdict_worse(&c, &v, .05), rows[i].lower_is_better);
	}
}

static void worse_without_an_interval(void **state)
{
	struct verdict_case c = compare(1.5, 1.4, 1.6);
	struct verdict v;

	(void)state;
	c.name_failed = true;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 1);
	c.base_failed = true;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 2);
	c.name_failed = false;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 0);
	c.base_failed = false;
	c.differs = true;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 2);
	c.differs = false;
	c.estimate.dependent = true;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 2);
	c.estimate.pairs = 5;
	v = judge(&c);
	assert_int_equal(verdict_worse(&c, &v, .05), 2);
}

static void levels_step_down(void **state)
{
	static const double p[4] = {.02, .001, .03, .015};
	static const bool first_two[4] = {false, true, false, true},
			  all[4] = {true, true, true, true};
	struct verdict_case c[4];
	struct verdict v[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		c[i] = compare(1.1, .99, 1.21);
		c[i].estimate.p = p[i];
	}
	/* 0.001 < 0.05 / 4, 0.015 < 0.05 / 3, 0.02 < 0.05 / 2, 0.03 < 0.05 */
	verdict_judge(&verdict_usual, c, v, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(v[i].significant, all[i]);
	assert_int_equal(v[0].kind, VERDICT_BETTER);
	assert_true(v[0].low == 0);
	/* The third does not pass, so neither does the fourth. */
	c[0].estimate.p = .026;
	verdict_judge(&verdict_usual, c, v, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(v[i].significant, first_two[i]);
	assert_int_equal(v[2].kind, VERDICT_OPEN);
	/* A level that failed is none that passed. */
	c[1].base_failed = true;
	verdict_judge(&verdict_usual, c, v, 4);
	for (int i = 0; i < 4; i++)
		assert_false(v[i].significant);
	assert_int_equal(v[1].kind, VERDICT_LOST);
}

/* ---- how often they are wrong ---- */

enum { TRIALS = 1000 };

struct tally {
	int claimed, found, covered, same, withheld, pairs;
};

/* compare_as_the_tool_does -- look after look, until one is narrow enough. */
static void compare_as_the_tool_does(const struct noise *noise, uint64_t seed, double ratio,
				     struct tally *tally)
{
	double logs[NOISE_PAIRS];
	struct verdict_case c = {.base = "a", .name = "b", .higher = true};
	struct verdict v;

	noise_pairs(noise, seed, log(ratio), logs);
	for (unsigned n = verdict_look(0); n; n = verdict_look(n)) {
		assert_int_equal(
			estimate_pairs(&c.estimate, logs, n, verdict_confidence(&verdict_usual, 1)),
			0);
		if (verdict_reached(&verdict_usual, 1, &c.estimate))
			break;
	}
	verdict_judge(&verdict_usual, &c, &v, 1);
	tally->claimed += v.kind == VERDICT_BETTER;
	tally->found += v.kind == VERDICT_BETTER && !strcmp(v.better, "b");
	tally->same += v.kind == VERDICT_SAME;
	tally->withheld += v.kind == VERDICT_WITHHELD;
	tally->covered += c.estimate.lower <= ratio && ratio <= c.estimate.upper;
	tally->pairs += (int)c.estimate.pairs;
}

static struct tally try_all(const struct noise *noise, double ratio, uint64_t series)
{
	struct tally t = {0};

	for (uint64_t trial = 0; trial < TRIALS; trial++)
		compare_as_the_tool_does(noise, series << 32 | trial, ratio, &t);
	print_message(
		"%-16s ratio %.2f: claimed %5.1f %%, same %5.1f, withheld %4.1f, covered %5.1f, "
		"%2d pairs\n",
		noise->name, ratio, 100. * t.claimed / TRIALS, 100. * t.same / TRIALS,
		100. * t.withheld / TRIALS, 100. * t.covered / TRIALS, t.pairs / TRIALS);
	return t;
}

static const struct noise noises[] = {
	{"normal", NOISE_NORMAL, .02},
	{"t2", NOISE_T2, .02},
	{"modes", NOISE_MODES, .02},
	{"drift", NOISE_DRIFT, .02},
	{"AR .9", NOISE_AR, .02},
	{"bursts", NOISE_BURSTS, .02},
	{"modes, quiet", NOISE_MODES, .005},
	{"drift, quiet", NOISE_DRIFT, .005},
	{"bursts, quiet", NOISE_BURSTS, .005},
};

static void equals_are_seldom_said_to_differ(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof noises / sizeof *noises; i++) {
		struct tally t = try_all(&noises[i], 1, i);

		assert_in_range(t.claimed, 0, .065 * TRIALS);
		assert_in_range(t.covered, .925 * TRIALS, TRIALS);
	}
}

static void five_per_cent_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof noises / sizeof *noises; i++) {
		struct tally t = try_all(&noises[i], 1.05, 100 + i);

		assert_in_range(t.found, .9 * TRIALS, TRIALS);
		assert_in_range(t.covered, .925 * TRIALS, TRIALS);
	}
}

/* Noise in which the margin cannot hide a false claim. */
static void much_noise_is_not_a_difference(void **state)
{
	static const struct noise loud = {"normal, 10 %", NOISE_NORMAL, .1};
	struct tally t = try_all(&loud, 1, 200);

	(void)state;
	assert_in_range(t.claimed, 0, .065 * TRIALS);
	assert_in_range(t.covered, .925 * TRIALS, TRIALS);
}

/* Four equal levels, 24 loud pairs each: any claim, or any interval that misses, is an error of all
 * of them together. */
static void levels_err_together_no_more_than_one(void **state)
{
	enum { LEVELS = 4, PAIRS = 24 };
	static const struct noise loud = {"normal, 10 %", NOISE_NORMAL, .1};
	double confidence = verdict_confidence(&verdict_usual, LEVELS), logs[NOISE_PAIRS];
	int claimed = 0, missed = 0;

	(void)state;
	for (uint64_t trial = 0; trial < TRIALS; trial++) {
		struct verdict_case c[LEVELS] = {0};
		struct verdict v[LEVELS];
		bool any_claimed = false, any_missed = false;

		for (uint64_t i = 0; i < LEVELS; i++) {
			noise_pairs(&loud, i << 32 | trial, 0, logs);
			estimate_pairs(&c[i].estimate, logs, PAIRS, confidence);
		}
		verdict_judge(&verdict_usual, c, v, LEVELS);
		for (int i = 0; i < LEVELS; i++) {
			any_claimed |= v[i].kind == VERDICT_BETTER;
			any_missed |= c[i].estimate.lower > 1 || c[i].estimate.upper < 1;
		}
		claimed += any_claimed;
		missed += any_missed;
	}
	print_message("%d levels: any claimed %.1f %%, any missed %.1f %%\n", LEVELS,
		      100. * claimed / TRIALS, 100. * missed / TRIALS);
	assert_in_range(claimed, 0, .065 * TRIALS);
	assert_in_range(missed, 0, .075 * TRIALS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_are_after_6_12_24_48_96),
		cmocka_unit_test(a_series_ends_when_the_interval_is_narrow),
		cmocka_unit_test(levels_want_more_of_each_interval),
		cmocka_unit_test(each_verdict_has_its_sentence),
		cmocka_unit_test(words_are_for_json),
		cmocka_unit_test(a_sentence_is_cut_short_where_room_ends),
		cmocka_unit_test(inside_the_margin_is_no_difference),
		cmocka_unit_test(the_margin_is_at_least_twice_the_precision),
		cmocka_unit_test(what_was_reached_is_resolved),
		cmocka_unit_test(pairs_needed_grow_with_the_square),
		cmocka_unit_test(worse_than_a_limit),
		cmocka_unit_test(worse_without_an_interval),
		cmocka_unit_test(levels_step_down),
		cmocka_unit_test(equals_are_seldom_said_to_differ),
		cmocka_unit_test(five_per_cent_are_found),
		cmocka_unit_test(much_noise_is_not_a_difference),
		cmocka_unit_test(levels_err_together_no_more_than_one),
	};

	return RUN_GROUP(tests);
}
