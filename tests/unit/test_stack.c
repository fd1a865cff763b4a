/* test_stack.c -- stacks have guards, are clean where libc expects it, come back, and are refused without harm */
#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include "stack.c"

/* Can a byte be written there? The kernel says so without a fault of ours. */
static bool writable(char *p)
{
	int ends[2];
	char c = 1;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], &c, 1), 1);
	bool can = read(ends[0], p, 1) == 1;

	close(ends[0]);
	close(ends[1]);
	return can;
}

static void a_stack_is_writable_but_for_its_lowest_page(void **state)
{
	static const size_t sizes[] = {16384, 65536, 1 << 20, 8 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *p = stack_get(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % PAGE, 0);
		assert_false(writable(p));
		assert_false(writable(p + PAGE - 1));
		assert_true(writable(p + PAGE));
		assert_true(writable(p + sizes[i] - 1));
		assert_true(stack_owns(p));
		assert_true(stack_owns(p + sizes[i] - 1));
		assert_true(stack_put(p, sizes[i]));
	}
}

static void stacks_in_use_do_not_overlap(void **state)
{
	enum { N = 200 };
	char *p[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		p[i] = stack_get(32768);
		memset(p[i] + PAGE, i, 32768 - PAGE);
	}
	for (int i = 0; i < N; i++) {
		for (size_t k = PAGE; k < 32768; k += 997)
			assert_int_equal((unsigned char)p[i][k], i & 255);
		assert_true(stack_put(p[i], 32768));
	}
}

static void odd_sizes_are_left_to_the_kernel(void **state)
{
	(void)state;
	assert_null(stack_get(0));
	assert_null(stack_get(4096));
	assert_null(stack_get(65536 + 1));
	assert_null(stack_get((size_t)1 << 40));
}

static void what_is_not_a_whole_stack_is_not_put(void **state)
{
	char *p = stack_get(65536), *q = stack_get(65536);
	int local;

	(void)state;
	assert_false(stack_put(p + PAGE, 65536 - PAGE));
	assert_false(stack_put(p, 32768));
	assert_false(stack_put(p, 2 * 65536));
	assert_false(stack_put(&local, 65536));
	assert_false(stack_owns(&local));
	assert_true(stack_put(p, 65536));
	assert_false(stack_put(p, 65536));
	assert_true(stack_put(q, 65536));
}

static void the_top_of_a_used_stack_is_zero_again(void **state)
{
	char *p = stack_get(65536);

	(void)state;
	memset(p + PAGE, 0x5a, 65536 - PAGE);
	assert_true(stack_put(p, 65536));
	char *q = stack_get(65536);

	assert_ptr_equal(p, q);
	for (size_t i = 65536 - TOP_BYTES; i < 65536; i++)
		assert_int_equal(q[i], 0);
	stack_put(q, 65536);
}

static void a_larger_guard_does_not_outlive_its_stack(void **state)
{
	char *p = stack_get(131072);

	(void)state;
	assert_int_equal(stack_guard(p, 8 * PAGE), 0);
	assert_false(writable(p + 8 * PAGE - 1));
	assert_true(writable(p + 8 * PAGE));
	assert_true(stack_put(p, 131072));
	char *q = stack_get(131072);

	assert_ptr_equal(p, q);
	assert_false(writable(q));
	assert_true(writable(q + PAGE));
	stack_put(q, 131072);
}

static void guard_one(size_t size)
{
	char *p = stack_get(size);

	assert_int_equal(stack_guard(p, 0), 0);
	assert_true(writable(p));
	assert_int_equal(stack_guard(p, PAGE), 0);
	assert_false(writable(p));
	assert_int_equal(stack_open(p + 4 * PAGE, size - 4 * PAGE), 0);		/* a fresh one's, above its guard */
	assert_false(writable(p + 4 * PAGE - 1));
	assert_true(writable(p + 4 * PAGE));
	assert_int_equal(stack_open(p + 2 * PAGE, 2 * PAGE), 0);		/* a smaller guard */
	assert_false(writable(p + 2 * PAGE - 1));
	assert_true(writable(p + 2 * PAGE));
	assert_int_equal(stack_open(p + 6 * PAGE, PAGE), 0);			/* open already */
	assert_false(writable(p + 2 * PAGE - 1));
	assert_int_equal(stack_open(p, 2 * PAGE), 0);
	assert_true(writable(p));
	assert_int_equal(stack_guard(p + PAGE, PAGE), -EINVAL);
	assert_int_equal(stack_guard(p, size), -EINVAL);
	assert_true(stack_put(p, size));
	char *q = stack_get(size);

	assert_ptr_equal(p, q);
	assert_false(writable(q));
	assert_true(writable(q + PAGE));
	stack_put(q, size);
}

static void a_guard_becomes_what_libc_asks_for(void **state)
{
	(void)state;
	guard_one(131072);
	guard_one(6 << 20);
}

