/* test_estimate.c -- what R says; ranks counted by hand; ties; two series; what is refused */
#include "unit.h"
#include <errno.h>
#include <math.h>

#include "compare/estimate.h"
#include "noise.h"
#include "reference.h"

#define NEAR 1e-9

#define assert_near(a, b) assert_near_at((a), (b), __LINE__)

static void assert_near_at(double a, double b, int line)
{
	if (!(fabs(a - b) <= NEAR * fabs(b) || (b == 0 && fabs(a) <= NEAR)))
		fail_msg("line %d: %.15g is not %.15g", line, a, b);
}

/* The sample of n that reference.h describes. */
static void draw(double *x, unsigned n)
{
	double seed = 12345678. + n;

	for (unsigned i = 0; i < n; i++) {
		seed = fmod(16807 * seed, 2147483647);
		x[i] = .01 + .02 * log(seed / (2147483647 - seed));
	}
}

static struct estimate pairs(const double *x, unsigned n, double confidence)
{
	struct estimate e;

	assert_int_equal(estimate_pairs(&e, x, n, confidence), 0);
	assert_int_equal(e.pairs, n);
	return e;
}

static struct estimate between(const double *a, unsigned m, const double *b, unsigned n,
			       double confidence)
{
	struct estimate e;

	assert_int_equal(estimate_between(&e, a, m, b, n, confidence), 0);
	return e;
}

static void it_says_what_r_says(void **state)
{
	double x[ESTIMATE_MOST];

	(void)state;
	for (size_t i = 0; i < sizeof reference / sizeof *reference; i++) {
		unsigned n = reference[i].n;

		draw(x, n);
		struct estimate e = pairs(x, n, reference[i].level);

		assert_near(e.ratio, reference[i].ratio);
		assert_near(e.lower, reference[i].lower);
		assert_near(e.upper, reference[i].upper);
		assert_near(e.p, reference[i].p);
		assert_near(e.confidence, reference[i].attained);
		assert_near(e.correlation, reference[i].correlation);
		assert_int_equal(e.dependent, reference[i].correlation > 2 / sqrt(n));
	}
}

static void two_series_differ_as_r_says(void **state)
{
	double a[ESTIMATE_MOST], b[ESTIMATE_MOST];

	(void)state;
	for (size_t i = 0; i < sizeof reference_between / sizeof *reference_between; i++) {
		unsigned m = reference_between[i].m, n = reference_between[i].n;

		draw(a, m);
		draw(b, n);
		struct estimate e = between(a, m, b, n, reference_between[i].level);

		assert_near(e.ratio, reference_between[i].ratio);
		assert_near(e.lower, reference_between[i].lower);
		assert_near(e.upper, reference_between[i].upper);
		assert_int_equal(e.pairs, m < n ? m : n);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* All averages in order. Returns how many there are. */
static unsigned walsh(const double *x, unsigned n, double *to)
{
	unsigned m = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j <= i; j++)
			to[m++] = (x[i] + x[j]) / 2;
	qsort(to, m, sizeof *to, by_size);
	return m;
}

/* How many of the 2^n ways to give the ranks signs have a sum of at most t. */
static unsigned ways(unsigned n, unsigned t)
{
	unsigned count = 0;

	for (unsigned set = 0; set < 1u << n; set++) {
		unsigned sum = 0;

		for (unsigned rank = 1; rank <= n; rank++)
			sum += set >> (rank - 1) & 1 ? rank : 0;
		count += sum <= t;
	}
	return count;
}

/* Numbers with many ties and zeros, of both signs, small and large. */
static double coarse(unsigned i, unsigned round)
{
	static const double steps[] = {1, .25, .01, 1e-300, 100};

	return steps[round % 5] * (double)((i * 7919 + round * 104729) % 11 - 5.);
}

static void the_ends_are_averages_of_the_right_rank(void **state)
{
	double x[11], averages[66];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 6 + round % 6, rank = 0;

		for (unsigned i = 0; i < n; i++)
			x[i] = round % 2 ? coarse(i, round) : noise_normal();
		unsigned m = walsh(x, n, averages);
		struct estimate e = pairs(x, n, .95);

		while (ways(n, rank) < .025 * (1u << n))
			rank++;
		assert_near(e.lower, exp(averages[rank - 1]));
		assert_near(e.upper, exp(averages[m - rank]));
		assert_near(e.ratio, exp((averages[(m - 1) / 2] + averages[m / 2]) / 2));
		assert_near(e.confidence, 1 - 2. * ways(n, rank - 1) / (1u << n));
	}
}

