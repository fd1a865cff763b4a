/* test_record.c -- a comparison goes into a file and comes back as it was, whole or cut short
 * libs: -ljansson
 */
#include "unit.h"
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "cli.h"
#include "compare/record.h"

#define RUNS 3

static char said[500];
static char path[] = "/tmp/test-record.XXXXXX";

int cli_fail(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(said, sizeof said, format, ap);
	va_end(ap);
	return status;
}

static char *program[] = {"serve", "an \"argument\"", "caf\xe9", NULL};

static struct compareplan plan(void)
{
	return (struct compareplan){
		.argv = program, .output = path, .seed = 4711, .seconds = 2500000000, .server = true, .same_output = true, .rate = 10,
		.variants = {{.name = "native"}, {.name = "weft", .weft = true}}, .variant_count = 2,
		.level = {1, 1000}, .level_count = 2,
		.metrics = {{.name = "p99", .better = METRIC_LOWER}, {.name = "all"}}, .metric_count = 2,
		.rule = {.005, .03, .99}, .primary = FIGURE_PER_CPU,
	};
}

static char latency[] = "1 3 300 50 150 50:1 100:1 150:1";

static struct record_run run(unsigned pair)
{
	struct record_run r = {
		.kind = pair == 2 ? RUN_MEMORY : RUN_TIMED, .level = 1, .pair = pair, .variant = 1, .second = true,
		.latency = pair ? latency : NULL,
	};
	struct outcome *o = &r.outcome;

	*o = (struct outcome){
		.status = 256, .output = 0xfedcba9876543210, .metric = {1.25, NAN}, .requests = 12345678, .failed = pair, .coarse = pair,
		.begun = .125,
		.tasks = {true, true, "why \"not\"", {1, 2, 3, 1ull << 40, 5, 6, 7, 8, 9, 10}}, .carriers = {1000, 410, "fsync"},
		.time = {true, false},
	};
	for (unsigned i = 0; i < FIGURES; i++)
		o->figure[i] = i % 3 ? i + .0625 : NAN;
	return r;
}

/* write_file -- a comparison of some runs, appended. */
static void write_file(void)
{
	const struct compareplan p = plan();
	struct record r;

	assert_int_equal(record_begin(&r, &p), 0);
	for (unsigned i = 0; i < RUNS; i++) {
		const struct record_run one = run(i);

		assert_int_equal(record_add(&r, &one), 0);
	}
	close(r.fd);
	free(r.runs);
}

static void start_anew(void)
{
	assert_int_equal(truncate(path, 0), 0);
	*said = 0;
	write_file();
}

