/* io_eventfd.c -- eventfds: counting, as semaphores, full ones, several readers and writers
 *
 * threads: 8
 */
#include "check.h"
#include <sys/eventfd.h>

enum { THREADS = 8, ROUNDS = 200 };

static int fd, back;
static uint64_t sum;
static struct step arrived = STEP_INIT;

static void *add(void *arg)
{
	for (int i = 1; i <= ROUNDS; i++)
		CHECK(eventfd_write(fd, i) == 0);
	(void)arg;
	return NULL;
}

/* Takes until it has met the end mark, a count that no sum of the rest reaches. */
static void *take(void *arg)
{
	eventfd_t value;

	step_add(&arrived, 1);
	for (;;) {
		CHECK(eventfd_read(fd, &value) == 0);
		CHECK(value > 0);
		__atomic_add_fetch(&sum, value & 0xffffffff, __ATOMIC_SEQ_CST);
		if (value >> 32) {
			if (value >> 32 > 1)
				CHECK(eventfd_write(fd, ((value >> 32) - 1) << 32) == 0);
			(void)arg;
			return NULL;
		}
	}
}

static void what_is_added_is_taken(void)
{
	pthread_t adders[THREADS], takers[THREADS];

	CHECK((fd = eventfd(0, EFD_CLOEXEC)) >= 0);
	sum = 0;
	threads_start(takers, THREADS, take);
	step_wait(&arrived, THREADS);
	threads_start(adders, THREADS, add);
	threads_join(adders, THREADS);
	CHECK(eventfd_write(fd, (uint64_t)THREADS << 32) == 0);
	threads_join(takers, THREADS);
	CHECK_EQ(sum, THREADS * ROUNDS * (ROUNDS + 1) / 2);
	CHECK(close(fd) == 0);
}

static void *take_one_each(void *arg)
{
	eventfd_t value;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK(eventfd_read(fd, &value) == 0);
		CHECK_EQ(value, 1);
	}
	(void)arg;
	return NULL;
}

static void as_a_semaphore_it_gives_one_at_a_time(void)
{
	pthread_t takers[THREADS];
	eventfd_t value;

	CHECK((fd = eventfd(7, EFD_SEMAPHORE)) >= 0);
	threads_start(takers, THREADS, take_one_each);
	for (int left = THREADS * ROUNDS - 7; left > 0; left -= 100)
		CHECK(eventfd_write(fd, left < 100 ? left : 100) == 0);
	threads_join(takers, THREADS);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(eventfd_read(fd, &value), EAGAIN);
	CHECK(close(fd) == 0);
}

static void *add_to_full(void *arg)
{
	step_add(&arrived, 1);
	CHECK(eventfd_write(fd, 5) == 0);
	return arg;
}

static void a_writer_waits_while_it_is_full(void)
{
	pthread_t thread;
	eventfd_t value;

	CHECK((fd = eventfd(0, 0)) >= 0);
	CHECK(eventfd_write(fd, UINT64_C(0xfffffffffffffffe)) == 0);
	step_reset(&arrived);
	thread = thread_start(add_to_full, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK_EQ(pthread_tryjoin_np(thread, NULL), EBUSY);
	CHECK(eventfd_read(fd, &value) == 0);
	CHECK(value == UINT64_C(0xfffffffffffffffe));
	thread_join(thread);
	CHECK(eventfd_read(fd, &value) == 0);
	CHECK_EQ(value, 5);
	CHECK(close(fd) == 0);
}

static void *answer(void *arg)
{
	eventfd_t value;

	for (int i = 0; i < 1000; i++) {
		CHECK(eventfd_read(fd, &value) == 0);
		CHECK(eventfd_write(back, value + 1) == 0);
	}
	return arg;
}

static void two_threads_play_ping_pong(void)
{
	pthread_t thread;
	eventfd_t value;

	CHECK((fd = eventfd(0, 0)) >= 0 && (back = eventfd(0, 0)) >= 0);
	thread = thread_start(answer, NULL);
	for (int i = 1; i <= 1000; i++) {
		CHECK(eventfd_write(fd, i) == 0);
		CHECK(eventfd_read(back, &value) == 0);
		CHECK_EQ(value, i + 1);
	}
	thread_join(thread);
	CHECK(close(fd) == 0 && close(back) == 0);
}

static void *mistakes(void *arg)
{
	uint64_t value = ~UINT64_C(0);

	CHECK((fd = eventfd(0, EFD_NONBLOCK)) >= 0);
	CHECK_ERR(write(fd, &value, 8), EINVAL);
	CHECK_ERR(write(fd, &value, 4), EINVAL);
	CHECK_ERR(read(fd, &value, 4), EINVAL);
	CHECK_ERR(read(fd, &value, 8), EAGAIN);
	CHECK(eventfd_write(fd, 1) == 0);
	CHECK_ERR(eventfd_write(fd, UINT64_C(0xfffffffffffffffe)), EAGAIN);
	CHECK(close(fd) == 0);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(void)
{
	check_begin();
	RUN(what_is_added_is_taken);
	RUN(as_a_semaphore_it_gives_one_at_a_time);
	RUN(a_writer_waits_while_it_is_full);
	RUN(two_threads_play_ping_pong);
	RUN(mistakes_get_their_errno);
	return check_done();
}