static void p_agrees_with_the_interval(void **state)
{
	double x[11];

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		unsigned n = 6 + round % 6;
		struct estimate in, out;

		for (unsigned i = 0; i < n; i++)
			x[i] = .5 + (round % 2 ? floor(3 * noise_normal()) / 3 : noise_normal());
		double asked = 1 - .999 * pairs(x, n, .95).p;

		in = pairs(x, n, asked);
		if (in.confidence >= asked) /* else the widest interval leaves 1 out */
			assert_true(in.lower <= 1 && in.upper >= 1);
		if (in.p < .999) {
			out = pairs(x, n, 1 - 1.001 * in.p);
			assert_true(out.lower > 1 || out.upper < 1);
		}
	}
}

static void equal_pairs_are_no_difference(void **state)
{
	double zeros[96] = {0}, same[96];

	(void)state;
	for (int i = 0; i < 96; i++)
		same[i] = .1;
	for (unsigned n = 6; n <= 96; n *= 2) {
		struct estimate e = pairs(zeros, n, .95);

		assert_true(e.ratio == 1 && e.lower == 1 && e.upper == 1 && e.p == 1);
		assert_true(e.correlation == 0 && !e.dependent);
		e = pairs(same, n, .95);
		assert_true(e.lower == exp(.1) && e.upper == exp(.1));
		assert_near(e.p, exp2(1 - (double)n));
		assert_true(e.correlation == 0 && !e.dependent);
	}
}

static void a_zero_never_helps_to_claim(void **state)
{
	double x[] = {.05, .04, .03, .02, .06, .07, .08, .09};

	(void)state;
	double before = pairs(x, 8, .95).p;

	x[3] = 0;
	struct estimate zero = pairs(x, 8, .95);

	x[3] = 1e-9;
	assert_true(pairs(x, 8, .95).p == before);
	x[3] = -1e-9;
	assert_true(zero.p >= pairs(x, 8, .95).p);
	assert_true(zero.p > before);
}

/* log(1.1) and log(1 / 1.1) do not add up to zero in doubles; they are a tie all the same. */
static void ratios_that_undo_one_another_are_a_tie(void **state)
{
	double x[24];

	(void)state;
	for (int i = 0; i < 24; i++)
		x[i] = i % 2 ? log(1.1 + i / 2 * .01) : log(1 / (1.1 + i / 2 * .01));
	struct estimate e = pairs(x, 24, .95);

	assert_true(e.ratio == 1 && e.p == 1);
	for (int i = 0; i < 24; i++)
		x[i] = i % 3 ? log(1 / 1.1) : log(1.1);
	e = pairs(x, 24, .95);
	assert_true(e.upper == 1 && e.p >= .05);
}

static void a_ratio_turned_upside_down_has_the_interval_turned(void **state)
{
	double x[24], y[24];

	(void)state;
	draw(x, 24);
	for (int i = 0; i < 24; i++)
		y[i] = -x[i];
	struct estimate a = pairs(x, 24, .95), b = pairs(y, 24, .95);

	assert_near(a.ratio, 1 / b.ratio);
	assert_near(a.lower, 1 / b.upper);
	assert_near(a.upper, 1 / b.lower);
	assert_near(a.p, b.p);
	assert_near(a.correlation, b.correlation);
}

