/* test_mem.c -- memory is zeroed, kept apart, used again, and refused without harm; our own string functions */
#define UNIT_FAIL
#include "unit.h"
#include "mem.c"
#include "sys.c"
#include <pthread.h>

static bool is_all(const void *p, unsigned char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((const unsigned char *)p)[i] != c)
			return false;
	return true;
}

static void blocks_of_all_sizes_are_zero_also_when_used_again(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++)
		for (size_t n = 1; n <= 300000; n = n * 3 / 2 + 1) {
			char *p = mem_get(n);

			assert_non_null(p);
			assert_true(is_all(p, 0, n));
			memset(p, 0xa5, n);
			mem_put(p, n);
		}
}

static void a_freed_block_is_given_out_again(void **state)
{
	void *p = mem_get(100);

	(void)state;
	mem_put(p, 100);
	assert_ptr_equal(mem_get(128), p);	/* same class */
}

static void blocks_in_use_do_not_overlap(void **state)
{
	enum { N = 500 };
	static unsigned char *block[N];
	static size_t size[N];

	(void)state;
	srand(3);
	for (int i = 0; i < N; i++) {
		size[i] = (size_t)(rand() % 5000 + 1);
		block[i] = mem_get(size[i]);
		memset(block[i], i & 255, size[i]);
	}
	for (int i = 0; i < N; i++) {
		assert_true(is_all(block[i], i & 255, size[i]));
		mem_put(block[i], size[i]);
	}
}

static void nothing_can_be_given_back(void **state)
{
	(void)state;
	mem_put(NULL, 64);
}

static void refused_memory_is_asked_for_again_later(void **state)
{
	static const size_t sizes[] = {64, 4096, 65536, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *got[3000];
		int n = 0;

		fail_nr = __NR_mmap;
		fail_calls = 0;
		fail_at = 1;
		while (n < 3000 && (got[n] = mem_get(sizes[i])))
			n++;
		assert_true(n < 3000);
		fail_at = 0;
		void *p = mem_get(sizes[i]);

		assert_non_null(p);
		assert_true(is_all(p, 0, sizes[i]));
		mem_put(p, sizes[i]);
		while (n)
			mem_put(got[--n], sizes[i]);
	}
}

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	unsigned char *held[64] = {0};
	size_t size[64] = {0};

	for (int i = 0; i < 20000; i++) {
		int k = rand_r(&seed) % 64;

		if (held[k] && !is_all(held[k], (unsigned char)(uintptr_t)arg, size[k]))
			return "overlap";
		mem_put(held[k], size[k]);
		size[k] = (size_t)(rand_r(&seed) % 700 + 1);
		held[k] = mem_get(size[k]);
		memset(held[k], (int)(uintptr_t)arg, size[k]);
	}
	return NULL;
}

static void threads_do_not_get_each_others_memory(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
	for (int i = 0; i < 4; i++) {
		void *r;

		pthread_join(threads[i], &r);
		assert_null(r);
	}
}

static void moves_and_compares_are_right_for_all_small_sizes(void **state)
{
	char a[80], b[80];

	(void)state;
	for (size_t n = 0; n < 40; n++)
		for (size_t from = 0; from < 20; from++)
			for (size_t to = 0; to < 20; to++) {
				for (int i = 0; i < 80; i++)
					a[i] = b[i] = (char)i;
				memmove(a + to, a + from, n);
				for (int i = 0; i < 80; i++) {
					bool inside = (size_t)i >= to && (size_t)i < to + n;

					assert_int_equal(a[i], inside ? (char)(i - (int)to + (int)from) : b[i]);
				}
				assert_int_equal(memcmp(a + to, b + from, n), 0);
			}
	assert_true(memcmp("a", "\xff", 1) < 0);
	assert_true(memcmp("ab", "aa", 2) > 0);
	assert_int_equal(strlen(""), 0);
	assert_int_equal(strlen("four"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_all_sizes_are_zero_also_when_used_again),
		cmocka_unit_test(a_freed_block_is_given_out_again),
		cmocka_unit_test(blocks_in_use_do_not_overlap),
		cmocka_unit_test(nothing_can_be_given_back),
		cmocka_unit_test(refused_memory_is_asked_for_again_later),
		cmocka_unit_test(threads_do_not_get_each_others_memory),
		cmocka_unit_test(moves_and_compares_are_right_for_all_small_sizes),
	};

	return RUN_GROUP(tests);
}
