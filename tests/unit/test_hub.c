/* test_hub.c -- queues keep their order, descriptors stay out of the way, and a refused one leaves none behind */
#define UNIT_FAIL
#include "unit.h"
#include "hub.c"
#include "own.c"
#include <dirent.h>

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void close_hub(struct hub *h)
{
	(void)h;
	own_forget();
	hubs_running = 0;
}

static void a_refused_descriptor_is_an_error_and_leaves_none(void **state)
{
	static const long calls[] = {__NR_epoll_create1, __NR_eventfd2, __NR_fcntl, __NR_epoll_ctl};
	int before = descriptors(), refused = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		FOR_EACH_FAILURE(calls[i], EMFILE) {
			int r = hub_init(0);

			if (r < 0)
				assert_int_equal(r, -EMFILE);
			else
				close_hub(&hubs[0]);
			refused += r < 0;
			assert_int_equal(descriptors(), before);
		}
	assert_int_equal(refused, 3);	/* fcntl only moves them */
}

static void descriptors_are_high_and_close_on_exec(void **state)
{
	(void)state;
	assert_int_equal(hub_init(1), 0);
	assert_true(hubs[1].epfd >= 40 && hubs[1].epfd < 64);
	assert_true(hubs[1].evfd >= 40 && hubs[1].evfd < 64);
	assert_true(fcntl(hubs[1].epfd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(hubs[1].evfd, F_GETFD) & FD_CLOEXEC);
	close_hub(&hubs[1]);
}

static void a_number_that_the_program_wants_is_given_free(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(hub_init(0), 0);
	hubs_running = 1;
	for (int i = 0; i < 2; i++) {
		int fd = i ? hubs[0].evfd : hubs[0].epfd;

		assert_true(own_has(fd));
		assert_true(own_move(fd));
		assert_false(own_has(fd));
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	}
	assert_true(own_move(0));
	hubs[0].sleeping = 1;		/* a kick still arrives by the moved descriptors */
	hub_kick(&hubs[0]);
	struct epoll_event ev;

	assert_int_equal(epoll_wait(hubs[0].epfd, &ev, 1, 0), 1);
	assert_true(ev.data.u64 == HUB_OWN);
	assert_int_equal(read(hubs[0].evfd, &n, sizeof n), sizeof n);
	close_hub(&hubs[0]);
}

static void only_a_sleeping_hub_is_kicked_and_only_once(void **state)
{
	struct task t[3] = {0};
	uint64_t n = 0;

	(void)state;
	assert_int_equal(hub_init(0), 0);
	hub_push(&hubs[0], &t[0]);
	assert_int_equal(read(hubs[0].evfd, &n, sizeof n), -1);
	hubs[0].sleeping = 1;
	hub_push(&hubs[0], &t[1]);
	hub_push(&hubs[0], &t[2]);
	assert_int_equal(read(hubs[0].evfd, &n, sizeof n), sizeof n);
	assert_int_equal(n, 1);
	close_hub(&hubs[0]);
}

static void pushed_tasks_come_in_their_order_behind_those_that_wait(void **state)
{
	struct task t[10] = {0};

	(void)state;
	assert_int_equal(hub_init(0), 0);
	hub_enqueue(&hubs[0], &t[0]);
	hub_enqueue(&hubs[0], &t[1]);
	for (int i = 2; i < 10; i++)
		hub_push(&hubs[0], &t[i]);
	hub_collect(&hubs[0]);
	assert_int_equal(hubs[0].queued, 10);
	for (int i = 0; i < 10; i++)
		assert_ptr_equal(hub_dequeue(&hubs[0]), &t[i]);
	assert_null(hub_dequeue(&hubs[0]));
	assert_int_equal(hubs[0].queued, 0);
	hub_enqueue(&hubs[0], &t[0]);
	assert_ptr_equal(hub_dequeue(&hubs[0]), &t[0]);
	close_hub(&hubs[0]);
}

static void another_idle_hub_is_found(void **state)
{
	(void)state;
	assert_int_equal(hub_init(0), 0);
	hubs_sleeping = 1;
	assert_null(hub_idle_other(&hubs[0]));
	hubs_sleeping = 1 | 1ull << 5;
	assert_ptr_equal(hub_idle_other(&hubs[0]), &hubs[5]);
	hubs_sleeping = 0;
	close_hub(&hubs[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_descriptor_is_an_error_and_leaves_none),
		cmocka_unit_test(descriptors_are_high_and_close_on_exec),
		cmocka_unit_test(a_number_that_the_program_wants_is_given_free),
		cmocka_unit_test(only_a_sleeping_hub_is_kicked_and_only_once),
		cmocka_unit_test(pushed_tasks_come_in_their_order_behind_those_that_wait),
		cmocka_unit_test(another_idle_hub_is_found),
	};

	return RUN_GROUP(tests);
}
