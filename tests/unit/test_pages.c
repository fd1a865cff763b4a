/* test_pages.c -- pages are zero, apart and aligned; the child of a fork finds some as they were and some anew */
#define UNIT_FAIL
#include "unit.h"
#include "pages.c"
#include "sys.c"
#include <sys/wait.h>

static char variable[3 * PAGE] ANEW;

static bool is_all(const char *p, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != c)
			return false;
	return true;
}

/* More than the region of a kind holds, so that some are mapped apart. */
static void pages_are_zero_and_apart_also_when_given_again(void **state)
{
	enum { N = 100 };
	static char *p[N];

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int kind = 0; kind < 2; kind++) {
			for (int i = 0; i < N; i++) {
				p[i] = pages_get((enum pages_kind)kind, (size_t)(i % 9 + 1) * PAGE - 7, PAGE << i % 5);
				assert_non_null(p[i]);
				assert_int_equal((uintptr_t)p[i] & ((PAGE << i % 5) - 1), 0);
				assert_true(is_all(p[i], 0, (size_t)(i % 9 + 1) * PAGE));
				memset(p[i], i + 1, (size_t)(i % 9 + 1) * PAGE);
			}
			for (int i = 0; i < N; i++) {
				assert_true(is_all(p[i], (char)(i + 1), (size_t)(i % 9 + 1) * PAGE));
				pages_put(p[i], (size_t)(i % 9 + 1) * PAGE);
			}
		}
}

static void locked_pages_are_zero_as_well(void **state)
{
	char *p = pages_get(PAGES_KEPT, PAGE, PAGE);

	(void)state;
	if (mlock(p, PAGE) < 0)
		skip();
	memset(p, 1, PAGE);
	pages_put(p, PAGE);
	assert_ptr_equal(pages_get(PAGES_KEPT, PAGE, PAGE), p);
	assert_true(is_all(p, 0, PAGE));
	munlock(p, PAGE);
	pages_put(p, PAGE);
}

static void refused_memory_is_nothing(void **state)
{
	(void)state;
	fail_nr = __NR_mmap;
	fail_calls = 0;
	fail_at = 1;
	assert_null(pages_get(PAGES_KEPT, 1 << 20, PAGE));
	fail_at = 0;
}

/* In the child: 0, or what is wrong. */
static int look(char *kept, char *anew, char *apart)
{
	pages_child();
	if (!is_all(kept, 1, PAGE))
		return 1;
	if (!is_all(anew, 0, PAGE) || !is_all(variable, 0, sizeof variable))
		return 2;
	if (wiped && !is_all(apart, 0, 4 << 20))
		return 3;
	pages_claim(anew, PAGE);
	for (unsigned i = 0; i < ANEW_PAGES; i++)
		if (pages_get(PAGES_ANEW, PAGE, PAGE) == anew)
			return 4;
	return pages_get(PAGES_KEPT, PAGE, PAGE) == kept ? 5 : 0;
}

static void a_child_finds_what_is_kept_and_what_is_anew(void **state)
{
	char *kept = pages_get(PAGES_KEPT, PAGE, PAGE), *anew = pages_get(PAGES_ANEW, PAGE, PAGE);
	char *apart = pages_get(PAGES_ANEW, 4 << 20, PAGE);
	int status;

	(void)state;
	for (int round = 0; round < 2; round++) {
		memset(kept, 1, PAGE);
		memset(anew, 1, PAGE);
		memset(variable, 1, sizeof variable);
		memset(apart, 1, 4 << 20);
		pages_lock();
		pid_t child = fork();

		if (child == 0)
			_exit(look(kept, anew, apart));
		pages_unlock();
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		assert_true(is_all(anew, 1, PAGE) && is_all(variable, 1, sizeof variable));
		wiped = false;		/* as on a kernel that cannot */
		madvise(regions[PAGES_ANEW].base, ANEW_PAGES * PAGE, MADV_KEEPONFORK);
		madvise(anew_start, (size_t)(anew_end - anew_start), MADV_KEEPONFORK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_zero_and_apart_also_when_given_again),
		cmocka_unit_test(locked_pages_are_zero_as_well),
		cmocka_unit_test(refused_memory_is_nothing),
		cmocka_unit_test(a_child_finds_what_is_kept_and_what_is_anew),
	};

	return RUN_GROUP(tests);
}
