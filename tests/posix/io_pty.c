/* io_pty.c -- terminals: lines and raw bytes in both directions, hang-up, and reading by several
 * threads
 *
 * threads: 4
 */
#include "check.h"
#include "net.h"
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

enum { BIG = 100000 };

static int master, slave;
static struct step arrived = STEP_INIT;

static void pty_make(int raw)
{
	struct termios t;

	CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
	CHECK(tcgetattr(slave, &t) == 0);
	if (raw)
		cfmakeraw(&t);
	else
		t.c_lflag &= ~(tcflag_t)ECHO;
	t.c_oflag &= ~(tcflag_t)OPOST;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void pty_drop(void)
{
	CHECK(close(slave) == 0);
	CHECK(close(master) == 0);
}

static void *read_line(void *arg)
{
	char text[64];
	ssize_t n;

	step_add(&arrived, 1);
	n = read(slave, text, sizeof(text));
	CHECK_EQ(n, 6);
	CHECK(memcmp(text, "hello\n", 6) == 0);
	return arg;
}

static void a_reader_waits_for_a_whole_line(void)
{
	pty_make(0);
	for (int i = 0; i < 10; i++) {
		pthread_t thread;

		step_reset(&arrived);
		thread = thread_start(read_line, NULL);
		step_wait(&arrived, 1);
		if (i == 0)
			let_block();
		CHECK_EQ(write(master, "hel", 3), 3);
		sched_yield();
		CHECK_EQ(write(master, "lo\n", 3), 3);
		thread_join(thread);
	}
	pty_drop();
}

static void *write_big(void *arg)
{
	int fd = *(int *)arg;
	char *data = (char *)malloc(BIG);

	CHECK(data);
	pattern_fill(data, BIG, 0, 1);
	step_add(&arrived, 1);
	CHECK_EQ(write(fd, data, BIG), BIG);
	free(data);
	return NULL;
}

/* The slave's writer is slowed down by the master's reader, and its one write is whole all the
 * same. */
static void one_write_of_100_000_bytes_is_whole(void)
{
	char *data = (char *)malloc(BIG);
	pthread_t thread;

	CHECK(data);
	pty_make(1);
	thread = thread_start(write_big, &slave);
	CHECK_EQ(read_all(master, data, BIG), BIG);
	CHECK(pattern_holds(data, BIG, 0, 1));
	thread_join(thread);
	pty_drop();
	free(data);
}

static void *echo(void *arg)
{
	char c;

	while (read(slave, &c, 1) == 1 && c)
		CHECK_EQ(write(slave, &c, 1), 1);
	return arg;
}

static void bytes_go_there_and_back(void)
{
	pthread_t thread;
	char c;

	pty_make(1);
	thread = thread_start(echo, NULL);
	for (int i = 1; i < 256; i++) {
		c = (char)i;
		CHECK_EQ(write(master, &c, 1), 1);
		CHECK_EQ(read(master, &c, 1), 1);
		CHECK_EQ((unsigned char)c, i);
	}
	c = 0;
	CHECK_EQ(write(master, &c, 1), 1);
	thread_join(thread);
	pty_drop();
}

/* Linux: EIO while the hang-up is under way, the end of the file after it. */
static void *expect_end(void *arg)
{
	ssize_t n;
	char c;

	step_add(&arrived, 1);
	n = read(slave, &c, 1);
	CHECK(n == 0 || (n == -1 && errno == EIO));
	return arg;
}

static void *expect_error(void *arg)
{
	char c;

	step_add(&arrived, 1);
	CHECK_ERR(read(master, &c, 1), EIO);
	return arg;
}

static void a_hang_up_ends_blocked_readers(void)
{
	pthread_t threads[4];

	pty_make(1);
	step_reset(&arrived);
	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(expect_end, NULL);
	step_wait(&arrived, 4);
	let_block();
	CHECK(close(master) == 0);
	threads_join(threads, 4);
	CHECK(close(slave) == 0);

	pty_make(1);
	step_reset(&arrived);
	threads[0] = thread_start(expect_error, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(slave) == 0);
	thread_join(threads[0]);
	CHECK(close(master) == 0);
}

/* VMIN 0 and VTIME: the terminal's own time-out. */
static void *read_with_vtime(void *arg)
{
	struct termios t;
	int64_t start;
	char c;

	CHECK(tcgetattr(slave, &t) == 0);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	start = now_ms();
	CHECK_EQ(read(slave, &c, 1), 0);
	CHECK(now_ms() - start >= 80);
	return arg;
}

static void a_read_with_vtime_times_out(void)
{
	pty_make(1);
	thread_join(thread_start(read_with_vtime, NULL));
	pty_drop();
}

int main(void)
{
	check_begin();
	signal(SIGHUP, SIG_IGN);
	RUN(a_reader_waits_for_a_whole_line);
	RUN(one_write_of_100_000_bytes_is_whole);
	RUN(bytes_go_there_and_back);
	RUN(a_hang_up_ends_blocked_readers);
	RUN(a_read_with_vtime_times_out);
	return check_done();
}
