/* test_carrier.c -- a kernel thread of ours finds itself by its signal stack, spares are used again, refusal is harmless */
#define UNIT_FAIL
#include "unit.h"
#include "carrier.c"
#include "sys.c"
#include <sys/wait.h>

static void its_two_stacks_lie_where_it_is_looked_for(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct carrier *c = carrier_new();
		uintptr_t alt = (uintptr_t)c - CARRIER_STACK;

		assert_int_equal((uintptr_t)c % CARRIER_STACK, 0);
		assert_ptr_equal(*(struct carrier **)(alt + CARRIER_STACK - 16), c);
		assert_int_equal((uintptr_t)carrier_stack_top(c) - (uintptr_t)c, CARRIER_STACK);
		memset((char *)alt, 1, CARRIER_STACK - 64);	/* all of it is memory, up to the note */
		memset(c + 1, 1, CARRIER_STACK - sizeof *c);
		assert_ptr_equal(*(struct carrier **)(alt + CARRIER_STACK - 16), c);
	}
}

static void without_memory_or_threads_there_is_no_carrier(void **state)
{
	int refused = 0;

	(void)state;
	FOR_EACH_FAILURE(__NR_mmap, ENOMEM) {
		struct carrier *c = carrier_new();

		refused += !c;
		assert_true(c || fail_at);
	}
	assert_true(refused >= 1);
}

static uint32_t looped;

static void loop(void *arg)
{
	struct carrier *c = arg;

	carrier_adopt(c);
	for (;;) {
		carrier_spare_wait(c);
		add_relaxed(&looped, 1);
		store_release(&c->hub, NULL);
	}
}

static void a_spare_wakes_when_it_is_given_a_hub(void **state)
{
	struct carrier *c = carrier_spare_take(loop);

	(void)state;
	assert_non_null(c);
	carrier_give(c, (struct hub *)1);
	for (int i = 0; i < 5000 && !load_relaxed(&looped); i++)
		usleep(1000);
	assert_int_equal(load_relaxed(&looped), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_two_stacks_lie_where_it_is_looked_for),
		cmocka_unit_test(without_memory_or_threads_there_is_no_carrier),
		cmocka_unit_test(a_spare_wakes_when_it_is_given_a_hub),
	};

	return RUN_GROUP(tests);
}
