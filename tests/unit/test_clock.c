/* test_clock.c -- the vdso and the system call agree; deadlines are clamped, bad times refused */
#include "unit.h"
#include "clock.h"
#include <sys/auxv.h>
#include <time.h>

static int64_t libc_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static void time_agrees_with_libc(void **state)
{
	static const int ids[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_THREAD_CPUTIME_ID};

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
			int64_t before = libc_ns(ids[i]), ours = clock_ns(ids[i]), after = libc_ns(ids[i]);

			assert_true(before <= ours && ours <= after);
		}
		clock_init(getauxval(AT_SYSINFO_EHDR));
	}
}

static void without_a_vdso_the_system_call_answers(void **state)
{
	(void)state;
	clock_init(0);
	int64_t before = libc_ns(CLOCK_MONOTONIC), now = clock_now();

	assert_true(now >= before && now - before < NSEC);
}

static void cpu_time_of_a_thread_advances_only_while_it_runs(void **state)
{
	int tid = (int)sys_gettid();
	int64_t t0 = clock_thread_ns(tid);

	(void)state;
	for (unsigned i = 0; i < 20000000; i++)
		__asm__ volatile("" : : "r"(i));
	int64_t t1 = clock_thread_ns(tid);

	usleep(20000);
	int64_t t2 = clock_thread_ns(tid);

	assert_true(t1 - t0 > 1000000);
	assert_true(t2 - t1 < 10000000);
}

static void times_that_are_not_valid_are_refused(void **state)
{
	struct __kernel_timespec ts = {0, NSEC};

	(void)state;
	assert_int_equal(clock_from(&ts), -EINVAL);
	ts.tv_nsec = -1;
	assert_int_equal(clock_from(&ts), -EINVAL);
	ts = (struct __kernel_timespec){-1, 0};
	assert_int_equal(clock_from(&ts), -EINVAL);
	ts = (struct __kernel_timespec){2, 5};
	assert_int_equal(clock_from(&ts), 2 * NSEC + 5);
	ts = (struct __kernel_timespec){INT64_MAX, NSEC - 1};
	assert_true(clock_from(&ts) == FOREVER);
}

static void far_deadlines_are_for_ever(void **state)
{
	(void)state;
	assert_true(clock_deadline(FOREVER) == FOREVER);
	assert_true(clock_deadline(FOREVER - 1) == FOREVER);
	int64_t d = clock_deadline(1000);

	assert_true(d <= clock_now() + 1000 && d > clock_now() - NSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_agrees_with_libc),
		cmocka_unit_test(without_a_vdso_the_system_call_answers),
		cmocka_unit_test(cpu_time_of_a_thread_advances_only_while_it_runs),
		cmocka_unit_test(times_that_are_not_valid_are_refused),
		cmocka_unit_test(far_deadlines_are_for_ever),
	};

	return RUN_GROUP(tests);
}
