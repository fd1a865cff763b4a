/* test_histogram.c -- times are counted to three digits, and the text form gives them back */
#include "unit.h"
#include "load/histogram.h"
#include <errno.h>

static struct histogram a, b;

static int empty(void **state)
{
	(void)state;
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	return 0;
}

static uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int by_size(const void *x, const void *y)
{
	int64_t i = *(const int64_t *)x, j = *(const int64_t *)y;

	return (i > j) - (i < j);
}

static void an_empty_one_has_no_times(void **state)
{
	(void)state;
	assert_int_equal(histogram_percentile(&a, 50), 0);
	assert_int_equal(histogram_percentile(&a, 100), 0);
	assert_true(histogram_mean(&a) == 0);
}

static void a_single_time_is_every_percentile(void **state)
{
	static const int64_t times[] = {0, 1, 2047, 2048, 2049, 123456789, 1ll << 42, INT64_MAX};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		empty(state);
		histogram_add(&a, times[i]);
		for (double p = 0; p <= 100; p += 12.5)
			assert_int_equal(histogram_percentile(&a, p), times[i]);
		assert_int_equal(a.min, times[i]);
		assert_int_equal(a.max, times[i]);
	}
}

static void a_negative_time_is_none(void **state)
{
	(void)state;
	histogram_add(&a, -5);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.max, 0);
	assert_int_equal(a.sum, 0);
}

static void short_times_are_exact(void **state)
{
	(void)state;
	for (int64_t t = 1; t <= 1000; t++)
		histogram_add(&a, t);
	assert_int_equal(histogram_percentile(&a, 50), 500);
	assert_int_equal(histogram_percentile(&a, 90), 900);
	assert_int_equal(histogram_percentile(&a, 99), 990);
	assert_int_equal(histogram_percentile(&a, 99.9), 999);
	assert_int_equal(histogram_percentile(&a, 99.91), 1000);
	assert_int_equal(histogram_percentile(&a, 0), 1);
	assert_int_equal(histogram_percentile(&a, 100), 1000);
	assert_true(histogram_mean(&a) == 500.5);
}

/* Against the sorted times themselves, over twelve powers of ten. */
static void percentiles_have_three_digits(void **state)
{
	enum { N = 20000 };
	static int64_t times[N];
	double sum = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		times[i] = (int64_t)(next_random() >> (22 + next_random() % 42));
		histogram_add(&a, times[i]);
		sum += (double)times[i];
	}
	qsort(times, N, sizeof *times, by_size);
	for (int permille = 1; permille <= 1000; permille++) {
		double truth = (double)times[N / 1000 * permille - 1];
		double got = (double)histogram_percentile(&a, permille / 10.);

		assert_true(got >= truth * .9995 - 1 && got <= truth * 1.0005 + 1);
	}
	assert_int_equal(a.min, times[0]);
	assert_int_equal(a.max, times[N - 1]);
	assert_true(histogram_mean(&a) > sum / N * .999999 && histogram_mean(&a) < sum / N * 1.000001);
}

static void neighbours_differ_by_a_thousandth(void **state)
{
	(void)state;
	for (int shift = 11; shift < HISTOGRAM_BITS - 1; shift++) {
		int64_t t = (3ll << shift) / 2;

		empty(state);
		histogram_add(&a, t);
		histogram_add(&a, t + t / 1000 + 1);
		histogram_add(&a, t + t / 100);
		assert_true((int64_t)histogram_percentile(&a, 33) < t + t / 1000 + 1);
		assert_true((int64_t)histogram_percentile(&a, 66) > t);
		assert_true((int64_t)histogram_percentile(&a, 66) < t + t / 400);
	}
}

static void merged_is_as_if_counted_together(void **state)
{
	static struct histogram both;

	(void)state;
	memset(&both, 0, sizeof both);
	for (int i = 0; i < 5000; i++) {
		int64_t t = (int64_t)(next_random() >> (24 + i % 30));

		histogram_add(i % 3 ? &a : &b, t);
		histogram_add(&both, t);
	}
	histogram_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof a);
}

static void nothing_merged_changes_nothing(void **state)
{
	(void)state;
	histogram_add(&a, 7);
	histogram_merge(&a, &b);
	assert_int_equal(a.min, 7);
	assert_int_equal(a.count, 1);
	histogram_merge(&b, &a);
	assert_memory_equal(&a, &b, sizeof a);
}

