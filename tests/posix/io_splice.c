/* io_splice.c -- sendfile, splice, tee and vmsplice wait for the other side as write and read do
 *
 * threads: 32
 */
#include "check.h"
#include "net.h"
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { THREADS = 32, SIZE = 6 << 20, SEED = 7, ROOM = 4 << 20, PAGE = 4096 };

static int file = -1;
static char data[ROOM + 1];
static struct step arrived = STEP_INIT, done = STEP_INIT;

static void file_begin(void)
{
	char path[] = "/tmp/io_splice.XXXXXX";
	char *bytes = (char *)malloc(SIZE);

	file = mkstemp(path);
	CHECK(file >= 0 && bytes);
	CHECK(unlink(path) == 0);
	pattern_fill(bytes, SIZE, 0, SEED);
	write_all(file, bytes, SIZE);
	free(bytes);
}

static void pair_of(int i, int fds[2])
{
	i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
}

/* Reads to the end; returns how many bytes there were, which are those of the file. */
static size_t read_rest(int fd, size_t from)
{
	size_t n, sum = 0;

	while ((n = read_all(fd, data, ROOM)) > 0) {
		CHECK(pattern_holds(data, n, from + sum, SEED));
		sum += n;
	}
	return sum;
}

/* -- sendfile -------------------------------------------------------------------------------- */

static int ends[THREADS][2];

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

