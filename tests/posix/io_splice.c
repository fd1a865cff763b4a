/* io_splice.c -- splice, tee and vmsplice wait for the other side as write and read do
 *
 * threads: 32
 */
#include "moved.h"
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { THREADS = 32 };

static struct step arrived = STEP_INIT;

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

/* What the kernel finds out before it would wait for one of them. */
static void wrong_calls_do_not_wait(void)
{
	int fds[2], sockets[2];
	struct sockaddr_in address;
	int listener = tcp_listen(&address, 1);
	struct iovec part = {data, 10};
	loff_t at = 0;

	CHECK(pipe(fds) == 0);
	unix_pair(SOCK_STREAM, sockets);
	fill(sockets[1]);
	CHECK_ERR(tee(sockets[1], fds[1], 10, 0), EINVAL);
	CHECK_ERR(tee(fds[0], sockets[1], 10, 0), EINVAL);
	CHECK_ERR(vmsplice(sockets[1], &part, 1, 0), EBADF);
	CHECK_ERR(splice(file, &at, sockets[1], NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(fds[0], &at, sockets[1], NULL, 10, 0), ESPIPE);
	CHECK(splice(fds[0], NULL, sockets[1], &at, 10, 0) == -1);
	CHECK_ERR(splice(sockets[1], NULL, fds[1], &at, 10, 0), ESPIPE);
	CHECK_ERR(splice(sockets[1], NULL, fds[1], NULL, 10, 0x100), EINVAL);
	CHECK_ERR(splice(sockets[1], NULL, fds[0], NULL, 10, 0), EBADF);
	CHECK_ERR(splice(fds[1], NULL, sockets[1], NULL, 10, 0), EBADF);
	CHECK(splice(listener, NULL, fds[1], NULL, 10, 0) == -1);
	close_pair(fds);
	close_pair(sockets);
	CHECK(close(listener) == 0);
}

/* An empty pipe that nobody writes to has ended; where nobody reads it is broken. */
static void a_pipe_without_its_other_end_is_not_waited_for(void)
{
	int fds[2], sockets[2];

	for (int i = 0; i < 2; i++) {
		pair_of(i, sockets);
		fill(sockets[1]);
		CHECK(pipe(fds) == 0);
		CHECK(close(fds[1]) == 0);
		CHECK_EQ(splice(fds[0], NULL, sockets[1], NULL, 10, 0), 0);
		CHECK(close(fds[0]) == 0);
		CHECK(pipe(fds) == 0);
		CHECK(close(fds[0]) == 0);
		CHECK_ERR(splice(sockets[1], NULL, fds[1], NULL, 10, 0), EPIPE);
		CHECK(close(fds[1]) == 0);
		close_pair(sockets);
	}
}

static void *splice_whole_pipe(void *arg)
{
	int fd = *(int *)arg, size = 64 << 10;

	CHECK_EQ(splice(pipes[0], NULL, fd, NULL, 1 << 20, 0), size);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	return NULL;
}

/* In one call, whatever the socket holds. */
static void what_a_pipe_holds_goes_to_a_socket_whole(void)
{
	for (int i = 0; i < 2; i++) {
		int fds[2], little = 8 << 10;
		pthread_t thread;
		loff_t at = 0;

		pair_of(i, fds);
		CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)) == 0);
		pipes_make();
		CHECK_EQ(splice(file, &at, pipes[1], NULL, 64 << 10, 0), 64 << 10);
		thread = thread_start(splice_whole_pipe, &fds[1]);
		let_block();
		CHECK_EQ(read_rest(fds[0], 0), 64 << 10);
		thread_join(thread);
		pipes_close();
		close_pair(fds);
	}
}

static void *refused_in_a_thread(void *arg)
{
	what_does_not_fit_is_refused_at_once();
	wrong_calls_do_not_wait();
	a_pipe_without_its_other_end_is_not_waited_for();
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
	RUN(relays_bring_all_from_socket_to_socket);
	RUN(a_pipe_is_waited_for_on_either_side);
	RUN(one_message_is_doubled_for_all);
	RUN(what_does_not_fit_is_refused_at_once);
	RUN(wrong_calls_do_not_wait);
	RUN(a_pipe_without_its_other_end_is_not_waited_for);
	RUN(what_a_pipe_holds_goes_to_a_socket_whole);
	RUN(a_thread_meets_the_same);
	return check_done();
}