static void few_pairs_attain_less(void **state)
{
	double x[12];

	(void)state;
	draw(x, 12);
	assert_true(pairs(x, 5, .95).confidence < .95);
	assert_true(pairs(x, 6, .95).confidence >= .95);
	assert_true(pairs(x, 6, 1 - .05 / 4).confidence < 1 - .05 / 4);
	assert_true(pairs(x, 12, 1 - .05 / 4).confidence >= 1 - .05 / 4);
}

static void ratios_that_hang_together_are_seen(void **state)
{
	double x[24];

	(void)state;
	for (int i = 0; i < 24; i++)
		x[i] = i < 12 ? .01 : .03;
	assert_true(pairs(x, 24, .95).dependent);
	for (int i = 0; i < 24; i++)
		x[i] = i % 2 ? .01 : .03;
	assert_false(pairs(x, 24, .95).dependent);
	assert_true(pairs(x, 24, .95).correlation < -.9);
}

static void they_hang_together_above_two_by_the_root(void **state)
{
	double x[25], before = 0;
	int dependent = 0;

	(void)state;
	for (int round = 0; round < 500; round++) {
		for (int i = 0; i < 25; i++)
			before = x[i] = .4 * before + noise_normal();
		struct estimate e = pairs(x, 25, .95);

		assert_int_equal(e.dependent, e.correlation > .4);
		dependent += e.dependent;
	}
	assert_in_range(dependent, 100, 400);
}

static void between_attains_what_the_worse_series_does(void **state)
{
	double x[48];

	(void)state;
	draw(x, 48);
	assert_near(between(x, 5, x, 48, .95).confidence, .9375);
	assert_near(between(x, 48, x, 5, .95).confidence, .9375);
	assert_near(between(x, 48, x, 6, .95).confidence, pairs(x, 48, .95).confidence);
}

static void between_a_series_and_itself_is_nothing(void **state)
{
	double a[48], b[48];

	(void)state;
	draw(a, 48);
	for (int i = 0; i < 48; i++)
		b[i] = a[i] + log(1.25);
	struct estimate same = between(a, 48, a, 48, .95), more = between(b, 48, a, 48, .95),
			less = between(a, 48, b, 48, .95);

	assert_near(same.ratio, 1);
	assert_near(same.p, 1);
	assert_near(same.lower, 1 / same.upper);
	assert_near(more.ratio, 1.25);
	assert_near(less.lower, 1 / more.upper);
	assert_near(less.p, more.p);
	assert_true(more.p < 1e-6);
}

static void between_has_a_p_that_agrees_with_the_interval(void **state)
{
	static const struct noise noise = {"normal", NOISE_NORMAL, .02};
	double a[NOISE_PAIRS], b[NOISE_PAIRS];

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		noise_pairs(&noise, seed, .01, a);
		noise_pairs(&noise, seed + 1000, 0, b);
		double p = between(a, 24, b, 48, .95).p;
		struct estimate in = between(a, 24, b, 48, 1 - .999 * p);

		assert_true(in.lower <= 1 && in.upper >= 1);
		if (p < .999) {
			struct estimate out = between(a, 24, b, 48, 1 - 1.001 * p);

			assert_true(out.lower > 1 || out.upper < 1);
		}
	}
	/* Six pairs cannot show more than that, however far apart. */
	for (int i = 0; i < 6; i++)
		a[i] = 3;
	double p = between(a, 6, b, 48, .95).p;

	assert_true(p >= exp2(-5) && p < exp2(-5) + 1e-6);
}

static void between_series_that_hang_together_is_seen(void **state)
{
	double a[24], b[24];

	(void)state;
	draw(a, 24);
	for (int i = 0; i < 24; i++)
		b[i] = i < 12 ? .01 : .03;
	assert_false(pairs(a, 24, .95).dependent);
	assert_true(between(a, 24, b, 24, .95).dependent);
	assert_true(between(b, 24, a, 24, .95).dependent);
}