static off_t size_of_file(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void assert_number(double a, double b)
{
	assert_true(isnan(a) ? isnan(b) : fabs(a - b) < 1e-9);
}

static void a_header_comes_back(void **state)
{
	struct record r;

	start_anew();
	assert_int_equal(record_read(&r, path), 0);
	assert_string_equal(r.program, "serve an \"argument\" caf?");
	assert_true(strstr(r.machine, " CPUs, Linux ") != NULL);
	assert_string_equal(r.primary, "p99");
	assert_int_equal(r.primary_metric, 0);
	assert_int_equal(r.primary_figure, FIGURE_PER_CPU);
	assert_false(r.higher);
	assert_true(r.server && r.same_output && r.fixed_rate && !r.quick);
	assert_int_equal(r.variant_count, 2);
	assert_string_equal(r.variants[0], "native");
	assert_string_equal(r.variants[1], "weft");
	assert_true(!r.weft[0] && r.weft[1]);
	assert_int_equal(r.level_count, 2);
	assert_true(r.level[0] == 1 && r.level[1] == 1000);
	assert_int_equal(r.metric_count, 2);
	assert_string_equal(r.metrics[1], "all");
	assert_int_equal(r.seed, 4711);
	assert_number(r.seconds, 2.5);
	assert_true(r.stack >= 0);
	assert_number(r.rate, 10);
	assert_number(r.rule.precision, .005);
	assert_number(r.rule.margin, .03);
	assert_number(r.rule.confidence, .99);
	assert_string_equal(said, "");
}

static void runs_come_back(void **state)
{
	struct record r;

	start_anew();
	assert_int_equal(record_read(&r, path), 0);
	assert_int_equal(r.count, RUNS);
	for (unsigned i = 0; i < RUNS; i++) {
		const struct record_run want = run(i), *got = &r.runs[i];
		const struct outcome *a = &want.outcome, *b = &got->outcome;

		assert_int_equal(got->kind, want.kind);
		assert_true(got->level == 1 && got->pair == i && got->variant == 1 && got->second);
		assert_int_equal(b->status, a->status);
		assert_true(b->output == a->output);
		assert_number(a->requests, b->requests);
		assert_number(a->failed, b->failed);
		assert_number(a->begun, b->begun);
		assert_int_equal(b->coarse, a->coarse);
		for (unsigned k = 0; k < FIGURES; k++)
			assert_number(a->figure[k], b->figure[k]);
		assert_number(a->metric[0], b->metric[0]);
		assert_number(a->metric[1], b->metric[1]);
		assert_memory_equal(b->tasks.count, a->tasks.count, sizeof a->tasks.count);
		assert_memory_equal(&b->carriers, &a->carriers, sizeof a->carriers);
		assert_true(b->time[0] && !b->time[1]);
		if (i)
			assert_string_equal(got->latency, latency);
		else
			assert_null(got->latency);
		assert_true(b->tasks.seen && b->tasks.active);
		assert_string_equal(b->tasks.why, a->tasks.why);
		assert_string_equal(b->error, "");
	}
	assert_number(record_value(&r, &r.runs[0]), 1.25);
	assert_ptr_equal(record_find(&r, RUN_TIMED, 1, 1, 1), &r.runs[1]);
	assert_null(record_find(&r, RUN_TIMED, 0, 1, 1));
}

static void an_error_comes_back_even_if_it_is_no_text(void **state)
{
	const struct compareplan p = plan();
	struct record_run one = run(0);
	struct record r;

	assert_int_equal(truncate(path, 0), 0);
	strcpy(one.outcome.error, "it said:\n\"\xff\"\t\x01");
	one.outcome.tasks.seen = false;
	assert_int_equal(record_begin(&r, &p), 0);
	assert_int_equal(record_add(&r, &one), 0);
	close(r.fd);
	assert_int_equal(record_read(&r, path), 0);
	assert_string_equal(r.runs[0].outcome.error, "it said:\n\"?\"\t\x01");
	assert_false(r.runs[0].outcome.tasks.seen);
}

static void many_runs_are_kept(void **state)
{
	struct compareplan p = plan();
	struct record r;

	p.output = NULL;
	assert_int_equal(record_begin(&r, &p), 0);
	for (unsigned i = 0; i < 1000; i++) {
		const struct record_run one = run(i);

		assert_int_equal(record_add(&r, &one), 0);
	}
	assert_int_equal(r.count, 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(r.runs[i].pair, i);
}

/* Wherever a file ends, what is whole is read, and the rest is told. */
static void a_file_cut_anywhere_is_read_so_far(void **state)
{
	off_t size, header;
	char text[4096];
	struct record r;
	FILE *f;

	start_anew();
	size = size_of_file();
	f = fopen(path, "r");
	assert_non_null(fgets(text, sizeof text, f));
	header = ftello(f);
	fclose(f);
	for (off_t at = size; at > 0; at -= 7) {
		assert_int_equal(truncate(path, at), 0);
		*said = 0;
		if (at < header - 1) {
			assert_int_equal(record_read(&r, path), CLI_USAGE);
			assert_non_null(strstr(said, "holds no comparison"));
			continue;
		}
		assert_int_equal(record_read(&r, path), 0);
		assert_in_range(r.count, 0, RUNS);
		assert_true(!*said || strstr(said, "was cut short"));
		free(r.runs);
	}
}

static void a_comparison_behind_a_cut_one_is_read(void **state)
{
	struct record r;

	start_anew();
	assert_int_equal(truncate(path, size_of_file() - 10), 0);
	write_file();
	assert_int_equal(record_read(&r, path), 0);
	assert_int_equal(r.count, RUNS);
	assert_string_equal(said, "");
}

static void put_line(const char *line)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	close(fd);
}

static void lines_that_make_no_sense_are_errors(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{"{\"weft_compare\": 99}\n", "line 5 is of another version"},
		{"{\"weft_compare\": 1}\n", "line 5 is of another version"},
		{"{\"weft_compare\": 1, \"variants\": [{}, {}], \"connections\": [1], \"metrics\": [5]}\n", "line 5 is of another version"},
		{"{\"weft_compare\": \"1\"}\n", "line 5 is of another version"},
		{"{}\n", "line 5 is none"},
		{"[]\n", "line 5 is none"},
		{"{\"kind\": \"timed\", \"variant\": \"other\", \"connections\": 1}\n", "line 5 is none"},
		{"{\"kind\": 5, \"variant\": [], \"connections\": {}}\n", "line 5 is none"},
		{"{\"kind\": \"timed\", \"variant\": \"weft\", \"connections\": 1, \"pair\": -1}\n", "line 5 is none"},
		{"{\"kind\": \"timed\", \"variant\": \"weft\", \"connections\": 1, \"pair\": 99999}\n", "line 5 is none"},
		{"nonsense\n{}\n", "line 5 is none"},
		{"{\"kind\": \"timed\", \"variant\": \"weft\", \"connections\": 1, \"latency\": 5}\n", "line 5 is none"},
		{"{\"kind\": \"timed\", \"variant\": \"weft\", \"connections\": 1, \"latency\": \"1 1 5 5 5 6:1\"}\n", "line 5 is none"},
	};
	struct record r;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start_anew();
		put_line(cases[i].line);
		assert_int_equal(record_read(&r, path), CLI_USAGE);
		assert_non_null(strstr(said, cases[i].text));
	}
}

