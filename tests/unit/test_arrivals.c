/* test_arrivals.c -- requests of an open loop are due at equal distances, and each exactly once */
#include "unit.h"
#include "load/arrivals.h"

#define SECOND 1000000000ll

static void they_are_due_at_equal_distances(void **state)
{
	struct arrivals a = arrivals_of(2000, 500, 500, SECOND, 0);

	(void)state;
	for (; a.sent < 2000; a.sent++)
		assert_int_equal(arrivals_next(&a), 500 + (int64_t)a.sent * 500000);
	assert_int_equal(arrivals_next(&a), ARRIVALS_NEVER);
}

static void a_window_holds_as_many_as_its_rate_says(void **state)
{
	static const double rates[] = {.5, 1, 3, 7, 123.5, 1000, 1999.99, 33333, 1e6};

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		int64_t window = 17 + 3 * SECOND, length = 8 * SECOND;
		struct arrivals a = arrivals_of(rates[i], 17, window, length, 0);
		uint64_t before = arrivals_count(&a, window);
		double inside = (double)(arrivals_count(&a, INT64_MAX) - before);

		assert_true(inside >= 8 * rates[i] - 1 && inside <= 8 * rates[i] + 1);
		a.sent = before;
		assert_true(arrivals_next(&a) >= window);
		a.sent = before - 1;
		assert_true(arrivals_next(&a) < window);
	}
}

/* The count before an instant and the instant of a number say the same, whatever is rounded. */
static void count_and_instant_agree(void **state)
{
	struct arrivals a = arrivals_of(1234.567, 1000, 1000, 0, 0);

	(void)state;
	for (; a.sent < 100000; a.sent += 7) {
		assert_int_equal(arrivals_count(&a, arrivals_next(&a)), a.sent);
		assert_int_equal(arrivals_count(&a, arrivals_next(&a) + 1), a.sent + 1);
	}
	assert_int_equal(arrivals_count(&a, 1000), 0);
	assert_int_equal(arrivals_count(&a, 0), 0);
}

static void they_end_after_so_many_of_the_window(void **state)
{
	struct arrivals a = arrivals_of(100, 0, SECOND, 0, 250);
	struct arrivals shorter = arrivals_of(100, 0, SECOND, SECOND, 250);
	struct arrivals fewer = arrivals_of(100, 0, SECOND, 9 * SECOND, 250);

	(void)state;
	assert_int_equal(arrivals_count(&a, INT64_MAX), 100 + 250);
	assert_int_equal(arrivals_count(&shorter, INT64_MAX), 100 + 100);
	assert_int_equal(arrivals_count(&fewer, INT64_MAX), 100 + 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_due_at_equal_distances),
		cmocka_unit_test(a_window_holds_as_many_as_its_rate_says),
		cmocka_unit_test(count_and_instant_agree),
		cmocka_unit_test(they_end_after_so_many_of_the_window),
	};

	return RUN_GROUP(tests);
}
