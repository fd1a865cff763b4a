/* test_sys.c -- descriptors of ours go to the top of the first 1024, and a broken invariant dies in words */
#define UNIT_FAIL
#include "unit.h"
#include "sys.c"
#include <sys/resource.h>
#include <sys/wait.h>

static void a_descriptor_moves_up_and_closes_on_exec(void **state)
{
	int fd = dup(1), up = sys_dup_high(fd);

	(void)state;
	assert_true(up >= 64 && up < 1024 + 16);
	assert_true(fcntl(up, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(up);
}

static void it_moves_as_high_as_the_limit_lets_it(void **state)
{
	struct rlimit old, low = {300, 0};
	int fd = dup(1);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	low.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &low);
	int up = sys_dup_high(fd);

	setrlimit(RLIMIT_NOFILE, &old);
	assert_true(up >= 64 && up < 300);
	close(up);
}

static void where_no_number_is_free_it_stays(void **state)
{
	struct rlimit old, low = {0, 0};
	int fd = dup(1);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){(rlim_t)fd + 1, old.rlim_max};
	setrlimit(RLIMIT_NOFILE, &low);
	int up = sys_dup_high(fd);

	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(up, fd);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

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
		cmocka_unit_test(a_descriptor_moves_up_and_closes_on_exec),
		cmocka_unit_test(it_moves_as_high_as_the_limit_lets_it),
		cmocka_unit_test(where_no_number_is_free_it_stays),
		cmocka_unit_test(mapped_memory_is_zero_and_refusal_is_null),
		cmocka_unit_test(a_broken_invariant_dies_with_a_line_and_a_trace),
	};

	return RUN_GROUP(tests);
}
