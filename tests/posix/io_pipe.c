/* io_pipe.c -- reading and writing pipes before, at and after they are ready, by several threads
 *
 * threads: 10
 */
#include "check.h"
#include "net.h"
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { BIG = 8 << 20 };

static int fds[2];
static struct step arrived = STEP_INIT;

static void *read_five(void *arg)
{
	char text[16] = "";

	step_add(&arrived, 1);
	CHECK_EQ(read(fds[0], text, sizeof(text)), 5);
	CHECK(memcmp(text, "hello", 5) == 0);
	return arg;
}

static void a_reader_waits_for_the_writer(void)
{
	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		step_reset(&arrived);
		thread = thread_start(read_five, NULL);
		step_wait(&arrived, 1);
		if (i == 0)
			let_block();
		CHECK_EQ(write(fds[1], "hello", 5), 5);
		thread_join(thread);
	}
	CHECK_EQ(write(fds[1], "hello", 5), 5);
	read_five(NULL);
	close_pair(fds);
}

static void *write_big(void *arg)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	pattern_fill(data, BIG, 0, 1);
	step_add(&arrived, 1);
	CHECK_EQ(write(fds[1], data, BIG), BIG);
	free(data);
	return arg;
}

static void one_write_of_8_mb_is_whole(void)
{
	pthread_t thread;
	char *data = (char *)malloc(BIG);
	size_t have = 0;

	CHECK(data && pipe(fds) == 0);
	thread = thread_start(write_big, NULL);
	while (have < BIG) {
		ssize_t n = read(fds[0], data + have, BIG - have);

		CHECK(n > 0);
		have += n;
	}
	CHECK(pattern_holds(data, BIG, 0, 1));
	thread_join(thread);
	free(data);
	close_pair(fds);
}

static void *expect_end(void *arg)
{
	char c;

	step_add(&arrived, 1);
	CHECK_EQ(read(fds[0], &c, 1), 0);
	return arg;
}

static void closing_the_writer_ends_all_readers(void)
{
	pthread_t threads[10];

	CHECK(pipe(fds) == 0);
	step_reset(&arrived);
	for (int i = 0; i < 10; i++)
		threads[i] = thread_start(expect_end, NULL);
	step_wait(&arrived, 10);
	let_block();
	CHECK(close(fds[1]) == 0);
	threads_join(threads, 10);
	expect_end(NULL);
	CHECK(close(fds[0]) == 0);
}

static void *write_until_broken(void *arg)
{
	static char data[PIPE_BUF];

	step_add(&arrived, 1);
	while (write(fds[1], data, sizeof(data)) > 0)
		continue;
	CHECK_EQ(errno, EPIPE);
	return arg;
}

static void closing_the_reader_breaks_a_blocked_writer(void)
{
	pthread_t threads[4];

	CHECK(pipe(fds) == 0);
	step_reset(&arrived);
	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(write_until_broken, NULL);
	step_wait(&arrived, 4);
	let_block();
	CHECK(close(fds[0]) == 0);
	threads_join(threads, 4);
	CHECK_ERR(write(fds[1], "x", 1), EPIPE);
	CHECK(close(fds[1]) == 0);
}

enum { RECORD = 512, RECORDS = 200 };

static void *write_records(void *arg)
{
	char record[RECORD];

	memset(record, 'a' + (int)(intptr_t)arg, sizeof(record));
	for (int i = 0; i < RECORDS; i++)
		CHECK_EQ(write(fds[1], record, sizeof(record)), RECORD);
	return NULL;
}

static void writes_up_to_pipe_buf_are_not_mixed(void)
{
	pthread_t threads[8];
	int count[8] = {0};

	CHECK(pipe(fds) == 0);
	threads_start(threads, 8, write_records);
	for (int i = 0; i < 8 * RECORDS; i++) {
		char record[RECORD];

		CHECK_EQ(read_all(fds[0], record, RECORD), RECORD);
		for (int k = 1; k < RECORD; k++)
			CHECK_EQ(record[k], record[0]);
		count[record[0] - 'a']++;
	}
	threads_join(threads, 8);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(count[i], RECORDS);
	close_pair(fds);
}

