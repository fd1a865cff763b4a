/* test_own.c -- descriptors of ours stand high, give way to the program, and go without where there is no room */
#define UNIT_FAIL
#include "unit.h"
#include "own.c"
#include <sys/wait.h>

static int mine[4], given;	/* an owner's; -1: none */

static bool move(int fd, int least)
{
	for (int i = 0; i < 4; i++) {
		if (mine[i] != fd)
			continue;
		int n = own_dup(fd, least);

		if (n < 0)
			return false;
		mine[i] = n;
		own_close(fd);
		return true;
	}
	return false;
}

static bool give(int from, int to)
{
	for (int i = 0; i < 4; i++)
		if (mine[i] >= from && mine[i] < to) {
			own_close(mine[i]);
			mine[i] = -1;
			given++;
			return true;
		}
	return false;
}

static const struct own_kind kind = {move, give};
static struct rlimit usual;

static int begin(void **state)
{
	(void)state;
	own_kinds[OWN_HUBS] = &kind;
	given = 0;
	getrlimit(RLIMIT_NOFILE, &usual);
	for (int i = 0; i < 4; i++)
		mine[i] = own_add(dup(1));
	return 0;
}

static int end(void **state)
{
	(void)state;
	own_forget();
	setrlimit(RLIMIT_NOFILE, &usual);
	return 0;
}

static void set_soft(int soft)
{
	struct rlimit low = {(rlim_t)soft, usual.rlim_max};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void they_move_up_look_owned_and_close_on_exec(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_in_range(mine[i], 40, 63);
		assert_true(own_has(mine[i]));
		assert_true(fcntl(mine[i], F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(own_next(0), mine[0]);
	assert_int_equal(own_next((unsigned)mine[0] + 1), mine[1]);
	assert_int_equal(own_next((unsigned)mine[3] + 1), -1);
	assert_false(own_has(1));
	assert_false(own_has(-1));
	assert_int_equal(own_add(-ENFILE), -ENFILE);
	int n = mine[0];

	own_close(n);
	assert_false(own_has(n));
	assert_int_equal(fcntl(n, F_GETFD), -1);
	assert_int_equal(own_next(0), mine[1]);
}

static void one_stands_as_high_as_the_limit_lets_it(void **state)
{
	(void)state;
	set_soft(50);
	int up = own_add(dup(1));

	assert_in_range(up, 30, 49);
	int low = dup(1);

	set_soft(low + 1);		/* no number is free: it stays */
	assert_int_equal(own_add(low), low);
	assert_true(fcntl(low, F_GETFD) >= 0);
}

/* Such a number cannot be had here: what is asked of the kernel for it fails, and nothing is noted. */
static void one_beyond_the_table_is_not_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i += 50)
		assert_int_equal(own_add(MOST + i), -EBADF);
	assert_int_equal(own_next((unsigned)mine[3] + 1), -1);
	assert_true(highest < MOST);
	assert_false(own_has(MOST + 50));
}

static void a_number_that_is_wanted_becomes_free(void **state)
{
	int n = mine[1];

	(void)state;
	assert_true(own_move(n));
	assert_false(own_has(n));
	assert_int_equal(fcntl(n, F_GETFD), -1);
	assert_true(own_has(mine[1]) && mine[1] > n);
	assert_true(own_move(n));	/* it is free: nothing happens */
	set_soft(mine[1]);
	assert_false(own_move(mine[1]));
	set_soft(mine[0] + 1);		/* no room above it but behind the limit */
	n = mine[0];
	assert_true(own_move(n));
	assert_false(own_has(n));
	assert_int_equal(given, 0);
}

static void all_leave_the_range_and_the_limit_stays(void **state)
{
	uint32_t before = own_moves();
	struct rlimit now;

	(void)state;
	set_soft(50);
	int used = own_dup(1, 40);		/* its owner does not let it go */

	assert_int_equal(own_leave(before), OWN_BUSY);
	own_close(used);
	set_soft(mine[3] + 1);
	before = own_moves();
	assert_int_equal(own_leave(before), OWN_ROOM);
	assert_int_equal(own_leave(before), OWN_ROOM);	/* another thread was faster: there is room */
	assert_int_equal(own_leave(own_moves()), OWN_NONE);
	getrlimit(RLIMIT_NOFILE, &now);
	for (int i = 0; i < 4; i++)
		assert_true(mine[i] >= (int)now.rlim_cur);
	assert_int_equal(given, 0);
	assert_int_equal(now.rlim_max, usual.rlim_max);
}

/* In a child: a hard limit does not come back. Returns 0, or the number of what is wrong. */
static int use_up(void)
{
	struct rlimit hard = {1024, 1024}, now;

	setrlimit(RLIMIT_NOFILE, &hard);
	fail_nr = __NR_prlimit64;	/* as for the unprivileged; the first two calls only read it */
	fail_errno = EPERM;
	fail_at = 3;
	for (int i = 1; i <= 4; i++) {
		fail_calls = 0;
		if (own_leave(own_moves()) != OWN_ROOM || given != i)
			return i;
	}
	fail_calls = 0;
	getrlimit(RLIMIT_NOFILE, &now);
	return own_leave(own_moves()) != OWN_NONE || own_next(0) >= 0 || now.rlim_cur != 1024 ? 5 : 0;
}

static void where_the_limit_cannot_be_raised_one_after_the_other_goes(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(use_up());
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void a_child_closes_them_all(void **state)
{
	int n = mine[2], status;

	(void)state;
	pages_put(pages_get(PAGES_ANEW, PAGE, PAGE), PAGE);	/* from here on variables are anew */
	own_hold();
	pid_t child = fork();

	if (child == 0) {
		pages_child();
		own_forget();
		bool none = fcntl(n, F_GETFD) == -1 && own_next(0) == -1;

		own_take();		/* what others held is gone */
		own_release();
		_exit(none ? 0 : 1);
	}
	own_drop();
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_true(own_has(n) && fcntl(n, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_move_up_look_owned_and_close_on_exec, begin, end),
		cmocka_unit_test_setup_teardown(one_stands_as_high_as_the_limit_lets_it, begin, end),
		cmocka_unit_test_setup_teardown(one_beyond_the_table_is_not_kept, begin, end),
		cmocka_unit_test_setup_teardown(a_number_that_is_wanted_becomes_free, begin, end),
		cmocka_unit_test_setup_teardown(all_leave_the_range_and_the_limit_stays, begin, end),
		cmocka_unit_test_setup_teardown(where_the_limit_cannot_be_raised_one_after_the_other_goes, begin, end),
		cmocka_unit_test_setup_teardown(a_child_closes_them_all, begin, end),
	};

	return RUN_GROUP(tests);
}
