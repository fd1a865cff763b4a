/* io_sendfile.c -- sendfile waits for a slow reader as write does, and only where it must
 *
 * threads: 32
 */
#include "moved.h"

enum { THREADS = 32 };

static int ends[THREADS][2];
static struct step arrived = STEP_INIT, done = STEP_INIT;

static void *send_whole(void *arg)
{
	int fd = ends[(intptr_t)arg][1];
	off_t at = 0;

	step_add(&arrived, 1);
	CHECK_EQ(sendfile(fd, file, &at, SIZE), SIZE);
	CHECK_EQ(at, SIZE);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	step_add(&done, 1);
	return NULL;
}

/* All wait at once: nobody reads yet, and no socket holds that much. */
static void each_call_sends_all_to_a_slow_reader(void)
{
	pthread_t threads[THREADS];

	step_reset(&arrived);
	step_reset(&done);
	for (int i = 0; i < THREADS; i++)
		pair_of(i, ends[i]);
	threads_start(threads, THREADS, send_whole);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(read_rest(ends[i][0], 0), SIZE);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS; i++)
		close_pair(ends[i]);
}

static void a_file_ends_before_the_count(void)
{
	for (int i = 0; i < 2; i++) {
		off_t at = SIZE - 1000;
		int fds[2];

		pair_of(i, fds);
		CHECK_EQ(sendfile(fds[1], file, &at, SIZE), 1000);
		CHECK_EQ(sendfile(fds[1], file, &at, SIZE), 0);
		CHECK(close(fds[1]) == 0);
		CHECK_EQ(read_rest(fds[0], SIZE - 1000), 1000);
		CHECK(close(fds[0]) == 0);
	}
}

/* More in the socket than it calls itself writable with, and nobody reads. */
static void the_end_of_a_file_is_seen_while_the_socket_is_full(void)
{
	enum { MUCH = 150000 };
	off_t at = SIZE - MUCH;
	int fds[2];

	unix_pair(SOCK_STREAM, fds);
	CHECK_EQ(sendfile(fds[1], file, &at, SIZE), MUCH);
	CHECK_EQ(sendfile(fds[1], file, &at, SIZE), 0);
	CHECK_EQ(lseek(file, 0, SEEK_END), SIZE);
	CHECK_EQ(sendfile(fds[1], file, NULL, 0x7ffff000), 0);
	CHECK(close(fds[1]) == 0);
	CHECK_EQ(read_rest(fds[0], SIZE - MUCH), MUCH);
	CHECK(close(fds[0]) == 0);
}

/* Without a pointer the file's own position moves. */
static void the_position_moves_on(void)
{
	int fds[2];

	CHECK_EQ(lseek(file, 5000, SEEK_SET), 5000);
	unix_pair(SOCK_STREAM, fds);
	CHECK_EQ(sendfile(fds[1], file, NULL, 3000), 3000);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 8000);
	CHECK(close(fds[1]) == 0);
	CHECK_EQ(read_rest(fds[0], 5000), 3000);
	CHECK(close(fds[0]) == 0);
}

static void a_time_limit_ends_it(void)
{
	struct timeval limit = {0, 50000};

	for (int i = 0; i < 2; i++) {
		int64_t start;
		off_t at = 0;
		ssize_t n;
		int fds[2];

		pair_of(i, fds);
		CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
		n = sendfile(fds[1], file, &at, SIZE);
		CHECK(n > 0 && n < SIZE && at == n);
		start = now_ms();
		while ((n = sendfile(fds[1], file, &at, SIZE - at)) > 0)
			start = now_ms();
		CHECK(n == -1 && errno == EAGAIN);
		CHECK(now_ms() - start >= 49);
		CHECK(close(fds[1]) == 0);
		CHECK_EQ(read_rest(fds[0], 0), at);
		CHECK(close(fds[0]) == 0);
	}
}

static void without_blocking_nobody_waits(void)
{
	for (int i = 0; i < 2; i++) {
		off_t at = 0;
		ssize_t n;
		int fds[2];

		pair_of(i, fds);
		CHECK(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
		while (at < SIZE && (n = sendfile(fds[1], file, &at, SIZE - at)) > 0)
			continue;
		CHECK(at < SIZE && n == -1 && errno == EAGAIN);
		close_pair(fds);
	}
}

static void *send_until_interrupted(void *arg)
{
	int fd = *(int *)arg;
	off_t at = 0;
	ssize_t n;

	step_add(&arrived, 1);
	n = sendfile(fd, file, &at, SIZE);
	CHECK(n > 0 && n < SIZE && n == at);
	step_add(&done, 1);
	return NULL;
}

static void a_signal_ends_it_with_what_was_sent(void)
{
	interrupts_begin(0);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		int fds[2];

		pair_of(i, fds);
		step_reset(&arrived);
		step_reset(&done);
		thread = thread_start(send_until_interrupted, &fds[1]);
		step_wait(&arrived, 1);
		thread_interrupt(thread, &done);
		close_pair(fds);
	}
}