static void check_round_trip(void)
{
	char *text = histogram_write(&a);

	memset(&b, 0xaa, sizeof b);
	assert_non_null(text);
	assert_int_equal(histogram_read(&b, text), 0);
	assert_memory_equal(&a, &b, sizeof a);
	free(text);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	check_round_trip();
	histogram_add(&a, 0);
	check_round_trip();
	for (int i = 0; i < 3000; i++)
		histogram_add(&a, (int64_t)(next_random() >> (1 + i % 60)));
	check_round_trip();
}

static void every_step_can_be_written(void **state)
{
	(void)state;
	for (int64_t t = 0; t < 1ll << 43; t += 1 + t / 2100)
		histogram_add(&a, t);
	check_round_trip();
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		assert_int_not_equal(a.steps[i], 0);
}

static void the_text_is_as_documented(void **state)
{
	char *text;

	(void)state;
	histogram_add(&a, 5);
	histogram_add(&a, 5);
	histogram_add(&a, 4095);
	histogram_add(&a, 4096); /* (1024 + 3072 % 1024) << (3072 / 1024 - 1), and four of them */
	histogram_add(&a, 4099);
	text = histogram_write(&a);
	assert_string_equal(text, "1 5 12300 5 4099 5:2 3071:1 3072:2");
	free(text);
}

static void a_bad_text_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "1", "1 0", "1 0 0 0", "1 0 0 0 0 ", "1 0 1 0 0", "1 0 0 0 1", "2 1 5 5 5 5:1",
		"1 1 5 5 5", "1 1 5 5 5 ", "1 1 5 5 5 5", "1 1 5 5 5 5:", "1 1 5 5 5 5:1 ",
		"1 1 5 5 5 5:0", "1 2 5 5 5 5:1", "1 1 5 5 5 6:1", "1 1 5 4 5 5:1", "1 1 5 5 6 5:1",
		"1 2 10 5 5 5:1 5:1", "1 2 11 5 6 6:1 5:1", "1 1 5 5 5 -5:1", "1 1 5 5 5 5:-1",
		"1 1 5 5 5 5:1x", "x 1 5 5 5 5:1", "1 1 99 5 5 5:1", "1 1 1 5 5 5:1",
		"1 1 99999999999999999999 5 5 5:1", "1 1 5 5 5 99999:1", " 1 1 5 5 5 5:1",
		"1  1 5 5 5 5:1", "1 1 5 5 5 5:1 6:18446744073709551615", NULL};

	(void)state;
	assert_int_equal(histogram_read(&b, "1 1 5 5 5 5:1"), 0);
	for (size_t i = 0; bad[i]; i++) {
		memset(&b, 0xaa, sizeof b);
		assert_int_equal(histogram_read(&b, bad[i]), -EINVAL);
		assert_memory_equal(&a, &b, sizeof a);
	}
}

static void a_text_cut_short_is_refused(void **state)
{
	char *text;

	(void)state;
	for (int i = 0; i < 200; i++)
		histogram_add(&a, (int64_t)(next_random() >> (1 + i % 60)));
	text = histogram_write(&a);
	for (size_t n = strlen(text) - 1; n > 0; n--) {
		text[n] = 0;
		assert_int_equal(histogram_read(&b, text), -EINVAL);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_one_has_no_times, empty),
		cmocka_unit_test_setup(a_single_time_is_every_percentile, empty),
		cmocka_unit_test_setup(a_negative_time_is_none, empty),
		cmocka_unit_test_setup(short_times_are_exact, empty),
		cmocka_unit_test_setup(percentiles_have_three_digits, empty),
		cmocka_unit_test_setup(neighbours_differ_by_a_thousandth, empty),
		cmocka_unit_test_setup(merged_is_as_if_counted_together, empty),
		cmocka_unit_test_setup(nothing_merged_changes_nothing, empty),
		cmocka_unit_test_setup(what_is_written_is_read, empty),
		cmocka_unit_test_setup(every_step_can_be_written, empty),
		cmocka_unit_test_setup(the_text_is_as_documented, empty),
		cmocka_unit_test_setup(a_bad_text_is_refused, empty),
		cmocka_unit_test_setup(a_text_cut_short_is_refused, empty),
	};

	return RUN_GROUP(tests);
}