/* The truth is covered whether or not the sessions were equally long and equally noisy. */
static void between_covers_the_truth(void **state)
{
	enum { TRIALS = 1000 };
	static const struct noise quiet = {"quiet", NOISE_NORMAL, .005},
				  loud = {"t2", NOISE_T2, .02},
				  bursts = {"bursts", NOISE_BURSTS, .02};
	static const struct {
		const struct noise *noise[2];
		unsigned n[2];
	} rows[] = {
		{{&loud, &quiet}, {6, 48}},	{{&loud, &quiet}, {12, 48}},
		{{&loud, &quiet}, {24, 6}},	{{&bursts, &quiet}, {24, 24}},
		{{&bursts, &bursts}, {24, 24}},
	};
	double a[NOISE_PAIRS], b[NOISE_PAIRS];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int covered = 0;

		for (uint64_t trial = 0; trial < TRIALS; trial++) {
			noise_pairs(rows[i].noise[0], trial << 8 | i, log(1.3), a);
			noise_pairs(rows[i].noise[1], trial << 8 | i | 128, log(1.2), b);
			struct estimate e = between(a, rows[i].n[0], b, rows[i].n[1], .95);

			covered += e.lower <= 1.3 / 1.2 && e.upper >= 1.3 / 1.2;
		}
		print_message("%s %u, %s %u: covers %.1f %%\n", rows[i].noise[0]->name,
			      rows[i].n[0], rows[i].noise[1]->name, rows[i].n[1],
			      100. * covered / TRIALS);
		assert_in_range(covered, .925 * TRIALS, TRIALS);
	}
}

static void bad_input_is_refused(void **state)
{
	double x[ESTIMATE_MOST + 1] = {0}, bad[] = {NAN, INFINITY, -INFINITY, 701, -701};
	double out[] = {0, 1, -1, 2, NAN};
	struct estimate e = {.pairs = 4711}, before = e;

	(void)state;
	assert_int_equal(estimate_pairs(&e, x, 0, .95), -EINVAL);
	assert_int_equal(estimate_pairs(&e, x, ESTIMATE_MOST + 1, .95), -E2BIG);
	assert_int_equal(estimate_between(&e, x, 6, x, 0, .95), -EINVAL);
	assert_int_equal(estimate_between(&e, x, ESTIMATE_MOST + 1, x, 6, .95), -E2BIG);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(estimate_pairs(&e, x, 6, out[i]), -EINVAL);
		assert_int_equal(estimate_between(&e, x, 6, x, 6, out[i]), -EINVAL);
	}
	for (int i = 0; i < 5; i++) {
		x[5] = bad[i];
		assert_int_equal(estimate_pairs(&e, x, 6, .95), -EINVAL);
		assert_int_equal(estimate_between(&e, x, 5, x, 6, .95), -EINVAL);
	}
	assert_memory_equal(&e, &before, sizeof e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_r_says),
		cmocka_unit_test(two_series_differ_as_r_says),
		cmocka_unit_test(the_ends_are_averages_of_the_right_rank),
		cmocka_unit_test(p_agrees_with_the_interval),
		cmocka_unit_test(equal_pairs_are_no_difference),
		cmocka_unit_test(a_zero_never_helps_to_claim),
		cmocka_unit_test(ratios_that_undo_one_another_are_a_tie),
		cmocka_unit_test(a_ratio_turned_upside_down_has_the_interval_turned),
		cmocka_unit_test(few_pairs_attain_less),
		cmocka_unit_test(ratios_that_hang_together_are_seen),
		cmocka_unit_test(they_hang_together_above_two_by_the_root),
		cmocka_unit_test(between_attains_what_the_worse_series_does),
		cmocka_unit_test(between_a_series_and_itself_is_nothing),
		cmocka_unit_test(between_has_a_p_that_agrees_with_the_interval),
		cmocka_unit_test(between_series_that_hang_together_is_seen),
		cmocka_unit_test(between_covers_the_truth),
		cmocka_unit_test(bad_input_is_refused),
	};

	noise_seed(1);
	return RUN_GROUP(tests);
}
