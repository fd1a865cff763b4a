/* test_sys.c -- memory comes as zeroes or not at all, and a broken invariant dies in words */
#define UNIT_FAIL
#include "unit.h"
#include "sys.c"
#include <sys/wait.h>

static void mapped_memory_is_zero_and_refusal_is_null(void **state)
{
	(void)state;
	FOR_EACH_FAILURE(__NR_mmap, ENOMEM) {
		char *p = sys_map(5000);

		assert_true((p == NULL) == (fail_at == 1));
		for (int i = 0; p && i < 8192; i++)
			assert_int_equal(p[i], 0);
	}
}

static void say_trace(void)
{
	sys_write(2, "trace\n", 6);
}

static void a_broken_invariant_dies_with_a_line_and_a_trace(void **state)
{
	char text[256] = "";
	int ends[2], status;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], 2);
		base_backtrace = say_trace;
		volatile int one = 1;

		INVARIANT(one == 2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	assert_non_null(strstr(text, "one == 2"));
	assert_non_null(strstr(text, "test_sys.c"));
	assert_non_null(strstr(text, "trace\n"));
	assert_true(strchr(text, '\n') == strstr(text, "trace") - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_memory_is_zero_and_refusal_is_null),
		cmocka_unit_test(a_broken_invariant_dies_with_a_line_and_a_trace),
	};

	return RUN_GROUP(tests);
}