static void interrupt(int sig)
{
	(void)sig;
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
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = interrupt;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		int fds[2];

		pair_of(i, fds);
		step_reset(&arrived);
		step_reset(&done);
		thread = thread_start(send_until_interrupted, &fds[1]);
		step_wait(&arrived, 1);
		while (step_at(&done) == 0) {
			let_block();
			CHECK_OK(pthread_kill(thread, SIGUSR1));
		}
		thread_join(thread);
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

/* Nothing of the file that takes its number is ever sent. */
static void another_file_under_its_number_is_not_sent(void)
{
	for (int i = 0; i < 2; i++) {
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
		CHECK(dup2(zero, arg[0]) == arg[0]);
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

/* -- splice ---------------------------------------------------------------------------------- */

/* From one socket to another through a pipe, as proxies have it. */
struct relay {
	int in[2], out[2];
};

static void *relay(void *arg)
{
	struct relay *r = (struct relay *)arg;
	int fds[2];
	ssize_t n;

	CHECK(pipe(fds) == 0);
	step_add(&arrived, 1);
	while ((n = splice(r->in[1], NULL, fds[1], NULL, 1 << 16, SPLICE_F_MOVE)) > 0)
		while (n > 0) {
			ssize_t m = splice(fds[0], NULL, r->out[1], NULL, (size_t)n,
					   SPLICE_F_MOVE | SPLICE_F_MORE);

			CHECK(m > 0);
			n -= m;
		}
	CHECK_EQ(n, 0);
	CHECK(shutdown(r->out[1], SHUT_WR) == 0);
	close_pair(fds);
	return NULL;
}

static void *feed(void *arg)
{
	struct relay *r = (struct relay *)arg;
	off_t at = 0;

	CHECK_EQ(sendfile(r->in[0], file, &at, SIZE), SIZE);
	CHECK(shutdown(r->in[0], SHUT_WR) == 0);
	return NULL;
}

static void relays_bring_all_from_socket_to_socket(void)
{
	static struct relay relays[THREADS / 2];
	pthread_t threads[THREADS];

	step_reset(&arrived);
	for (int i = 0; i < THREADS / 2; i++) {
		pair_of(i, relays[i].in);
		pair_of(i / 2, relays[i].out);
		threads[i] = thread_start(relay, &relays[i]);
	}
	step_wait(&arrived, THREADS / 2);
	let_block();
	for (int i = 0; i < THREADS / 2; i++)
		threads[THREADS / 2 + i] = thread_start(feed, &relays[i]);
	for (int i = 0; i < THREADS / 2; i++)
		CHECK_EQ(read_rest(relays[i].out[0], 0), SIZE);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS / 2; i++) {
		close_pair(relays[i].in);
		close_pair(relays[i].out);
	}
}

static int pipes[2], copies[2];

static void *splice_from_pipe(void *arg)
{
	int null = open("/dev/null", O_WRONLY);

	step_add(&arrived, 1);
	CHECK_EQ(splice(pipes[0], NULL, null, NULL, 100, 0), 4);
	CHECK(close(null) == 0);
	(void)arg;
	return NULL;
}

static void *splice_to_pipe(void *arg)
{
	loff_t at = 0;

	step_add(&arrived, 1);
	CHECK_EQ(splice(file, &at, pipes[1], NULL, PAGE, 0), PAGE);
	(void)arg;
	return NULL;
}

static void *tee_to_pipe(void *arg)
{
	step_add(&arrived, 1);
	CHECK_EQ(tee(pipes[0], copies[1], 100, 0), 4);
	(void)arg;
	return NULL;
}

static void *vmsplice_to_pipe(void *arg)
{
	static char words[] = "words";
	struct iovec part = {words, 5};

	step_add(&arrived, 1);
	CHECK_EQ(vmsplice(pipes[1], &part, 1, 0), 5);
	(void)arg;
	return NULL;
}

static void *vmsplice_from_pipe(void *arg)
{
	char text[8];
	struct iovec part = {text, sizeof(text)};

	step_add(&arrived, 1);
	CHECK_EQ(vmsplice(pipes[0], &part, 1, 0), 4);
	CHECK(memcmp(text, "four", 4) == 0);
	(void)arg;
	return NULL;
}

static void pipes_make(void)
{
	CHECK(pipe(pipes) == 0 && pipe(copies) == 0);
	step_reset(&arrived);
}

static void pipes_close(void)
{
	close_pair(pipes);
	close_pair(copies);
}

/* THREADS of them wait; each is given four bytes, which it has taken before the next ones come. */
static void bytes_end_the_wait_of(void *(*main)(void *))
{
	pthread_t threads[THREADS];

	pipes_make();
	threads_start(threads, THREADS, main);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 0; i < THREADS; i++) {
		int left = 4;

		write_all(pipes[1], "four", 4);
		while (left) {
			sched_yield();
			CHECK(ioctl(pipes[0], FIONREAD, &left) == 0);
		}
	}
	threads_join(threads, THREADS);
	pipes_close();
}

static void room_ends_the_wait_of(void *(*main)(void *), size_t each)
{
	pthread_t threads[THREADS];
	size_t full = 0;

	pipes_make();
	CHECK(fcntl(pipes[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(pipes[1], data, PAGE) > 0)
		full += PAGE;
	CHECK(fcntl(pipes[1], F_SETFL, 0) == 0);
	threads_start(threads, THREADS, main);
	step_wait(&arrived, THREADS);
	let_block();
	CHECK_EQ(read_all(pipes[0], data, full + THREADS * each), full + THREADS * each);
	threads_join(threads, THREADS);
	pipes_close();
}

static void a_pipe_is_waited_for_on_either_side(void)
{
	bytes_end_the_wait_of(splice_from_pipe);
	room_ends_the_wait_of(splice_to_pipe, PAGE);
	bytes_end_the_wait_of(vmsplice_from_pipe);
	room_ends_the_wait_of(vmsplice_to_pipe, 5);
}

/* tee takes nothing out of its pipe: what came is for all. */
static void one_message_is_doubled_for_all(void)
{
	pthread_t threads[THREADS / 4];

	pipes_make();
	threads_start(threads, THREADS / 4, tee_to_pipe);
	step_wait(&arrived, THREADS / 4);
	let_block();
	write_all(pipes[1], "four", 4);
	threads_join(threads, THREADS / 4);
	CHECK_EQ(read_all(copies[0], data, THREADS), THREADS);
	pipes_close();
}

static void what_does_not_fit_is_refused_at_once(void)
{
	int fds[2], sockets[2];
	loff_t at = 0;

	CHECK(pipe(fds) == 0);
	unix_pair(SOCK_STREAM, sockets);
	CHECK_ERR(splice(fds[0], NULL, fds[1], NULL, 10, 0), EINVAL);
	CHECK_ERR(tee(fds[0], fds[1], 10, 0), EINVAL);
	CHECK_ERR(splice(fds[0], &at, sockets[1], NULL, 10, 0), ESPIPE);
	CHECK_ERR(splice(sockets[0], NULL, sockets[1], NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(file, NULL, file, NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(fds[0], NULL, -1, NULL, 10, 0), EBADF);
	CHECK_ERR(tee(fds[0], sockets[1], 10, 0), EINVAL);
	CHECK_ERR(splice(fds[0], NULL, sockets[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(splice(fds[0], NULL, sockets[1], NULL, 0, 0), 0);
	CHECK(close(fds[1]) == 0);
	CHECK_EQ(splice(fds[0], NULL, sockets[1], NULL, 10, 0), 0);
	CHECK(close(fds[0]) == 0);
	close_pair(sockets);
}

static void *refused_in_a_thread(void *arg)
{
	what_does_not_fit_is_refused_at_once();
	what_cannot_be_sent_is_refused();
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
	RUN(the_position_moves_on);
	RUN(a_time_limit_ends_it);
	RUN(without_blocking_nobody_waits);
	RUN(a_signal_ends_it_with_what_was_sent);
	RUN(another_file_under_its_number_is_not_sent);
	RUN(what_a_pipe_takes_is_moved);
	RUN(what_cannot_be_sent_is_refused);
	RUN(relays_bring_all_from_socket_to_socket);
	RUN(a_pipe_is_waited_for_on_either_side);
	RUN(one_message_is_doubled_for_all);
	RUN(what_does_not_fit_is_refused_at_once);
	RUN(a_thread_meets_the_same);
	return check_done();
}
