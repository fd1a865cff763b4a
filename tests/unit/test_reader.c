/* test_reader.c -- load tools are read as they really print, and not believed when they say that
 * all went well
 */
#include "recording.h"
#include <dirent.h>
#include <math.h>

#define ERROR_MOST 100

/* A row of tests/unit/reader/expected. */
struct row {
	char name[NAME_MOST];
	struct quantity field[READER_FIELDS];
	char error[ERROR_MOST];		/* its beginning; "-" for none */
};

static struct row rows[256];
static size_t row_count;

static struct quantity parse_field(const char *text)
{
	struct quantity q = {QUANTITY_NONE, 0, 0};
	char *end;

	if (!strcmp(text, "-"))
		return q;
	q.value = strtod(text, &end);
	q.unit = *end == '~' ? QUANTITY_NUMBER : QUANTITY_COUNT;
	if (*end == '~')
		q.quantum = strtod(end + 1, &end);
	assert_string_equal(end, "");
	return q;
}

static void parse_row(char *line, struct row *row)
{
	char *rest = line, *word = strsep(&rest, " ");

	snprintf(row->name, sizeof row->name, "%s", word);
	for (size_t i = 0; i < READER_FIELDS; i++) {
		rest += strspn(rest, " ");
		row->field[i] = parse_field(strsep(&rest, " "));
	}
	rest += strspn(rest, " ");
	snprintf(row->error, sizeof row->error, "%s", rest);
}

static int parse_rows(void **state)
{
	char *text = recording_read("expected"), *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line && *line != '#')
			parse_row(line, &rows[row_count++]);
	free(text);
	return 0;
}

static bool is_near(double a, double b, double tolerance)
{
	return fabs(a - b) <= tolerance * fabs(b);
}

static void check_field(const char *name, size_t i, const struct quantity *q,
			const struct quantity *wanted)
{
	bool time = i >= READER_SECONDS && wanted->unit != QUANTITY_NONE;

	if (q->unit != (time ? QUANTITY_SECONDS : wanted->unit) ||
	    !is_near(q->value, wanted->value, 1e-9) || !is_near(q->quantum, wanted->quantum, 1e-5))
		fail_msg("%s: %s is %.10g~%g, not %.10g~%g", name, reader_field_names[i], q->value,
			 q->quantum, wanted->value, wanted->quantum);
}

static void every_recording_is_read_as_expected(void **state)
{
	assert_true(row_count > 100);
	for (size_t i = 0; i < row_count; i++) {
		struct recording r;
		struct reader_result result;
		const struct reader *reader;
		bool good = !strcmp(rows[i].error, "-");

		recording_open(&r, rows[i].name);
		reader = reader_find(r.run.command);
		assert_non_null(reader);
		assert_memory_equal(reader->name, rows[i].name, strlen(reader->name));
		assert_int_equal(reader_read(reader, &r.run, &result), good);
		for (size_t k = 0; k < READER_FIELDS; k++)
			check_field(rows[i].name, k, &result.field[k], &rows[i].field[k]);
		if (good ? *result.error : !!strncmp(result.error, rows[i].error, strlen(rows[i].error)))
			fail_msg("%s: `%s', not `%s'", rows[i].name, result.error, rows[i].error);
		recording_close(&r);
	}
}

static void no_recording_lacks_a_row(void **state)
{
	DIR *dir = opendir(RECORDINGS);
	struct dirent *entry;
	size_t found = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		size_t i = 0;

		if (!strchr(entry->d_name, '.') || *entry->d_name == '.' ||
		    !strcmp(entry->d_name, "record.py"))
			continue;
		while (i < row_count && strcmp(rows[i].name, entry->d_name))
			i++;
		if (i == row_count)
			fail_msg("%s is not in " RECORDINGS "/expected", entry->d_name);
		found++;
	}
	closedir(dir);
	assert_int_equal(found, row_count);
}

