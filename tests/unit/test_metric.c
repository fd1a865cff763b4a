/* test_metric.c -- figures that a user finds in a load's output by an expression of his own
 */
#include "recording.h"

#include "compare/metric.h"

static void specifications_are_understood(void **state)
{
	static const struct {
		const char *spec, *name;
		enum metric_better better;
	} cases[] = {
		{"rps=rate: ([0-9.]+)", "rps", METRIC_UNSAID},
		{"rps=rate: ([0-9.]+):higher", "rps", METRIC_HIGHER},
		{"p99-ms=p99=([0-9.]+):lower", "p99-ms", METRIC_LOWER},
		{"a=(x:lower):higher", "a", METRIC_HIGHER},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct metric m;
		char error[200];

		assert_true(metric_init(&m, cases[i].spec, error, sizeof error));
		assert_string_equal(m.name, cases[i].name);
		assert_int_equal(m.better, cases[i].better);
		metric_fini(&m);
	}
}

static void wrong_specifications_are_explained(void **state)
{
	static const struct {
		const char *spec, *shown;
	} cases[] = {
		{"", "NAME=REGEX"},
		{"rps", "NAME=REGEX"},
		{"=([0-9]+)", "NAME=REGEX"},
		{"a b=([0-9]+)", "NAME=REGEX"},
		{"a-name-of-more-than-thirty-one-bytes=([0-9]+)", "NAME=REGEX"},
		{"rps=[0-9]+", "in parentheses"},
		{"rps=", "in parentheses"},
		{"rps=([0-9]+", "nmatched"},
	};
	char error[300];
	struct metric m;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_false(metric_init(&m, cases[i].spec, error, sizeof error));
		assert_non_null(strstr(error, cases[i].shown));
		assert_memory_equal(error, "--metric ", 9);
	}
}

/* read_text -- what a metric finds in an output, or the error. */
static bool read_text(const char *spec, const char *out, const char *err, struct quantity *q,
		      char *error)
{
	struct reader_run run = {"load", 0, out, err, NULL};
	struct metric m;
	bool good;

	assert_true(metric_init(&m, spec, error, READER_ERROR));
	good = metric_read(&m, &run, q, error, READER_ERROR);
	metric_fini(&m);
	assert_int_equal(good, *error == 0);
	assert_int_equal(good, q->unit != QUANTITY_NONE);
	return good;
}

static void the_last_match_is_the_figure(void **state)
{
	static const struct {
		const char *spec, *out, *err;
		double value, quantum;
	} cases[] = {
		{"a=rate ([0-9]+)", "rate 1\nrate 2\n", "rate 3\n", 2, 1},
		{"a=rate ([0-9]+)", "nothing", "rate 3", 3, 1},
		{"a=([0-9]+)", "1 22 333", "", 333, 1},
		{"a=^([0-9]+)", "1 22\n44 5", "", 44, 1},
		{"a=([0-9]+)$", "1 22\n44 5\nx", "", 5, 1},
		{"a=x|([0-9]+)", "7 x", "", 7, 1},
		{"a=([0-9]*)", "12", "", 0, 0},
		{"a=in ([0-9.]+[a-z]+):lower", "in 1.50ms", "", .0015, 1e-5},
		{"a=in ([0-9.]+ s):higher", "in 1.50 s", "", 1.5, .01},
		{"a=([0-9.]+[kM]?)req", "12.5kreq", "", 12500, 100},
		{"a=([0-9.]+%)", "load 45%", "", .45, .01},
		{"a=([0-9.,]+)", "0,25", "", .25, .01},
	};
	char error[READER_ERROR];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct quantity q;
		bool good = read_text(cases[i].spec, cases[i].out, cases[i].err, &q, error);

		assert_int_equal(good, cases[i].value > 0);
		assert_true(q.value == cases[i].value && q.quantum == cases[i].quantum);
	}
}

static void what_is_no_figure_is_explained(void **state)
{
	static const struct {
		const char *spec, *out, *shown;
	} cases[] = {
		{"a=rate ([0-9]+)", "", "no line matches --metric a; its output is empty"},
		{"a=rate ([0-9]+)", "rate unknown\n", "no line matches --metric a\n  rate unknown"},
		{"a=rate (.*)", "rate 5 apples", "--metric a: `5 apples' is no number with a unit"},
		{"a=rate (.*)", "rate -nan", "`-nan' is no number"},
		{"a=rate (.*)", "rate 0", "`0' is not above 0"},
		{"a=rate (.*)", "rate -5", "`-5' is not above 0"},
		{"a=rate (.*)", "rate 1,234", "`1,234' is the comma a decimal mark?"},
		{"a=time (.*)", "time 5 ms", "`5 ms' is a time: add `:lower'"},
	};
	char error[READER_ERROR];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct quantity q;

		assert_false(read_text(cases[i].spec, cases[i].out, "", &q, error));
		if (!strstr(error, cases[i].shown))
			fail_msg("%s: %s", cases[i].shown, error);
	}
}

static void figures_are_found_in_real_output(void **state)
{
	static const struct {
		const char *name, *spec;
		double value;
	} cases[] = {
		{"redis-benchmark.plain", "rps=throughput summary: ([0-9.]+)", 53333.33},
		{"redis-benchmark.quiet", "rps=([0-9.]+) requests per second:higher", 52770.45},
		{"redis-benchmark.quiet", "p50=p50=([0-9.]+ msec):lower", .583e-3},
		{"wrk.latency", "p99=99% +([^ ]+):lower", 4.95e-3},
		{"mariadb-slap.plain", "time=Average number of seconds.*: ([0-9.]+ s):lower", .092},
		{"pgbench.duration", "progress=progress: .* ([0-9.]+) tps", 1207.3},
		{"wrk.killed", "rps=Requests/sec: +([0-9.]+)", 0},
		{"ab.refused", "rps=second: +([0-9.]+)", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct recording r;
		struct metric m;
		struct quantity q;
		char error[READER_ERROR];

		recording_open(&r, cases[i].name);
		assert_true(metric_init(&m, cases[i].spec, error, sizeof error));
		assert_int_equal(metric_read(&m, &r.run, &q, error, sizeof error), cases[i].value > 0);
		if (q.value < cases[i].value * .999999999 || q.value > cases[i].value * 1.000000001)
			fail_msg("%s: %s is %g", cases[i].name, cases[i].spec, q.value);
		metric_fini(&m);
		recording_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specifications_are_understood),
		cmocka_unit_test(wrong_specifications_are_explained),
		cmocka_unit_test(the_last_match_is_the_figure),
		cmocka_unit_test(what_is_no_figure_is_explained),
		cmocka_unit_test(figures_are_found_in_real_output),
	};

	return RUN_GROUP(tests);
}
