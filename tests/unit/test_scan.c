/* test_scan.c -- what the searches by vectors find is what a search byte by byte finds, wherever it
 * stands, and nothing outside of the text is touched
 */
#include "unit.h"
#include <sys/mman.h>

#include "patch/scan.h"

#define PAGES 4
#define SIZE  (PAGES * 4096)

static uint8_t *text; /* SIZE bytes between two pages that cannot be read */

#define MOST 100000

static uintptr_t hits[MOST];
static int count, stop_at;

static int found(uintptr_t at, void *arg)
{
	assert_ptr_equal(arg, &count);
	assert_true(count < MOST);
	hits[count++] = at;
	return count == stop_at ? 77 : 0;
}

static void found_target(uintptr_t target, void *arg)
{
	found(target, arg);
}

static void search(const uint8_t *start, const uint8_t *end)
{
	count = 0;
	assert_int_equal(scan_syscalls((uintptr_t)start, (uintptr_t)end, found, &count), 0);
}

/* The pair stands at every place of texts of every length around the widths of blocks and vectors,
 * which end at the last byte that can be read, or begin at the first. */
static void a_pair_is_found_wherever_it_stands(void **state)
{
	(void)state;
	for (size_t size = 0; size < 300; size++) {
		for (size_t at = 0; at + 2 <= size; at++) {
			for (int low = 0; low < 2; low++) {
				uint8_t *start = low ? text : text + SIZE - size;

				memset(text, 0x0f, SIZE); /* only one 05 in all */
				start[at + 1] = 0x05;
				search(start, start + size);
				assert_int_equal(count, 1);
				assert_int_equal(hits[0], (uintptr_t)start + at);
			}
		}
	}
}

/* Behind the end, before the beginning, or half of it on either side. */
static void a_pair_outside_is_not_found(void **state)
{
	(void)state;
	for (size_t size = 0; size < 300; size++) {
		uint8_t *start = text + 4096 - size % 70;

		memset(text, 0, SIZE);
		memcpy(start - 2, "\x0f\x05", 2);
		memcpy(start + size, "\x0f\x05", 2);
		search(start, start + size);
		assert_int_equal(count, 0);
		memset(text, 0, SIZE);
		memcpy(start - 1, "\x0f\x05", 2);
		memcpy(start + size - 1, "\x0f\x05", 2);
		search(start, start + size);
		assert_int_equal(count, 0);
	}
}

static void pairs_at_page_ends_are_found_in_order(void **state)
{
	int n = 0;

	(void)state;
	memset(text, 0x05, SIZE);
	for (size_t page = 4096; page < SIZE; page += 4096)
		for (size_t at = page - 3; at < page + 3; at += 2)
			text[at] = 0x0f;
	text[0] = text[SIZE - 2] = 0x0f;
	search(text, text + SIZE);
	assert_int_equal(count, 3 * (PAGES - 1) + 2);
	for (size_t at = 0; at + 1 < SIZE; at++)
		if (text[at] == 0x0f)
			assert_int_equal(hits[n++], (uintptr_t)text + at);
	assert_int_equal(n, count);
	memset(text, 0x0f, SIZE);
	search(text, text + SIZE);
	assert_int_equal(count, 0);
	search(text, text);
	assert_int_equal(count, 0);
}

static void the_search_ends_when_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		text[i] = i % 2 ? 0x05 : 0x0f;
	count = 0;
	stop_at = 40; /* within a block */
	assert_int_equal(scan_syscalls((uintptr_t)text, (uintptr_t)text + SIZE, found, &count), 77);
	assert_int_equal(count, 40);
	stop_at = 0;
	search(text, text + SIZE);
	assert_int_equal(count, SIZE / 2);
}

/* -- branches -- */

static struct near near;
static uint64_t bits[SIZE / NEAR_GRAIN / 64 + 1];
static uintptr_t expected[MOST];

static void far_but_for(size_t grains)
{
	near = near_make((uintptr_t)text, (uintptr_t)text + SIZE);
	assert_int_equal(near_size(&near), sizeof bits);
	near.bits = bits;
	memset(bits, 0, sizeof bits);
	for (size_t i = 0; i < grains; i++)
		near_set(&near, (uintptr_t)text + (size_t)random() % SIZE);
}

