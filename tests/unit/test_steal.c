/* test_steal.c -- what others do on the machine
 */
#include "unit.h"
#include <math.h>

#include "compare/steal.h"

static void stolen_time_is_a_share_of_all(void **state)
{
	struct others a = steal_of("cpu  100 0 100 800 0 0 0 50 7 7\n"), b = steal_of("cpu  150 0 120 880 10 20 20 150 9 9\n");

	assert_true(a.all == 1050 && a.stolen == 50);
	assert_true(fabs(steal_share(a, b) - 100. / 300) < 1e-12);
	assert_true(steal_share(b, a) == 0 && steal_share(a, a) == 0);
}

static void a_kernel_that_does_not_say_is_quiet(void **state)
{
	struct others none = steal_of("cpu  1 2 3 4"), bad = steal_of("intr 5");

	assert_true(none.all == 10 && none.stolen == 0);
	assert_true(bad.all == 0 && steal_share(bad, none) == 0);
}

static void this_machine_has_a_clock(void **state)
{
	assert_true(steal_now().all > 0);
	assert_true(steal_load() >= 0 && steal_load() < 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stolen_time_is_a_share_of_all),
		cmocka_unit_test(a_kernel_that_does_not_say_is_quiet),
		cmocka_unit_test(this_machine_has_a_clock),
	};

	return RUN_GROUP(tests);
}
