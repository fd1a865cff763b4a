/* io_fifo.c -- named pipes: opening waits for the other side, reading and writing as with pipes
 *
 * threads: 8
 * kthreads: any
 */
#include "check.h"
#include "net.h"
#include <sys/stat.h>

enum { BIG = 2 << 20 };

static char path[64];
static int reader, writer;
static struct step arrived = STEP_INIT, opened = STEP_INIT;

static void *open_to_read(void *arg)
{
	char text[8];
	int fd;

	step_add(&arrived, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	step_add(&opened, 1);
	CHECK_EQ(read_all(fd, text, 5), 5);
	CHECK(memcmp(text, "hello", 5) == 0);
	CHECK_EQ(read(fd, text, 8), 0);
	CHECK(close(fd) == 0);
	return arg;
}

static void *open_to_write(void *arg)
{
	int fd;

	step_add(&arrived, 1);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	step_add(&opened, 1);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK(close(fd) == 0);
	return arg;
}

static void an_open_waits_for_the_other_side(void)
{
	void *(*const sides[])(void *) = {open_to_read, open_to_write};

	for (int i = 0; i < 6; i++) {
		pthread_t first, second;

		step_reset(&arrived);
		step_reset(&opened);
		first = thread_start(sides[i % 2], NULL);
		step_wait(&arrived, 1);
		if (i < 2)
			let_block();
		CHECK_EQ(step_at(&opened), 0);
		second = thread_start(sides[1 - i % 2], NULL);
		thread_join(first);
		thread_join(second);
	}
}

static void *open_to_end(void *arg)
{
	char c;
	int fd;

	step_add(&arrived, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	step_add(&opened, 1);
	CHECK_EQ(read(fd, &c, 1), 0);
	CHECK(close(fd) == 0);
	return arg;
}

/* Each of eight waits for a thread that comes after it: none may keep that one from running. */
static void one_writer_lets_all_readers_in(void)
{
	for (int round = 0; round < 5; round++) {
		pthread_t readers[8];
		int fd;

		step_reset(&arrived);
		step_reset(&opened);
		for (int i = 0; i < 8; i++)
			readers[i] = thread_start(open_to_end, NULL);
		step_wait(&arrived, 8);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0);
		step_wait(&opened, 8);
		CHECK(close(fd) == 0);
		threads_join(readers, 8);
	}
}

static void without_blocking_an_open_tells(void)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK), other;
	char c;

	CHECK(fd >= 0);
	CHECK_EQ(read(fd, &c, 1), 0);
	other = open(path, O_WRONLY | O_NONBLOCK);
	CHECK(other >= 0);
	CHECK_ERR(read(fd, &c, 1), EAGAIN);
	CHECK(close(fd) == 0 && close(other) == 0);
	CHECK_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
}

static void both_open(void)
{
	int fd = open(path, O_RDWR);

	reader = open(path, O_RDONLY);
	writer = open(path, O_WRONLY);
	CHECK(fd >= 0 && reader >= 0 && writer >= 0);
	CHECK(close(fd) == 0);
}

static void *read_five(void *arg)
{
	char text[8];

	step_add(&arrived, 1);
	CHECK_EQ(read(reader, text, sizeof(text)), 5);
	return arg;
}

static void a_reader_waits_for_the_writer(void)
{
	both_open();
	for (int i = 0; i < 10; i++) {
		pthread_t thread;

		step_reset(&arrived);
		thread = thread_start(read_five, NULL);
		step_wait(&arrived, 1);
		if (i == 0)
			let_block();
		CHECK_EQ(write(writer, "hello", 5), 5);
		thread_join(thread);
	}
	CHECK(close(reader) == 0 && close(writer) == 0);
}

static void *write_big(void *arg)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	pattern_fill(data, BIG, 0, 5);
	CHECK_EQ(write(writer, data, BIG), BIG);
	free(data);
	return arg;
}

static void one_write_of_2_mb_is_whole(void)
{
	char *data = (char *)malloc(BIG);
	pthread_t thread;

	both_open();
	thread = thread_start(write_big, NULL);
	CHECK_EQ(read_all(reader, data, BIG), BIG);
	CHECK(pattern_holds(data, BIG, 0, 5));
	thread_join(thread);
	free(data);
	CHECK(close(reader) == 0 && close(writer) == 0);
}

static void *expect_end(void *arg)
{
	char c;

	step_add(&arrived, 1);
	CHECK_EQ(read(reader, &c, 1), 0);
	return arg;
}

static void *expect_broken(void *arg)
{
	static char data[1 << 20];
	ssize_t n;

	step_add(&arrived, 1);
	while ((n = write(writer, data, sizeof(data))) > 0)
		continue;
	CHECK(n == -1 && errno == EPIPE);
	return arg;
}

static void closing_one_side_ends_the_other(void)
{
	pthread_t thread;

	both_open();
	step_reset(&arrived);
	thread = thread_start(expect_end, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(writer) == 0);
	thread_join(thread);
	CHECK(close(reader) == 0);

	both_open();
	step_reset(&arrived);
	thread = thread_start(expect_broken, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(reader) == 0);
	thread_join(thread);
	CHECK(close(writer) == 0);
}

int main(void)
{
	check_begin();
	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof(path), "/tmp/io_fifo.%d", (int)getpid());
	CHECK(mkfifo(path, 0600) == 0);
	RUN(an_open_waits_for_the_other_side);
	RUN(one_writer_lets_all_readers_in);
	RUN(without_blocking_an_open_tells);
	RUN(a_reader_waits_for_the_writer);
	RUN(one_write_of_2_mb_is_whole);
	RUN(closing_one_side_ends_the_other);
	CHECK(unlink(path) == 0);
	return check_done();
}