/* Of a large slab: the guard between two stacks is made with the lower one. */
static void a_stack_is_guarded_as_before_when_the_next_one_is_made(void **state)
{
	enum { SIZE = 7 << 20 };
	static const size_t guards[] = {0, 1, 5};
	char *p[ARRAY_SIZE(guards) + 1];

	(void)state;
	for (int way = 0; way < 2; way++) {
		size_t size = SIZE + (size_t)way * PAGE;

		no_guard_advice = way;
		p[0] = stack_get(size);
		for (size_t i = 0; i < ARRAY_SIZE(guards); i++) {
			size_t n = guards[i] * PAGE;

			assert_int_equal(stack_guard(p[i], n), 0);
			p[i + 1] = stack_get(size);
			assert_ptr_equal(p[i + 1], p[i] - size);
			assert_true(writable(p[i] - 1));
			assert_true(!n == writable(p[i]));
			assert_true(!n || !writable(p[i] + n - 1));
			assert_true(writable(p[i] + n));
			assert_false(writable(p[i + 1]));
		}
		for (size_t i = 0; i < ARRAY_SIZE(p); i++)
			assert_true(stack_put(p[i], size));
	}
	no_guard_advice = false;
}

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_int_equal(fscanf(f, "%lu %lu", &size, &pages), 2);
	fclose(f);
	return pages * PAGE;
}

static void memory_of_many_ended_stacks_goes_back(void **state)
{
	enum { N = 700 };	/* 700 MiB of address space: more than is kept warm */
	static char *p[N];
	size_t before = resident();

	(void)state;
	for (int i = 0; i < N; i++) {
		p[i] = stack_get(1 << 20);
		memset(p[i] + (1 << 19), 1, 1 << 16);
	}
	assert_true(resident() - before >= N * 65536ul);
	for (int i = 0; i < N; i++)
		assert_true(stack_put(p[i], 1 << 20));
	assert_true(resident() < before + (WARM_BYTES >> 20) * 65536 + (4 << 20));
}

static void a_refused_allocation_makes_a_smaller_slab_or_no_stack(void **state)
{
	size_t size = 81920;
	int smaller = 0;

	(void)state;
	FOR_EACH_FAILURE(FAIL_MEM, ENOMEM) {
		char *p = stack_get(size);

		assert_true(p || fail_at);
		if (p) {
			assert_true(writable(p + PAGE));
			smaller += slab_of(p)->slots < SLAB_FIRST / size;
			assert_true(stack_put(p, size));
			size += PAGE;
		}
	}
	assert_true(smaller > 0);
}

static void where_a_slab_finds_no_room_there_is_a_smaller_one(void **state)
{
	static const size_t sizes[] = {40960, 12 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		fail_nr = __NR_mmap;
		fail_calls = 0;
		fail_at = 1;
		char *p = stack_get(sizes[i]);

		assert_int_equal(fail_calls, 2);
		fail_at = 0;
		assert_false(writable(p));
		assert_true(writable(p + PAGE));
		assert_int_equal(slab_of(p)->slots, sizes[i] < REGION ? SLAB_FIRST / sizes[i] / 2 : LARGE_SLOTS / 2);
		assert_true(stack_put(p, sizes[i]));
	}
}

static void without_guard_advice_mprotect_makes_the_guard(void **state)
{
	(void)state;
	fail_nr = __NR_madvise;
	fail_errno = EINVAL;
	fail_calls = 0;
	fail_at = 2;		/* the first one asks for small pages */
	char *p = stack_get(49152);

	fail_at = 0;
	assert_non_null(p);
	assert_true(no_guard_advice);
	assert_false(writable(p));
	assert_true(writable(p + PAGE));
	assert_true(stack_put(p, 49152));
	no_guard_advice = false;
}

static void no_stack_is_given_without_its_guard(void **state)
{
	char *p;

	(void)state;
	FOR_EACH_FAILURE(__NR_madvise, ENOMEM) {
		p = stack_get(57344);
		if (p) {
			assert_false(writable(p));
			assert_true(writable(p + PAGE));
		}
	}
	assert_non_null(p);
}

/* So many stacks of a size at once, each found by its addresses, and none in another's place. */
static void get_many(size_t size, int n)
{
	static char *p[1200];

	for (int i = 0; i < n; i++) {
		p[i] = stack_get(size);
		assert_non_null(p[i]);
		*(int *)(p[i] + size - 64) = i;
	}
	for (int i = 0; i < n; i++) {
		assert_true(stack_owns(p[i]) && stack_owns(p[i] + size - 1));
		assert_int_equal(*(int *)(p[i] + size - 64), i);
		assert_true(stack_put(p[i], size));
	}
}

