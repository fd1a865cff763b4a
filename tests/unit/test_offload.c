/* test_offload.c -- calls that block are made elsewhere, as many at once as there are, and their results come back */
#include "world.h"
#include "offload.h"

struct job_seen {
	int fd;
	char byte;
	long result;
};

static void read_byte(struct task *t, void *arg)
{
	struct job_seen *j = arg;

	j->result = offload_call(t, __NR_read, j->fd, (long)&j->byte, 1, 0, 0, 0);
}

static void a_blocking_call_blocks_no_hub(void **state)
{
	struct job_seen j = {0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	j.fd = ends[0];
	j.result = 99;
	world_task(read_byte, &j);
	world_sleep(world_main, 20 * MS);	/* the hub's timers go on */
	assert_int_equal(j.result, 99);
	assert_int_equal(write(ends[1], "x", 1), 1);
	world_join();
	assert_int_equal(j.result, 1);
	assert_int_equal(j.byte, 'x');
	close(ends[0]);
	close(ends[1]);
}

static void calls_that_wait_for_one_another_all_run(void **state)
{
	enum { N = 100 };
	static struct job_seen j[N];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	for (int i = 0; i < N; i++) {
		j[i] = (struct job_seen){ends[0], 0, 99};
		world_task(read_byte, &j[i]);
	}
	world_sleep(world_main, 20 * MS);
	for (int i = 0; i < N; i++)
		assert_int_equal(write(ends[1], "y", 1), 1);
	world_join();
	for (int i = 0; i < N; i++)
		assert_int_equal(j[i].result, 1);
	close(ends[0]);
	close(ends[1]);
}

static void errors_come_back_as_they_are(void **state)
{
	struct job_seen j = {.fd = -1};

	(void)state;
	world_task(read_byte, &j);
	world_join();
	assert_int_equal(j.result, -EBADF);
}

static void many(struct task *t, void *arg)
{
	long *sum = arg;

	for (int i = 0; i < 300; i++)
		__atomic_fetch_add(sum, offload_call(t, __NR_getpid, 0, 0, 0, 0, 0, 0), __ATOMIC_RELAXED);
}

static void no_result_is_lost(void **state)
{
	long sum = 0;

	(void)state;
	for (int i = 0; i < 30; i++)
		world_task(many, &sum);
	world_join();
	assert_int_equal(sum, 30l * 300 * getpid());
}

static void idle_workers_end(void **state)
{
	(void)state;
	for (int tries = 0; tries < 100; tries++) {
		int workers = 0;

		for (int i = 0; i < STAT_CARRIERS; i++)
			workers += stat_page->carriers[i].tid && stat_page->carriers[i].kind == CARRIER_OFFLOAD;
		if (!workers)
			return;
		world_sleep(world_main, 50 * MS);
	}
	fail_msg("workers still stand idle after five seconds");
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocking_call_blocks_no_hub),
		cmocka_unit_test(calls_that_wait_for_one_another_all_run),
		cmocka_unit_test(errors_come_back_as_they_are),
		cmocka_unit_test(no_result_is_lost),
		cmocka_unit_test(idle_workers_end),
	};

	return RUN_GROUP(tests);
}

int main(void)
{
	return world_run(group);
}
