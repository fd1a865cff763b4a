/* test_heap.c -- the earliest key comes first, nodes know where they are, and no memory leaves all as it was */
#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include "heap.c"

#define NODES 3000

static uint32_t where[NODES];
static int64_t keys[NODES];

static void assert_whole(const struct heap *h)
{
	for (uint32_t i = 0; i < h->count; i++) {
		assert_int_equal(*h->slots[i].index, i);
		if (i)
			assert_true(h->slots[(i - 1) / 4].key <= h->slots[i].key);
	}
}

static void keys_come_out_in_order(void **state)
{
	struct heap h = {0};
	int64_t last = INT64_MIN;

	(void)state;
	srand(1);
	for (int i = 0; i < NODES; i++) {
		keys[i] = rand() % 1000 - 500;
		assert_int_equal(heap_add(&h, keys[i], &where[i]), 0);
	}
	assert_whole(&h);
	while (h.count) {
		assert_true(heap_first(&h) >= last);
		last = heap_first(&h);
		heap_remove(&h, h.slots[0].index);
	}
	assert_true(heap_first(&h) == INT64_MAX);
}

static void any_node_can_be_taken_out(void **state)
{
	struct heap h = {0};
	int left = NODES;

	(void)state;
	srand(2);
	for (int i = 0; i < NODES; i++)
		heap_add(&h, rand(), &where[i]);
	while (left) {
		int i = rand() % NODES;

		if (where[i] == HEAP_NONE)
			continue;
		heap_remove(&h, &where[i]);
		assert_int_equal(where[i], HEAP_NONE);
		assert_int_equal(h.count, --left);
		if (left % 100 == 0)
			assert_whole(&h);
	}
}

static void equal_keys_all_stay(void **state)
{
	struct heap h = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		heap_add(&h, 7, &where[i]);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(heap_first(&h), 7);
		heap_remove(&h, &where[i]);
	}
	assert_int_equal(h.count, 0);
}

static void without_memory_the_heap_stays_as_it_was(void **state)
{
	struct heap h = {0};
	int refused = 0;

	(void)state;
	fail_nr = FAIL_MEM;
	for (int i = 0; i < NODES; i++) {
		uint32_t before = h.count;

		fail_calls = 0;
		fail_at = 1;		/* whenever it asks the kernel for memory */
		if (heap_add(&h, NODES - i, &where[i]) == -ENOMEM) {
			refused++;
			assert_int_equal(h.count, before);
			assert_whole(&h);
			fail_at = 0;
			assert_int_equal(heap_add(&h, NODES - i, &where[i]), 0);
		}
	}
	fail_at = 0;
	assert_true(refused > 0);
	assert_int_equal(h.count, NODES);
	assert_whole(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_out_in_order),
		cmocka_unit_test(any_node_can_be_taken_out),
		cmocka_unit_test(equal_keys_all_stay),
		cmocka_unit_test(without_memory_the_heap_stays_as_it_was),
	};

	return RUN_GROUP(tests);
}
