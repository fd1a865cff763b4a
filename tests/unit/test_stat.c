/* test_stat.c -- counters are in the file at any instant, also after SIGKILL, and carriers are listed */
#define UNIT_FAIL
#include "unit.h"
#include "stat.c"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[] = "/tmp/weft-unit.XXXXXX";

static void read_page(const char *name, struct stat_page *page)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fread(page, sizeof *page, 1, f), 1);
	fclose(f);
	unlink(path);
}

static void counters_survive_sigkill(void **state)
{
	static struct stat_page page;
	char name[64];
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		char path[256];

		stat_shared(forks, 3);		/* before the file is there */
		snprintf(path, sizeof path, "%s/kill.%%p.x", directory);
		if (stat_open(path))
			_exit(1);
		stat_alive(1);
		stat_alive(1);
		stat_alive(-1);
		stat_shared(switches, 5);
		stat_page->count[2][STAT_switches] = 7;
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	snprintf(name, sizeof name, "kill.%d.x", child);
	read_page(name, &page);
	assert_true(page.magic == STAT_MAGIC);
	assert_int_equal(page.size, sizeof page);
	assert_int_equal(page.counters, STAT_COUNT);
	assert_int_equal(page.pid, child);
	assert_int_equal(page.alive, 1);
	assert_int_equal(page.alive_max, 2);
	assert_int_equal(page.count[STAT_HUBS][STAT_forks], 3);
	assert_int_equal(page.count[STAT_HUBS][STAT_switches], 5);
	assert_int_equal(page.count[2][STAT_switches], 7);
}

static void without_a_file_counting_goes_on(void **state)
{
	(void)state;
	FOR_EACH_FAILURE(-1, EMFILE) {
		char path[256];

		snprintf(path, sizeof path, "%s/fail", directory);
		stat_page = &own;
		int r = stat_open(path);

		if (fail_at > 0 && stat_page == &own)
			assert_int_equal(r, -EIO);
		else
			assert_int_equal(r, 0);
		uint64_t before = stat_page->count[STAT_HUBS][STAT_parks];

		stat_shared(parks, 1);
		assert_int_equal(stat_page->count[STAT_HUBS][STAT_parks], before + 1);
		assert_true(stat_page->magic == STAT_MAGIC);
	}
	stat_page = &own;
}

static void a_name_of_any_length_stays_within_bounds(void **state)
{
	static char path[6000];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof path; i += 2)
		memcpy(path + i, "%p", 2);
	assert_int_equal(stat_open(path), -EIO);
	memset(path, 'x', sizeof path - 1);
	assert_int_equal(stat_open(path), -EIO);
	assert_ptr_equal(stat_page, &own);
}

static void the_first_reason_to_be_native_stays(void **state)
{
	char text[300];

	(void)state;
	stat_page = &own;
	own.why[0] = 0;
	memset(text, 'y', sizeof text);
	text[sizeof text - 1] = 0;
	stat_why(text);
	stat_why("another");
	assert_int_equal(strlen(own.why), sizeof own.why - 1);
	assert_int_equal(own.why[0], 'y');
	own.why[0] = 0;
}

static int kind_of(uint32_t tid)
{
	for (int i = 0; i < STAT_CARRIERS; i++)
		if (stat_page->carriers[i].tid == tid)
			return (int)stat_page->carriers[i].kind;
	return -1;
}

static void carriers_are_listed_once_with_their_kind(void **state)
{
	(void)state;
	stat_page = &own;
	stat_carrier_set(100, CARRIER_HUB);
	stat_carrier_set(101, CARRIER_SPARE);
	stat_carrier_set(100, CARRIER_DETACHED);
	assert_int_equal(kind_of(100), CARRIER_DETACHED);
	stat_carrier_set(100, CARRIER_NONE);
	assert_int_equal(kind_of(100), -1);
	assert_int_equal(kind_of(101), CARRIER_SPARE);
	stat_carrier_set(101, CARRIER_NONE);
	stat_carrier_set(999, CARRIER_NONE);
	for (uint32_t i = 0; i < STAT_CARRIERS + 10; i++)	/* more than there is room for */
		stat_carrier_set(1000 + i, CARRIER_SPARE);
	for (uint32_t i = 0; i < STAT_CARRIERS; i++)
		assert_int_equal(kind_of(1000 + i), CARRIER_SPARE);
}

static void what_finds_no_row_is_counted(void **state)
{
	uint64_t before = stat_page->count[STAT_HUBS][STAT_carriers_unlisted];

	(void)state;
	for (uint32_t i = 0; i < STAT_CARRIERS + 3; i++)
		stat_carrier_set(1000 + i, CARRIER_BOUND);
	assert_int_equal(stat_page->rows, STAT_CARRIERS);
	assert_true(stat_page->count[STAT_HUBS][STAT_carriers_unlisted] >= before + 3);
	before = stat_page->count[STAT_HUBS][STAT_carriers_unlisted];
	for (uint32_t i = 0; i < STAT_CARRIERS + 3; i++)
		stat_carrier_set(1000 + i, CARRIER_NONE);
	stat_carrier_set(1000 + STAT_CARRIERS, CARRIER_BOUND);
	stat_carrier_set(1000 + STAT_CARRIERS, CARRIER_NONE);
	assert_int_equal(stat_page->count[STAT_HUBS][STAT_carriers_unlisted], before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_survive_sigkill),
		cmocka_unit_test(without_a_file_counting_goes_on),
		cmocka_unit_test(a_name_of_any_length_stays_within_bounds),
		cmocka_unit_test(the_first_reason_to_be_native_stays),
		cmocka_unit_test(carriers_are_listed_once_with_their_kind),
		cmocka_unit_test(what_finds_no_row_is_counted),
	};

	assert_non_null(mkdtemp(directory));
	int failed = RUN_GROUP(tests);
	char path[256];

	snprintf(path, sizeof path, "%s/fail", directory);
	unlink(path);
	rmdir(directory);
	return failed;
}