/* Read a recording after `change' has had its way with its standard output. */
static void read_changed(const char *name, void (*change)(char *), struct reader_result *result)
{
	struct recording r;

	recording_open(&r, name);
	change((char *)r.run.out);
	if (r.run.file)
		change((char *)r.run.file);
	reader_read(reader_find(r.run.command), &r.run, result);
	recording_close(&r);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void set_commas(char *text)
{
	for (char *s = text; *s && s[1]; s++)
		if (s[1] == '.' && is_digit(s[0]) && is_digit(s[2]))
			s[1] = ',';
}

static void a_decimal_comma_is_an_error_not_another_number(void **state)
{
	struct reader_result result;

	for (size_t i = 0; i < row_count; i++) {
		read_changed(rows[i].name, set_commas, &result);
		assert_string_not_equal(result.error, "");
		assert_int_equal(result.field[READER_RATE].unit, QUANTITY_NONE);
	}
}

static void set_empty(char *text)
{
	*text = 0;
}

static void an_empty_output_is_an_error(void **state)
{
	struct reader_result result;

	for (size_t i = 0; i < row_count; i++) {
		read_changed(rows[i].name, set_empty, &result);
		assert_string_not_equal(result.error, "");
		for (size_t k = READER_RATE; k < READER_FIELDS; k++)
			assert_int_equal(result.field[k].unit, QUANTITY_NONE);
	}
}

static void a_tool_killed_midway_never_counts(void **state)
{
	for (size_t i = 0; i < row_count; i++) {
		struct recording r;
		struct reader_result result;

		recording_open(&r, rows[i].name);
		for (size_t n = strlen(r.run.out); n > 0; n -= n < 97 ? n : 97) {
			const struct reader *reader = reader_find(r.run.command);

			((char *)r.run.out)[n] = 0;
			r.run.status = 0;
			if (reader_read(reader, &r.run, &result))
				assert_true(result.field[READER_COMPLETED].value > 0);
			r.run.status = SIGKILL;
			assert_false(reader_read(reader, &r.run, &result));
			assert_non_null(strstr(result.error, "was ended by a signal (Killed)"));
		}
		recording_close(&r);
	}
}

/* The words that a user would want to see, from the end of what the tool printed. */
static void errors_show_why(void **state)
{
	static const struct {
		const char *name, *shown;
	} cases[] = {
		{"ab.refused", "\n  apr_socket_recv: Connection refused (111)"},
		{"ab.server-killed", "\n  Total of 11861 requests completed"},
		{"ab.usage", "\n  ab: Cannot use concurrency level greater than"},
		{"hey.usage", "\n  -n cannot be less than -c.\n  ...\n"},
		{"hey.refused", "connect: connection refused"},
		{"hey.csv", "(it is read without -o)"},
		{"mariadb-slap.wrong", "Unknown column 'no_such_column'"},
		{"mariadb-slap.plain", "(it is read with --csv)"},
		{"pgbench.no-database", "database \"no_such_database\" does not exist"},
		{"redis-benchmark.full", "\n  Error from server: OOM command not allowed"},
		{"wrk.refused", "\n  unable to connect to 127.0.0.1:"},
		{"wrk.killed", "; its output is empty"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recording r;
		struct reader_result result;

		recording_open(&r, cases[i].name);
		assert_false(reader_read(reader_find(r.run.command), &r.run, &result));
		if (!strstr(result.error, cases[i].shown))
			fail_msg("%s: no `%s' in `%s'", cases[i].name, cases[i].shown, result.error);
		recording_close(&r);
	}
}

/* How many requests redis-benchmark made is told by its command line alone. */
static void a_number_that_only_a_shell_knows_is_an_error(void **state)
{
	static const struct {
		const char *words;
		double requests;	/* 0: an error */
	} cases[] = {
		{"-n 7000", 7000}, {"-t get", 100000}, {"-n $((3*1000))", 0}, {"-n 3k", 0}, {"-n 0", 0}, {"-n \"$N\"", 0},
	};
	char command[100];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recording r;
		struct reader_result result;

		recording_open(&r, "redis-benchmark.ok");
		snprintf(command, sizeof command, "redis-benchmark --csv %s", cases[i].words);
		r.run.command = command;
		bool good = reader_read(reader_find(command), &r.run, &result);

		assert_int_equal(good, cases[i].requests > 0);
		if (!good)
			assert_non_null(strstr(result.error, "has to be a number"));
		else
			assert_true(result.field[READER_COMPLETED].value == cases[i].requests);
		recording_close(&r);
	}
}

static void an_error_of_any_length_fits(void **state)
{
	static char text[1 << 16];
	struct reader_run run = {"wrk", 1 << 8, text, text, NULL};
	struct reader_result result;
	char error[16];

	for (size_t i = 0; i + 1 < sizeof text; i++)
		text[i] = i % 997 ? (char)(i % 255 + 1) : '\n';
	assert_false(reader_read(reader_find("wrk"), &run, &result));
	assert_true(strlen(result.error) < sizeof result.error);
	assert_false(reader_ended("something", &run, error, sizeof error));
	assert_string_equal(error, "something ended");
}

static void tools_are_found_where_a_command_names_them(void **state)
{
	static const struct {
		const char *command, *name;
	} cases[] = {
		{"wrk -t1 http://127.0.0.1:80/", "wrk"},
		{"/usr/bin/ab -n 5 http://127.0.0.1/", "ab"},
		{"env A=b taskset -c 1 'hey' -n 5 http://127.0.0.1/", "hey"},
		{"cd '/tmp/a b' && h2load -n 5 http://127.0.0.1/", "h2load"},
		{"sleep 1; \"/opt/with space/redis-benchmark\" --csv", "redis-benchmark"},
		{"(mariadb-slap --csv)", "mariadb-slap"},
		{"/usr/lib/postgresql/15/bin/pgbench -S postgres", "pgbench"},
		{"curl http://127.0.0.1/", NULL},
		{"./wrk.sh --output=/tmp/wrk", NULL},
		{"tabulate", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct reader *r = reader_find(cases[i].command);

		assert_int_equal(!!r, !!cases[i].name);
		if (r)
			assert_string_equal(r->name, cases[i].name);
	}
}

static void files_of_results_are_found(void **state)
{
	static const struct {
		const char *command, *path;
	} cases[] = {
		{"ab -n 5 -e /tmp/a.csv http://127.0.0.1/", "/tmp/a.csv"},
		{"ab -n 5 -ea.csv http://127.0.0.1/", "a.csv"},
		{"ab -e '/tmp/a b' http://127.0.0.1/ && cat -e x", "/tmp/a b"},
		{"ab -e /dev/stdout http://127.0.0.1/", NULL},
		{"cat -e x; ab http://127.0.0.1/", NULL},
		{"mariadb-slap --csv=/tmp/b.csv -a", "/tmp/b.csv"},
		{"mariadb-slap --csv -a", NULL},
		{"mariadb-slap --csv= -a", NULL},
		{"wrk -e x", NULL},
	};
	char path[20];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool found = reader_file(reader_find(cases[i].command), cases[i].command, path,
					 sizeof path);

		assert_int_equal(found, cases[i].path != NULL);
		if (found)
			assert_string_equal(path, cases[i].path);
	}
	assert_false(reader_file(reader_find("ab"), "ab -e /a/path/that/is/too/long", path,
				 sizeof path));
}

/* A user can be told how each tool is read. */
static void every_tool_states_its_rules(void **state)
{
	assert_int_equal(reader_count, 7);
	for (size_t i = 0; i < reader_count; i++) {
		assert_ptr_equal(reader_find(readers[i].name), &readers[i]);
		assert_true(readers[i].step > 0);
		assert_int_equal(readers[i].quantum[strlen(readers[i].quantum) - 1], '.');
		assert_int_equal(readers[i].failures[strlen(readers[i].failures) - 1], '.');
	}
	for (size_t i = 0; i < READER_FIELDS; i++)
		assert_true(*reader_field_names[i] && *reader_field_help[i]);
}

/* What the rates and times of these runs are good for. */
static void coarse_values_say_so(void **state)
{
	static const struct {
		const char *name;
		enum reader_field field;
		const char *text;
	} cases[] = {
		{"ab.ok", READER_P99, "p99: 16 ms in steps of 1 ms is too coarse"},
		{"ab.file", READER_P99, ""},
		{"ab.ok", READER_MAX, ""},
		{"ab.slow", READER_P50, ""},
		{"hey.ok", READER_P50, "p50: 300 us in steps of 100 us is too coarse"},
		{"hey.slow", READER_P50, ""},
		{"mariadb-slap.ok", READER_SECONDS, "seconds: 79 ms in steps of 1 ms is too coarse"},
		{"mariadb-slap.query", READER_RATE, ""},
		{"redis-benchmark.short", READER_RATE, "rate: 33333.3 in steps of 1111.11 is too coarse"},
		{"redis-benchmark.ok", READER_P50, "p50: 527 us in steps of 8 us is too coarse"},
		{"redis-benchmark.ok", READER_RATE, ""},
		{"wrk.slow", READER_RATE, "rate: 6.65 in steps of 0.3325 is too coarse"},
		{"wrk.latency", READER_P50, ""},
		{"wrk.locale", READER_SECONDS, ""},
		{"wrk.ok", READER_P50, ""},
	};
	char text[80];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recording r;
		struct reader_result result;
		const struct quantity *q = &result.field[cases[i].field];

		recording_open(&r, cases[i].name);
		reader_read(reader_find(r.run.command), &r.run, &result);
		quantity_coarse_text(q, reader_field_names[cases[i].field], text, sizeof text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(quantity_coarse(q), *text != 0);
		recording_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_recording_is_read_as_expected),
		cmocka_unit_test(no_recording_lacks_a_row),
		cmocka_unit_test(a_decimal_comma_is_an_error_not_another_number),
		cmocka_unit_test(an_empty_output_is_an_error),
		cmocka_unit_test(a_tool_killed_midway_never_counts),
		cmocka_unit_test(errors_show_why),
		cmocka_unit_test(a_number_that_only_a_shell_knows_is_an_error),
		cmocka_unit_test(an_error_of_any_length_fits),
		cmocka_unit_test(tools_are_found_where_a_command_names_them),
		cmocka_unit_test(files_of_results_are_found),
		cmocka_unit_test(every_tool_states_its_rules),
		cmocka_unit_test(coarse_values_say_so),
	};

	return cmocka_run_group_tests(tests, parse_rows, NULL);
}
