/* test_quantity.c -- numbers as programs print them: units, digits, and commas of two meanings
 */
#include "unit.h"
#include <errno.h>
#include <math.h>

#include "quantity.h"

static void numbers_have_value_unit_and_step(void **state)
{
	static const struct {
		const char *text;
		enum quantity_unit unit;
		double value, quantum;
	} cases[] = {
		{"0", QUANTITY_NUMBER, 0, 1},
		{"42", QUANTITY_NUMBER, 42, 1},
		{"-1.50", QUANTITY_NUMBER, -1.5, .01},
		{"+.5", QUANTITY_NUMBER, .5, .1},
		{"5.", QUANTITY_NUMBER, 5, 1},
		{" 12.5k ", QUANTITY_NUMBER, 12500, 100},
		{"1.25 M", QUANTITY_NUMBER, 1.25e6, 1e4},
		{"2G", QUANTITY_NUMBER, 2e9, 1e9},
		{"3Ki", QUANTITY_NUMBER, 3072, 1024},
		{"45.1%", QUANTITY_NUMBER, .451, .001},
		{"1.2e-05", QUANTITY_NUMBER, 1.2e-5, 1e-6},
		{"12E+3", QUANTITY_NUMBER, 12000, 1000},
		{"125.00us", QUANTITY_SECONDS, 125e-6, 1e-8},
		{"3\302\265s", QUANTITY_SECONDS, 3e-6, 1e-6},
		{"3\316\274s", QUANTITY_SECONDS, 3e-6, 1e-6},
		{"7ns", QUANTITY_SECONDS, 7e-9, 1e-9},
		{"1.12 ms", QUANTITY_SECONDS, 1.12e-3, 1e-5},
		{"0.0004 secs", QUANTITY_SECONDS, 4e-4, 1e-4},
		{"1.02m", QUANTITY_SECONDS, 61.2, .6},
		{"2h", QUANTITY_SECONDS, 7200, 3600},
		{"123456789012345678901234567890", QUANTITY_NUMBER, 1.2345678901234568e29, 1},
		{"1,5", QUANTITY_NUMBER, 1.5, .1},
		{"0,123", QUANTITY_NUMBER, .123, .001},
		{"1234,567", QUANTITY_NUMBER, 1234.567, .001},
		{"1,234,567", QUANTITY_NUMBER, 1234567, 1},
		{"1,234.5", QUANTITY_NUMBER, 1234.5, .1},
		{"1.234,5", QUANTITY_NUMBER, 1234.5, .1},
		{"1.234,567", QUANTITY_NUMBER, 1234.567, .001},
		{"1.234.567", QUANTITY_NUMBER, 1234567, 1},
		{"1.234", QUANTITY_NUMBER, 1.234, .001},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct quantity q;
		int result = quantity_read(cases[i].text, strlen(cases[i].text), &q);

		if (result || q.unit != cases[i].unit ||
		    fabs(q.value - cases[i].value) > 1e-15 * fabs(cases[i].value) ||
		    fabs(q.quantum - cases[i].quantum) > 1e-15 * cases[i].quantum)
			fail_msg("%s: %d, %.17g~%.17g", cases[i].text, result, q.value, q.quantum);
	}
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const cases[] = {
		"", " ", "-", ".", ",", "..", "abc", "-nan", "NaN", "inf", "1.2.3", "1,23,456",
		"1,2,3", "1.23,456.7", "12,34.5", "1e", "1ex", "1 2", "5 apples", "0x10", "1e9999",
		"1,2345,678", "--1", "+-1", "1m2s",
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct quantity q;

		if (quantity_read(cases[i], strlen(cases[i]), &q) != -EINVAL)
			fail_msg("%s is read as %g", cases[i], q.value);
		assert_int_equal(q.unit, QUANTITY_NONE);
	}
}

static void a_comma_of_two_meanings_is_not_guessed(void **state)
{
	static const char *const cases[] = {"1,234", "12,345", "999,999 ms"};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct quantity q;

		assert_int_equal(quantity_read(cases[i], strlen(cases[i]), &q), -EDOM);
		assert_int_equal(q.unit, QUANTITY_NONE);
	}
}

static void only_the_bytes_given_are_read(void **state)
{
	struct quantity q;

	assert_int_equal(quantity_read("1.25k", 3, &q), 0);
	assert_true(q.value == 1.2);
	assert_int_equal(quantity_read("1e5", 2, &q), -EINVAL);
	assert_int_equal(quantity_read("5", 0, &q), -EINVAL);
}

static void fewer_than_a_hundred_steps_are_coarse(void **state)
{
	static const struct {
		const char *text, *shown;
		bool coarse;
	} cases[] = {
		{"0.99 s", "x: 990 ms in steps of 10 ms is too coarse", true},
		{"1.00 s", "", false},
		{"99 ms", "x: 99 ms in steps of 1 ms is too coarse", true},
		{"100 ms", "", false},
		{"0", "x: 0 in steps of 1 is too coarse", true},
		{"1.5k", "x: 1500 in steps of 100 is too coarse", true},
		{"123.4us", "", false},
		{"0 ms", "x: 0 s in steps of 1 ms is too coarse", true},
		{"12ns", "x: 12 ns in steps of 1 ns is too coarse", true},
	};
	char text[80];
	struct quantity q;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(quantity_read(cases[i].text, strlen(cases[i].text), &q), 0);
		assert_int_equal(quantity_coarse(&q), cases[i].coarse);
		quantity_coarse_text(&q, "x", text, sizeof text);
		assert_string_equal(text, cases[i].shown);
	}
	q = (struct quantity){QUANTITY_COUNT, 3, 0};
	assert_false(quantity_coarse(&q));
	quantity_text(&q, text, sizeof text);
	assert_string_equal(text, "3");
	q = (struct quantity){QUANTITY_NONE, 0, 0};
	assert_false(quantity_coarse(&q));
	quantity_text(&q, text, sizeof text);
	assert_string_equal(text, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_value_unit_and_step),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(a_comma_of_two_meanings_is_not_guessed),
		cmocka_unit_test(only_the_bytes_given_are_read),
		cmocka_unit_test(fewer_than_a_hundred_steps_are_coarse),
	};

	return RUN_GROUP(tests);
}