static void *send_what_goes(void *arg)
{
	off_t at = 0;
	int copy = *(int *)arg, fd = *((int *)arg + 1);

	step_add(&arrived, 1);
	CHECK(sendfile(fd, copy, &at, SIZE) > 0);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	return NULL;
}

static void take_number(int from, int number, int way)
{
	if (way) {
		CHECK(syscall(SYS_close_range, number, number, 0) == 0);
		CHECK(fcntl(from, F_DUPFD, number) == number);
	} else {
		CHECK(dup2(from, number) == number);
	}
}

/* Nothing of the file that takes its number is ever sent. */
static void another_file_under_its_number_is_not_sent(void)
{
	for (int i = 0; i < 4; i++) {
		int fds[2], arg[2], zero = open("/dev/zero", O_RDONLY);
		pthread_t thread;

		pair_of(i, fds);
		arg[0] = dup(file);
		arg[1] = fds[1];
		CHECK(arg[0] >= 0 && zero >= 0);
		step_reset(&arrived);
		thread = thread_start(send_what_goes, arg);
		step_wait(&arrived, 1);
		let_block();
		take_number(zero, arg[0], i / 2);
		CHECK(read_rest(fds[0], 0) > 0);
		thread_join(thread);
		close_pair(fds);
		CHECK(close(arg[0]) == 0 && close(zero) == 0);
	}
}

static void what_a_pipe_takes_is_moved(void)
{
	int fds[2];
	off_t at = 0;
	ssize_t n;

	CHECK(pipe(fds) == 0);
	n = sendfile(fds[1], file, &at, SIZE);
	CHECK(n > 0 && n < SIZE && n == at);
	CHECK_EQ(read_all(fds[0], data, n), n);
	CHECK(pattern_holds(data, n, 0, SEED));
	close_pair(fds);
}

static void what_cannot_be_sent_is_refused(void)
{
	int fds[2], dir = open("/", O_RDONLY | O_DIRECTORY);
	off_t at = 0;

	tcp_pair(fds);
	CHECK_ERR(sendfile(fds[1], -1, &at, 10), EBADF);
	CHECK_ERR(sendfile(-1, file, &at, 10), EBADF);
	CHECK_ERR(sendfile(fds[1], fds[0], &at, 10), ESPIPE);
	CHECK(sendfile(fds[1], dir, NULL, 10) == -1);
	CHECK_EQ(sendfile(fds[1], file, &at, 0), 0);
	CHECK_ERR(sendfile(fds[1], file, (off_t *)bad_address(), 10), EFAULT);
	CHECK(close(fds[0]) == 0);
	while (sendfile(fds[1], file, &at, 1000) > 0)
		continue;
	CHECK(errno == EPIPE || errno == ECONNRESET);
	CHECK(close(fds[1]) == 0 && close(dir) == 0);
}

/* What the kernel finds out before it would wait. */
static void wrong_calls_do_not_wait(void)
{
	int sockets[2], write_only = open("/dev/null", O_WRONLY);
	struct sockaddr_in address;
	int listener = tcp_listen(&address, 1);
	off_t at = 0;

	unix_pair(SOCK_STREAM, sockets);
	fill(sockets[1]);
	CHECK_ERR(sendfile(sockets[1], write_only, NULL, 10), EBADF);
	CHECK_ERR(sendfile(sockets[1], file, (off_t *)bad_address(), 10), EFAULT);
	CHECK_ERR(sendfile(sockets[1], file, NULL, (size_t)-1), EINVAL);
	CHECK_ERR(sendfile(listener, file, &at, 10), EPIPE);
	close_pair(sockets);
	CHECK(close(write_only) == 0 && close(listener) == 0);
}

static void *refused_in_a_thread(void *arg)
{
	what_cannot_be_sent_is_refused();
	wrong_calls_do_not_wait();
	the_end_of_a_file_is_seen_while_the_socket_is_full();
	without_blocking_nobody_waits();
	a_time_limit_ends_it();
	return arg;
}

static void a_thread_meets_the_same(void)
{
	thread_join(thread_start(refused_in_a_thread, NULL));
}

int main(void)
{
	check_begin();
	signal(SIGPIPE, SIG_IGN);
	file_begin();
	RUN(each_call_sends_all_to_a_slow_reader);
	RUN(a_file_ends_before_the_count);
	RUN(the_end_of_a_file_is_seen_while_the_socket_is_full);
	RUN(the_position_moves_on);
	RUN(a_time_limit_ends_it);
	RUN(without_blocking_nobody_waits);
	RUN(a_signal_ends_it_with_what_was_sent);
	RUN(another_file_under_its_number_is_not_sent);
	RUN(what_a_pipe_takes_is_moved);
	RUN(what_cannot_be_sent_is_refused);
	RUN(wrong_calls_do_not_wait);
	RUN(a_thread_meets_the_same);
	return check_done();
}