/* What an earlier version wrote has less in it, and is read. */
static void members_that_are_not_there_are_not_missed(void **state)
{
	struct record r;

	start_anew();
	put_line("{\"kind\": \"timed\", \"variant\": \"weft\", \"connections\": 1, \"pair\": 7}\n");
	assert_int_equal(record_read(&r, path), 0);
	assert_int_equal(r.count, RUNS + 1);
	assert_null(r.runs[RUNS].latency);
	assert_false(r.runs[RUNS].outcome.tasks.seen);
	assert_int_equal(r.runs[RUNS].outcome.carriers.looks, 0);
}

static void files_that_are_none(void **state)
{
	const struct compareplan p = plan();
	struct record r;

	assert_int_equal(record_read(&r, "/nonsense"), CLI_USAGE);
	assert_int_equal(record_read(&r, "/tmp"), CLI_USAGE);
	assert_int_equal(record_read(&r, "/dev/null"), CLI_USAGE);
	assert_non_null(strstr(said, "holds no comparison"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(record_begin(&r, &p), CLI_USAGE);
	assert_non_null(strstr(said, "Is a directory"));
	rmdir(path);
}

static int set_up(void **state)
{
	return close(mkstemp(path));
}

static int tear_down(void **state)
{
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_comes_back),
		cmocka_unit_test(runs_come_back),
		cmocka_unit_test(an_error_comes_back_even_if_it_is_no_text),
		cmocka_unit_test(many_runs_are_kept),
		cmocka_unit_test(a_file_cut_anywhere_is_read_so_far),
		cmocka_unit_test(a_comparison_behind_a_cut_one_is_read),
		cmocka_unit_test(lines_that_make_no_sense_are_errors),
		cmocka_unit_test(members_that_are_not_there_are_not_missed),
		cmocka_unit_test(files_that_are_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
