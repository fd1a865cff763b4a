/* test_conf.c -- options come from the environment; bad values keep the default */
#include "unit.h"
#include "conf.h"
#include "log.h"

static struct conf defaults;

static int reset(void **state)
{
	(void)state;
	conf = defaults;
	log_level = LOG_NONE;
	return 0;
}

static void defaults_hold_without_environment(void **state)
{
	char *empty[] = {NULL};

	(void)state;
	conf_read(empty);
#define SAME_INT(field, dflt)	assert_int_equal(conf.field, dflt);
#define SAME_FLAG(field, dflt)	assert_int_equal(conf.field, dflt);
#define SAME_LEVEL(field, dflt) assert_int_equal(conf.field, dflt);
#define SAME_TEXT(field, dflt)	assert_string_equal(conf.field, dflt);
#define OPT(field, type, dflt, name, arg, help) SAME_##type(field, dflt)
#include "conf.def"
#undef OPT
}

static void each_type_is_read(void **state)
{
	char *env[] = {"PATH=/bin", "WEFT_HUBS=3", "WEFT_REQUIRE=1", "WEFT_STATS=/tmp/a=b.%p", "WEFT_LOG=info",
			   "WEFT_HUBSIES=9", NULL};

	(void)state;
	conf_read(env);
	assert_int_equal(conf.hubs, 3);
	assert_true(conf.require);
	assert_false(conf.disable);
	assert_string_equal(conf.stats, "/tmp/a=b.%p");
	assert_int_equal(conf.log, LOG_INFO);
	assert_int_equal(log_level, LOG_INFO);
}

static void bad_numbers_keep_the_default(void **state)
{
	static char *const bad[] = {"WEFT_HUBS=", "WEFT_HUBS=-1", "WEFT_HUBS=2x", "WEFT_HUBS= 2",
				    "WEFT_HUBS=99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *env[] = {bad[i], NULL};

		conf_read(env);
		assert_int_equal(conf.hubs, defaults.hubs);
	}
}

static void bad_flags_keep_the_default(void **state)
{
	char *env[] = {"WEFT_REQUIRE=yes", "WEFT_FORCE=2", NULL};

	(void)state;
	conf_read(env);
	assert_int_equal(conf.require, defaults.require);
	assert_int_equal(conf.force, defaults.force);
}

static void bad_levels_keep_the_default(void **state)
{
	static char *const bad[] = {"WEFT_LOG=loud", "WEFT_LOG=9", "WEFT_LOG=", "WEFT_LOG=INFO"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *env[] = {bad[i], NULL};

		conf_read(env);
		assert_int_equal(conf.log, defaults.log);
		assert_int_equal(log_level, LOG_NONE);
	}
}

static void lists_name_whole_words(void **state)
{
	(void)state;
	assert_true(conf_lists("read", "read"));
	assert_true(conf_lists("write,read,poll", "read"));
	assert_true(conf_lists("write,all", "read"));
	assert_false(conf_lists("", "read"));
	assert_false(conf_lists("pread,readv,rea", "read"));
	assert_false(conf_lists(",,", "read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_hold_without_environment, reset),
		cmocka_unit_test_setup(each_type_is_read, reset),
		cmocka_unit_test_setup(bad_numbers_keep_the_default, reset),
		cmocka_unit_test_setup(bad_flags_keep_the_default, reset),
		cmocka_unit_test_setup(bad_levels_keep_the_default, reset),
		cmocka_unit_test(lists_name_whole_words),
	};

	defaults = conf;
	return RUN_GROUP(tests);
}
