/* test_schedule.c -- chance that can be had again: order in blocks of two pairs, padding */
#include "unit.h"
#include "compare/schedule.h"

enum { SEEDS = 2000, PAIRS = 96 };

static void a_seed_gives_the_same_schedule_for_ever(void **state)
{
	static const struct schedule expected[] = {
		{true, 3887},  {false, 2272}, {false, 2184}, {true, 2894},
		{false, 1623}, {true, 1029},  {false, 468},  {true, 198},
	};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct schedule s = schedule_of(20261121, i);

		assert_int_equal(s.swapped, expected[i].swapped);
		assert_int_equal(s.padding, expected[i].padding);
	}
}

static void a_block_of_two_pairs_holds_both_orders(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		for (unsigned i = 0; i < PAIRS; i += 2)
			assert_int_not_equal(schedule_of(seed, i).swapped,
					     schedule_of(seed, i + 1).swapped);
}

/* Half of SEEDS * PAIRS / 2 blocks, within five standard deviations of 155 each. */
static void chance_says_which_order_is_first(void **state)
{
	int blocks = SEEDS * PAIRS / 2, swapped = 0, same = 0, as_neighbour = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		for (unsigned i = 0; i < PAIRS; i += 2) {
			bool b = schedule_of(seed, i).swapped;

			swapped += b;
			same += b == schedule_of(seed, i + 2).swapped;
			as_neighbour += b == schedule_of(seed + 1, i).swapped;
		}
	assert_in_range(swapped, blocks / 2 - 775, blocks / 2 + 775);
	assert_in_range(same, blocks / 2 - 775, blocks / 2 + 775);
	assert_in_range(as_neighbour, blocks / 2 - 775, blocks / 2 + 775);
}

static void seeds_that_differ_by_one_have_other_series(void **state)
{
	int padding_equal = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		for (unsigned i = 0; i < PAIRS - 1; i++) {
			unsigned next = schedule_of(seed + 1, i).padding;

			padding_equal += schedule_of(seed, i).padding == next;
			padding_equal += schedule_of(seed, i + 1).padding == next;
		}
	/* 2 * SEEDS * 95 / 4097 are 93; six standard deviations are 58. */
	assert_in_range(padding_equal, 35, 151);
}

static void padding_is_even_from_nothing_to_four_kib(void **state)
{
	static int count[SCHEDULE_PADDING + 1], sixteenth[17];
	int by_order[2] = {0};
	double mean[2] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		for (unsigned i = 0; i < PAIRS; i++) {
			struct schedule s = schedule_of(seed, i);

			assert_in_range(s.padding, 0, SCHEDULE_PADDING);
			count[s.padding]++;
			sixteenth[s.padding / 256]++;
			by_order[s.swapped]++;
			mean[s.swapped] += s.padding;
		}
	assert_true(count[0] > 0 && count[SCHEDULE_PADDING] > 0);
	/* SEEDS * PAIRS / 16 are 12 000; six standard deviations are 636. */
	for (int i = 0; i < 16; i++)
		assert_in_range(sixteenth[i], 11364, 12636);
	/* The padding knows nothing of the order: means of 96 000 draws differ by 5.4 or so. */
	assert_true(mean[0] / by_order[0] - mean[1] / by_order[1] < 32);
	assert_true(mean[1] / by_order[1] - mean[0] / by_order[0] < 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_the_same_schedule_for_ever),
		cmocka_unit_test(a_block_of_two_pairs_holds_both_orders),
		cmocka_unit_test(chance_says_which_order_is_first),
		cmocka_unit_test(seeds_that_differ_by_one_have_other_series),
		cmocka_unit_test(padding_is_even_from_nothing_to_four_kib),
	};

	return RUN_GROUP(tests);
}