static void stacks_of_every_size_are_made(void **state)
{
	(void)state;
	for (size_t size = 20480; size < 16 << 20; size += size / 16 / PAGE * PAGE + 3 * PAGE)
		get_many(size, 40);
	get_many((2 << 20) + PAGE, 1200);
	get_many(3 << 20, 700);
	get_many((2 << 20) + 8 * PAGE, 700);
	get_many((8 << 20) + PAGE, 1200);
	get_many((1ul << 30) + PAGE, 20);
}

static void slabs_of_a_size_are_few(void **state)
{
	enum { N = 50000 };
	size_t size = (8 << 20) + 3 * PAGE;
	char **p = calloc(N, sizeof *p);
	unsigned before = slab_count;

	(void)state;
	for (int i = 0; i < N; i++)
		assert_non_null(p[i] = stack_get(size));
	assert_true(slab_count - before <= 24);
	for (int i = 0; i < N; i++)
		assert_true(stack_put(p[i], size));
	assert_true(slab_count - before <= 2);
	free(p);
}

/* Its pages lie in memory, as far as mincore knows. */
static bool present(char *at)
{
	unsigned char there = 0;

	assert_int_equal(mincore(at, PAGE, &there), 0);
	return there & 1;
}

static void what_rests_is_given_back_by_a_sweep(void **state)
{
	size_t size = 1 << 20;
	char *p = stack_get(size), *deep = p + size / 2;
	uint32_t *word = (uint32_t *)(p + size - 64);

	(void)state;
	*deep = 1;
	assert_true(stack_rest(word, p, size - 65536));
	assert_true(stack_rest(word, p, size - 65536));	/* noted once */
	assert_int_equal(resting_count, 1);
	assert_true(present(deep));
	assert_true(stack_sweep());
	assert_false(present(deep));
	assert_int_equal(*word, 0);
	assert_false(stack_sweep());
	assert_true(stack_put(p, size));
}

static void what_is_used_again_is_not_swept(void **state)
{
	size_t size = 1 << 20;
	char *p = stack_get(size), *deep = p + size / 2;
	uint32_t *word = (uint32_t *)(p + size - 64);

	(void)state;
	*deep = 1;
	assert_true(stack_rest(word, p, size - 65536));
	stack_resume(word);
	assert_true(stack_sweep());
	assert_int_equal(*deep, 1);
	assert_int_equal(*word, 0);
	assert_true(stack_rest(word, p, size - 65536));	/* it can be noted anew */
	assert_int_equal(resting_count, 1);
	assert_true(stack_put(p, size));
	char *q = stack_get(size);	/* wiped: it belongs to another thread */

	assert_ptr_equal(p, q);
	*deep = 2;
	stack_sweep();
	assert_int_equal(*deep, 2);
	assert_true(stack_put(q, size));
}

static void what_finds_no_room_is_the_caller_s_to_give_back(void **state)
{
	enum { N = RESTING + 1 };
	static char *p[N];
	size_t size = 65536;

	(void)state;
	for (int i = 0; i < N; i++) {
		p[i] = stack_get(size);
		assert_int_equal(stack_rest((uint32_t *)(p[i] + size - 64), p[i], 4 * PAGE), i < (int)RESTING);
	}
	assert_int_equal(*(uint32_t *)(p[N - 1] + size - 64), 0);
	assert_true(stack_sweep());
	for (int i = 0; i < N; i++)
		assert_true(stack_put(p[i], size));
	uint32_t word = 0;

	assert_false(stack_rest(&word, &word, PAGE));	/* no stack of ours */
	assert_int_equal(word, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_is_writable_but_for_its_lowest_page),
		cmocka_unit_test(stacks_in_use_do_not_overlap),
		cmocka_unit_test(odd_sizes_are_left_to_the_kernel),
		cmocka_unit_test(what_is_not_a_whole_stack_is_not_put),
		cmocka_unit_test(the_top_of_a_used_stack_is_zero_again),
		cmocka_unit_test(a_larger_guard_does_not_outlive_its_stack),
		cmocka_unit_test(a_guard_becomes_what_libc_asks_for),
		cmocka_unit_test(a_stack_is_guarded_as_before_when_the_next_one_is_made),
		cmocka_unit_test(a_refused_allocation_makes_a_smaller_slab_or_no_stack),
		cmocka_unit_test(where_a_slab_finds_no_room_there_is_a_smaller_one),
		cmocka_unit_test(without_guard_advice_mprotect_makes_the_guard),
		cmocka_unit_test(no_stack_is_given_without_its_guard),
		cmocka_unit_test(memory_of_many_ended_stacks_goes_back),
		cmocka_unit_test(stacks_of_every_size_are_made),
		cmocka_unit_test(slabs_of_a_size_are_few),
		cmocka_unit_test(what_rests_is_given_back_by_a_sweep),
		cmocka_unit_test(what_is_used_again_is_not_swept),
		cmocka_unit_test(what_finds_no_room_is_the_caller_s_to_give_back),
	};

	return RUN_GROUP(tests);
}
