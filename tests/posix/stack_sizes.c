/* stack_sizes.c -- threads with stacks of any size, many at once; what they used deep in them is
 * given back
 *
 * threads: 600
 * timeout: 120
 */
#define CHECK_LIMIT_S 120
#include "check.h"

#include <limits.h>
#include <sys/mman.h>

enum { MANY = 600, DEEP = 30, KIB = 1024, MIB = 1024 * KIB };

static struct step arrived = STEP_INIT, leave = STEP_INIT;

static void *wait_to_leave(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&leave, 1);
	return arg;
}

static void *return_at_once(void *arg)
{
	return arg;
}

static pthread_t start_with(size_t stack, size_t guard, void *(*main)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, stack));
	CHECK_OK(pthread_attr_setguardsize(&attr, guard));
	CHECK_OK(pthread_create(&thread, &attr, main, NULL));
	CHECK_OK(pthread_attr_destroy(&attr));
	return thread;
}

static void check_many(size_t stack)
{
	static pthread_t threads[MANY];

	step_reset(&arrived);
	step_reset(&leave);
	for (int i = 0; i < MANY; i++)
		threads[i] = start_with(stack, 4096, wait_to_leave);
	step_wait(&arrived, MANY);
	step_add(&leave, 1);
	threads_join(threads, MANY);
}

/* Slots of these sizes, a guard of a page added, drift against what one page table serves. */
static void hundreds_of_threads_have_stacks_of_two_mebibytes(void)
{
	check_many(2 * MIB);
}

static void hundreds_of_threads_have_stacks_of_three_mebibytes(void)
{
	check_many(3 * MIB);
}

static void hundreds_of_threads_have_stacks_of_odd_sizes(void)
{
	check_many(2 * MIB + 28 * KIB);
	check_many(5 * MIB + 4 * KIB);
}

static void sizes_from_least_to_a_gibibyte_mix(void)
{
	static const size_t sizes[] = {1024UL * MIB, 64 * MIB, 8 * MIB,	      3 * MIB,
				       2 * MIB,	     MIB,      16 * KIB + 4096, 16 * KIB};
	enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
	pthread_t threads[SIZES];

	for (int round = 0; round < 24; round++) {
		for (int i = 0; i < SIZES; i++)
			threads[i] = start_with(sizes[(i + round) % SIZES], (size_t)(round % 4) * 8192,
						return_at_once);
		threads_join(threads, SIZES);
	}
}

static long resident_kib(void)
{
	long size, pages;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL);
	CHECK_EQ(fscanf(f, "%ld %ld", &size, &pages), 2);
	CHECK_OK(fclose(f));
	return pages * (sysconf(_SC_PAGESIZE) / KIB);
}

static void *use_the_depth(void *arg)
{
	volatile char bytes[7 * MIB];

	memset((void *)bytes, 1, sizeof(bytes));
	step_add(&arrived, 1);
	step_wait(&leave, 1);
	return bytes[5] == 1 ? NULL : arg;
}

static void ended_threads_keep_no_deep_stacks(void)
{
	pthread_t threads[DEEP];
	long before = resident_kib(), after = 0;

	for (int round = 0; round < 2; round++) {
		step_reset(&arrived);
		step_reset(&leave);
		for (int i = 0; i < DEEP; i++)
			threads[i] = start_with(8 * MIB, 4096, use_the_depth);
		step_wait(&arrived, DEEP);
		CHECK(resident_kib() - before > DEEP * 6 * MIB / KIB);
		step_add(&leave, 1);
		threads_join(threads, DEEP);
		for (int tries = 0; tries < 20; tries++) {
			after = resident_kib() - before;
			if (after < 20 * MIB / KIB)
				break;
			let_block();
		}
		CHECK(after < 20 * MIB / KIB);
	}
}

static void *give_a_part_back(void *arg)
{
	volatile char *low;

	{
		volatile char bytes[MIB];

		memset((void *)bytes, 7, sizeof(bytes));
		low = (char *)(((uintptr_t)bytes + 8192) & ~(uintptr_t)4095);
	}
	CHECK_OK(madvise((void *)low, 64 * KIB, MADV_DONTNEED));
	CHECK_EQ(low[100], 0);
	return arg;
}

static void a_thread_gives_a_part_of_its_stack_back(void)
{
	CHECK(thread_join(thread_start(give_a_part_back, NULL)) == NULL);
}

int main(void)
{
	check_begin();
	RUN(hundreds_of_threads_have_stacks_of_two_mebibytes);
	RUN(hundreds_of_threads_have_stacks_of_three_mebibytes);
	RUN(hundreds_of_threads_have_stacks_of_odd_sizes);
	RUN(sizes_from_least_to_a_gibibyte_mix);
	RUN(ended_threads_keep_no_deep_stacks);
	RUN(a_thread_gives_a_part_of_its_stack_back);
	return check_done();
}
