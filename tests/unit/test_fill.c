/* test_fill.c -- {port}, {dir} and the like in command lines
 */
#include "unit.h"

#include "compare/fill.h"

static const struct fill fill = {.port = 8080, .dir = "/tmp/d", .cpu = 1, .seconds = 2.5, .connections = 10000000000};

static void names_are_filled_in(void **state)
{
	static const struct {
		const char *text, *result;
	} cases[] = {
		{"", ""},
		{"nothing", "nothing"},
		{"{port}", "8080"},
		{"a{port}b{dir}c", "a8080b/tmp/dc"},
		{"{cpu} {seconds} {connections}", "1 2.5 10000000000"},
		{"{port}{port}", "80808080"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *result = fill_text(&fill, cases[i].text);

		assert_string_equal(result, cases[i].result);
		free(result);
	}
}

static void what_is_no_name_stays(void **state)
{
	static const char *const texts[] = {
		"{", "}", "{}", "{por}", "{ports}", "{PORT}", "{ port}", "{port", "port}", "awk '{print $1}'", "${dir:-x}",
		"\xff{\xff}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char *result = fill_text(&fill, texts[i]);

		assert_string_equal(result, texts[i]);
		free(result);
	}
}

static void a_name_in_what_is_no_name_is_filled_in(void **state)
{
	char *result = fill_text(&fill, "{{port}} {a{dir} awk '{print {port}}'");

	assert_string_equal(result, "{8080} {a/tmp/d awk '{print 8080}'");
	free(result);
}

static void a_value_is_not_filled_in_again(void **state)
{
	const struct fill odd = {.dir = "{port}"};
	char *result = fill_text(&odd, "{dir}");

	assert_string_equal(result, "{port}");
	free(result);
}

static void words_stay_words(void **state)
{
	char *words[] = {"a b", "{dir}/x", "", "{port}", NULL}, **result = fill_words(&fill, words);

	assert_string_equal(result[0], "a b");
	assert_string_equal(result[1], "/tmp/d/x");
	assert_string_equal(result[2], "");
	assert_string_equal(result[3], "8080");
	assert_null(result[4]);
	for (size_t i = 0; result[i]; i++)
		free(result[i]);
	free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_filled_in),
		cmocka_unit_test(what_is_no_name_stays),
		cmocka_unit_test(a_name_in_what_is_no_name_is_filled_in),
		cmocka_unit_test(a_value_is_not_filled_in_again),
		cmocka_unit_test(words_stay_words),
	};

	return RUN_GROUP(tests);
}
