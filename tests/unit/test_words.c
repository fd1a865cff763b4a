/* test_words.c -- the words of a shell command, and its options
 */
#include "unit.h"

#include "words.h"

static void words_are_split_as_a_shell_does(void **state)
{
	static const struct {
		const char *command, *words;	/* each with a `+' before it, an operator as `|' */
	} cases[] = {
		{"", ""},
		{"  a\tb  ", "+a+b"},
		{"'a b' \"c d\"e f\\ g", "+a b+c de+f g"},
		{"'a\\b' \"c\\\"d\" '' \"\"", "+a\\b+c\"d++"},
		{"a;b && c|d\ne", "+a|+b||+c|+d|+e"},
		{"(a 'b;c')", "|+a+b;c|"},
		{"a 'unended b", "+a+unended b"},
		{"a\\", "+a\\"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[100] = "";
		struct words w;

		words_split(&w, cases[i].command);
		for (size_t k = 0; k < w.count; k++) {
			strcat(text, w.word[k] ? "+" : "|");
			strcat(text, w.word[k] ? w.word[k] : "");
		}
		assert_string_equal(text, cases[i].words);
		assert_null(w.word[w.count]);
	}
}

static void options_are_found(void **state)
{
	static const struct {
		const char *command, *name, *value;
	} cases[] = {
		{"x -n 5", "-n", "5"},
		{"x -n5", "-n", "5"},
		{"x -n 5 -n 6", "-n", "6"},
		{"x --long 5", "--long", "5"},
		{"x --long=5", "--long", "5"},
		{"x --long=5", "--long=", "5"},
		{"x --long=", "--long=", ""},
		{"x --long 5", "--long=", NULL},
		{"x --longer=5", "--long", NULL},
		{"x -n", "-n", NULL},
		{"x; y -n 5", "-n", NULL},
		{"x", "-n", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct words w;
		const char *value;

		words_split(&w, cases[i].command);
		value = words_option(&w, 0, cases[i].name);
		assert_int_equal(!!value, !!cases[i].value);
		if (value)
			assert_string_equal(value, cases[i].value);
	}
}

static void a_command_of_any_length_is_split(void **state)
{
	static char command[1 << 16];
	struct words w;

	memset(command, 'a', sizeof command - 1);
	words_split(&w, command);
	assert_int_equal(w.count, 1);
	assert_int_equal(strlen(w.word[0]), WORDS_TEXT - 1);
	for (size_t i = 1; i < sizeof command - 1; i += 2)
		command[i] = ' ';
	words_split(&w, command);
	assert_int_equal(w.count, WORDS_MOST);
	assert_null(w.word[w.count]);
}

static void given_words_are_quoted_as_for_a_shell(void **state)
{
	static const struct {
		const char *text, *words; /* each with a `+' before it; what begins with `!' is the error */
	} cases[] = {
		{"", ""},
		{" \t\n", ""},
		{"A=1 --hubs 2", "+A=1+--hubs+2"},
		{"A=\"x y\" --hubs 2", "+A=x y+--hubs+2"},
		{"A='x  \"y' ''", "+A=x  \"y+"},
		{"a\\ b \\\"c", "+a b+\"c"},
		{"'a\\b' \"c\\\"d\\e\\\\\"", "+a\\b+c\"d\\e\\"},
		{"a;b|c&(d)", "+a;b|c&(d)"},
		{"A=\"x y", "!a \" is not closed"},
		{"A='x y\"", "!a ' is not closed"},
		{"a \\", "!nothing follows the last backslash"},
		{"\"a\\\"", "!a \" is not closed"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[100] = "";
		const char *error = "";
		char **words = words_given(cases[i].text, &error);

		if (!words)
			snprintf(text, sizeof text, "!%s", error);
		for (char **w = words; w && *w; w++) {
			strcat(text, "+");
			strcat(text, *w);
		}
		assert_string_equal(text, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_as_a_shell_does),
		cmocka_unit_test(options_are_found),
		cmocka_unit_test(given_words_are_quoted_as_for_a_shell),
		cmocka_unit_test(a_command_of_any_length_is_split),
	};

	return RUN_GROUP(tests);
}