static int taken[1000];

static void *take_numbers(void *arg)
{
	int number;

	while (read(fds[0], &number, sizeof(number)) == sizeof(number))
		__atomic_add_fetch(&taken[number], 1, __ATOMIC_RELAXED);
	return arg;
}

static void several_readers_get_each_message_once(void)
{
	pthread_t threads[8];

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 8; i++)
		threads[i] = thread_start(take_numbers, NULL);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(write(fds[1], &i, sizeof(i)), sizeof(i));
	CHECK(close(fds[1]) == 0);
	threads_join(threads, 8);
	CHECK(close(fds[0]) == 0);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(taken[i], 1);
}

static void *write_vector(void *arg)
{
	char *data = (char *)malloc(BIG);
	struct iovec part[3];

	CHECK(data);
	pattern_fill(data, BIG, 0, 2);
	part[0].iov_base = data;
	part[0].iov_len = 10;
	part[1].iov_base = data + 10;
	part[1].iov_len = BIG / 2;
	part[2].iov_base = data + 10 + BIG / 2;
	part[2].iov_len = BIG / 2 - 10;
	CHECK_EQ(arg ? pwritev2(fds[1], part, 3, -1, 0) : writev(fds[1], part, 3), BIG);
	free(data);
	return NULL;
}

static void vectors_arrive_whole_and_in_order(void)
{
	for (intptr_t way = 0; way < 2; way++) {
		pthread_t thread;
		size_t have = 0;

		CHECK(pipe(fds) == 0);
		thread = thread_start(write_vector, (void *)way);
		while (have < BIG) {
			static char a[7], b[50000];
			struct iovec part[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
			ssize_t n = way ? preadv2(fds[0], part, 2, -1, 0) : readv(fds[0], part, 2);

			CHECK(n > 0);
			CHECK(pattern_holds(a, n < 7 ? n : 7, have, 2));
			CHECK(pattern_holds(b, n < 7 ? 0 : n - 7, have + 7, 2));
			have += n;
		}
		thread_join(thread);
		close_pair(fds);
	}
}

static void *small_cases(void *arg)
{
	char text[8];
	int ready = -1;

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_RDONLY);
	CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY);
	CHECK_EQ(read(fds[0], text, 0), 0);
	CHECK_EQ(write(fds[1], text, 0), 0);
	CHECK_EQ(write(fds[1], "abcdef", 6), 6);
	CHECK(ioctl(fds[0], FIONREAD, &ready) == 0);
	CHECK_EQ(ready, 6);
	CHECK_EQ(read(fds[0], text, 2), 2);
	CHECK_EQ(read(fds[0], text, 8), 4);
	CHECK_ERR(pread(fds[0], text, 1, 0), ESPIPE);
	CHECK_ERR(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(read(fds[1], text, 1), EBADF);
	CHECK_ERR(write(fds[0], text, 1), EBADF);
	CHECK_ERR(write(fds[1], bad_address(), 1), EFAULT);
	CHECK_ERR(recv(fds[0], text, 1, 0), ENOTSOCK);
	CHECK_EQ(write(fds[1], "a", 1), 1);
	CHECK_ERR(read(fds[0], bad_address(), 1), EFAULT);
	close_pair(fds);
	CHECK_ERR(read(fds[0], text, 1), EBADF);
	return arg;
}

static void small_cases_and_mistakes(void)
{
	small_cases(NULL);
	thread_join(thread_start(small_cases, NULL));
}

int main(void)
{
	check_begin();
	signal(SIGPIPE, SIG_IGN);
	RUN(a_reader_waits_for_the_writer);
	RUN(one_write_of_8_mb_is_whole);
	RUN(closing_the_writer_ends_all_readers);
	RUN(closing_the_reader_breaks_a_blocked_writer);
	RUN(writes_up_to_pipe_buf_are_not_mixed);
	RUN(several_readers_get_each_message_once);
	RUN(vectors_arrive_whole_and_in_order);
	RUN(small_cases_and_mistakes);
	return check_done();
}