static int by_value(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* Byte by byte. Returns how many targets are near. */
static int expect(const uint8_t *start, const uint8_t *end)
{
	int n = 0;

	for (const uint8_t *p = start; p < end; p++) {
		bool jcc = *p == 0x0f && p + 6 <= end && (p[1] & 0xf0) == 0x80;
		int32_t displacement;

		if (!jcc && (*p != 0xe9 || p + 5 > end))
			continue;
		memcpy(&displacement, p + 1 + jcc, 4);
		expected[n] = (uintptr_t)(p + 5 + jcc) + (uintptr_t)(intptr_t)displacement;
		n += near_is(&near, expected[n]);
	}
	return n;
}

static void assert_found(const uint8_t *start, const uint8_t *end)
{
	int n = expect(start, end);

	count = 0;
	scan_branches((uintptr_t)start, (uintptr_t)end, &near, found_target, &count);
	assert_int_equal(count, n);
	qsort(expected, (size_t)n, sizeof *expected, by_value);
	qsort(hits, (size_t)n, sizeof *hits, by_value);
	assert_memory_equal(hits, expected, (size_t)n * sizeof *hits);
}

/* A branch to its own text, whole or cut off by its end. */
static void put_branch(uint8_t *p, bool jcc, int32_t displacement)
{
	memcpy(p, jcc ? "\x0f\x84" : "\xe9", jcc ? 2 : 1);
	memcpy(p + 1 + jcc, &displacement, 4);
}

static void a_branch_is_found_wherever_it_stands(void **state)
{
	(void)state;
	for (int jcc = 0; jcc < 2; jcc++) {
		for (size_t size = 5 + (size_t)jcc; size < 220; size++) {
			for (size_t at = 0; at + 5 + (size_t)jcc <= size; at++) {
				uint8_t *start = text + SIZE - size;

				far_but_for(0);
				near_set(&near, (uintptr_t)start - 1000);
				memset(start, 0x90, size);
				put_branch(start + at, jcc, -(int32_t)at - 1000 - 5 - jcc);
				assert_found(start, start + size);
				assert_int_equal(count, 1);
				assert_int_equal(hits[0], (uintptr_t)start - 1000);
				assert_found(start, start + at + 4 + jcc); /* cut off */
				assert_int_equal(count, 0);
			}
		}
	}
}

/* Branches to this text among bytes of which many may begin one. */
static void random_branches_are_found_as_byte_by_byte(void **state)
{
	static const uint8_t likely_bytes[] = {0xe9, 0x0f, 0x80, 0x8f, 0x00, 0xff, 0x05, 0xe9};
	int all = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t from = (size_t)random() % 200, size = (size_t)random() % (SIZE - from);

		for (size_t i = 0; i < SIZE; i++)
			text[i] = random() % 3 ? likely_bytes[random() % 8] : (uint8_t)random();
		for (size_t i = 0; i < SIZE / 30; i++)
			put_branch(text + (size_t)random() % (SIZE - 6), i % 2,
				   (int32_t)((size_t)random() % SIZE) - SIZE / 2);
		far_but_for(round % 2 ? 200 : 10);
		assert_found(text + from, text + from + size);
		all += count;
		assert_found(text + SIZE - size, text + SIZE);
	}
	assert_true(all > 10000);
	memset(text, 0xe9, SIZE);
	assert_found(text, text + SIZE);
	assert_int_equal(count, 0);
}

static void what_is_outside_is_never_near(void **state)
{
	(void)state;
	far_but_for(0);
	near_set(&near, (uintptr_t)text - 1);
	near_set(&near, (uintptr_t)text + SIZE);
	for (size_t i = 0; i < sizeof bits / 8; i++)
		assert_int_equal(bits[i], 0);
	near_set(&near, (uintptr_t)text);
	near_set(&near, (uintptr_t)text + SIZE - 1);
	assert_true(near_is(&near, (uintptr_t)text + NEAR_GRAIN - 1));
	assert_false(near_is(&near, (uintptr_t)text + NEAR_GRAIN));
	assert_true(near_is(&near, (uintptr_t)text + SIZE - NEAR_GRAIN));
	assert_false(near_is(&near, (uintptr_t)text - 1));
	assert_false(near_is(&near, (uintptr_t)text + SIZE));
	assert_false(near_is(&near, 0));
	assert_false(near_is(&near, UINTPTR_MAX));
}

static int setup(void **state)
{
	uint8_t *p = mmap(NULL, SIZE + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	text = p + 4096;
	return p == MAP_FAILED || mprotect(text, SIZE, PROT_READ | PROT_WRITE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_is_found_wherever_it_stands),
		cmocka_unit_test(a_pair_outside_is_not_found),
		cmocka_unit_test(pairs_at_page_ends_are_found_in_order),
		cmocka_unit_test(the_search_ends_when_told),
		cmocka_unit_test(a_branch_is_found_wherever_it_stands),
		cmocka_unit_test(random_branches_are_found_as_byte_by_byte),
		cmocka_unit_test(what_is_outside_is_never_near),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
