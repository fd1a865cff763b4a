/* test_log.c -- lines are formatted as their conversions say, and never beyond the buffer */
#include "unit.h"
#include "log.h"

static void conversions_print_their_values(void **state)
{
	char line[128];
	size_t n = log_format(line, sizeof line, "%s %d %u %x %ld %lu %lx %%", "text", -5, 7u, 0xbeefu, -1234567890123l,
			      12345678901234567890ul, 0xfedcba9876543210ul);

	(void)state;
	assert_string_equal(line, "text -5 7 beef -1234567890123 12345678901234567890 fedcba9876543210 %");
	assert_int_equal(n, strlen(line));
}

static void smallest_numbers_print_whole(void **state)
{
	char line[64];

	(void)state;
	log_format(line, sizeof line, "%d %ld %u", -2147483647 - 1, -9223372036854775807l - 1, 0u);
	assert_string_equal(line, "-2147483648 -9223372036854775808 0");
}

static void null_text_prints_a_word(void **state)
{
	char line[16];
	const char *volatile none = NULL;

	(void)state;
	log_format(line, sizeof line, "%s.", none);
	assert_string_equal(line, "(null).");
}

static void long_lines_are_cut_and_terminated(void **state)
{
	char line[9];

	(void)state;
	memset(line, 'z', sizeof line);
	assert_int_equal(log_format(line, 8, "%s%d", "0123456789", 5), 7);
	assert_string_equal(line, "0123456");
	assert_int_equal(line[8], 'z');
}

static void a_line_is_one_write_to_standard_error(void **state)
{
	int ends[2], saved = dup(2);
	char line[64] = "";

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	log_level = LOG_WARN;
	LOG(INFO, "not %s\n", "this");
	LOG(WARN, "but %s\n", "this");
	dup2(saved, 2);
	assert_int_equal(read(ends[0], line, sizeof line), 9);
	assert_string_equal(line, "but this\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversions_print_their_values),
		cmocka_unit_test(smallest_numbers_print_whole),
		cmocka_unit_test(null_text_prints_a_word),
		cmocka_unit_test(long_lines_are_cut_and_terminated),
		cmocka_unit_test(a_line_is_one_write_to_standard_error),
	};

	return RUN_GROUP(tests);
}
