/* io_socket.c -- sockets of every type read and written before, at and after they are ready, by
 * several threads
 *
 * threads: 40
 */
#include "check.h"
#include "net.h"
#include <sys/ioctl.h>

enum { BIG = 8 << 20, CLIENTS = 20 };

static int fds[2];
static struct step arrived = STEP_INIT;

/* One server and one client thread a connection: 40 threads, all over each other's heads. */
static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char data[3000];
	ssize_t n;

	step_add(&arrived, 1);
	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t sent = send(fd, data + at, n - at, MSG_NOSIGNAL);

			CHECK(sent > 0);
			at += sent;
		}
	CHECK_EQ(n, 0);
	CHECK(close(fd) == 0);
	return NULL;
}

static void *ask(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char out[2000], in[2000];

	step_add(&arrived, 1);
	step_wait(&arrived, 2 * CLIENTS);
	for (int i = 1; i <= 50; i++) {
		size_t size = i * 40;

		pattern_fill(out, size, i, fd);
		write_all(fd, out, size);
		CHECK_EQ(read_all(fd, in, size), size);
		CHECK(memcmp(in, out, size) == 0);
	}
	CHECK(shutdown(fd, SHUT_WR) == 0);
	CHECK_EQ(read(fd, in, 1), 0);
	CHECK(close(fd) == 0);
	return NULL;
}

static void echo_over(void (*pair)(int[2]))
{
	pthread_t servers[CLIENTS], clients[CLIENTS];

	step_reset(&arrived);
	for (int i = 0; i < CLIENTS; i++) {
		int ends[2];

		pair(ends);
		servers[i] = thread_start(echo, (void *)(intptr_t)ends[0]);
		clients[i] = thread_start(ask, (void *)(intptr_t)ends[1]);
	}
	threads_join(servers, CLIENTS);
	threads_join(clients, CLIENTS);
}

static void stream_pair(int ends[2])
{
	unix_pair(SOCK_STREAM, ends);
}

static void twenty_tcp_clients_are_echoed(void)
{
	echo_over(tcp_pair);
}

static void twenty_unix_clients_are_echoed(void)
{
	echo_over(stream_pair);
}

static void *send_big(void *arg)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	pattern_fill(data, BIG, 0, 3);
	step_add(&arrived, 1);
	CHECK_EQ(arg ? send(fds[1], data, BIG, 0) : write(fds[1], data, BIG), BIG);
	free(data);
	return NULL;
}

static void one_send_of_8_mb_is_whole(void)
{
	char *data = (char *)malloc(BIG);

	CHECK(data);
	for (intptr_t i = 0; i < 4; i++) {
		pthread_t thread;

		i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
		thread = thread_start(send_big, (void *)(i / 2));
		CHECK_EQ(read_all(fds[0], data, BIG), BIG);
		CHECK(pattern_holds(data, BIG, 0, 3));
		thread_join(thread);
		close_pair(fds);
	}
	free(data);
}

/* Messages keep their borders, wait for the sender, and fill up when nobody reads. */
static void *send_messages(void *arg)
{
	char data[1000];

	for (int i = 1; i <= 1000; i++) {
		pattern_fill(data, i, 0, i);
		CHECK_EQ(send(fds[1], data, i, 0), i);
	}
	return arg;
}

static void messages_keep_their_borders(void)
{
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

	for (int t = 0; t < 2; t++) {
		pthread_t thread;
		char data[2000];

		unix_pair(types[t], fds);
		thread = thread_start(send_messages, NULL);
		for (int i = 1; i <= 1000; i++) {
			CHECK_EQ(recv(fds[0], data, sizeof(data), 0), i);
			CHECK(pattern_holds(data, i, 0, i));
		}
		thread_join(thread);
		CHECK_EQ(send(fds[1], "abc", 3, 0), 3);
		CHECK_EQ(recv(fds[0], data, 2, MSG_TRUNC), 3);
		close_pair(fds);
	}
}

static void *udp_answer(void *arg)
{
	struct sockaddr_in from;
	char data[100];

	for (int i = 0; i < 50; i++) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fds[0], data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		CHECK_EQ(n, i);
		CHECK_EQ(sendto(fds[0], data, n, 0, (struct sockaddr *)&from, len), n);
	}
	return arg;
}

static void udp_goes_there_and_back(void)
{
	struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
	socklen_t len = sizeof(at);
	pthread_t thread;
	char data[100];

	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(fds[0], (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(getsockname(fds[0], (struct sockaddr *)&at, &len) == 0);
	CHECK(connect(fds[1], (struct sockaddr *)&at, sizeof(at)) == 0);
	thread = thread_start(udp_answer, NULL);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(send(fds[1], data, i, 0), i);
		CHECK_EQ(read(fds[1], data, sizeof(data)), i);
	}
	thread_join(thread);
	close_pair(fds);
}

static void *expect_end(void *arg)
{
	char c;

	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], &c, 1, 0), 0);
	return arg;
}

static void shutdown_ends_a_blocked_reader(void)
{
	for (int i = 0; i < 4; i++) {
		pthread_t thread;

		i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
		step_reset(&arrived);
		thread = thread_start(expect_end, NULL);
		step_wait(&arrived, 1);
		let_block();
		CHECK(shutdown(fds[i / 2], i / 2 ? SHUT_WR : SHUT_RD) == 0);
		thread_join(thread);
		close_pair(fds);
	}
}

static void *expect_reset(void *arg)
{
	char c;

	step_add(&arrived, 1);
	CHECK_ERR(recv(fds[0], &c, 1, 0), ECONNRESET);
	return arg;
}

static void a_reset_reaches_a_blocked_reader(void)
{
	struct linger hard = {1, 0};
	pthread_t thread;

	tcp_pair(fds);
	step_reset(&arrived);
	thread = thread_start(expect_reset, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	CHECK(close(fds[1]) == 0);
	thread_join(thread);
	CHECK(close(fds[0]) == 0);
}

static void *small_cases(void *arg)
{
	char data[8];
	int ready = -1;

	unix_pair(SOCK_STREAM, fds);
	CHECK_ERR(recv(fds[0], data, 8, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(fds[1], "abcdef", 6, 0), 6);
	CHECK_EQ(recv(fds[0], data, 3, MSG_PEEK), 3);
	CHECK(memcmp(data, "abc", 3) == 0);
	CHECK(ioctl(fds[0], FIONREAD, &ready) == 0);
	CHECK_EQ(ready, 6);
	CHECK_EQ(read(fds[0], data, 8), 6);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_RDWR);
	CHECK_ERR(recv(fds[0], bad_address(), 1, MSG_DONTWAIT), EAGAIN);
	CHECK(close(fds[0]) == 0);
	CHECK_ERR(send(fds[1], "a", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(recv(fds[1], data, 1, 0), 0);
	CHECK(close(fds[1]) == 0);
	CHECK_ERR(recv(fds[1], data, 1, 0), EBADF);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERR(recv(fds[0], data, 1, 0), ENOTCONN);
	CHECK_ERR(send(fds[0], data, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(accept(fds[0], NULL, NULL), EINVAL);
	CHECK(close(fds[0]) == 0);
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
	RUN(twenty_tcp_clients_are_echoed);
	RUN(twenty_unix_clients_are_echoed);
	RUN(one_send_of_8_mb_is_whole);
	RUN(messages_keep_their_borders);
	RUN(udp_goes_there_and_back);
	RUN(shutdown_ends_a_blocked_reader);
	RUN(a_reset_reaches_a_blocked_reader);
	RUN(small_cases_and_mistakes);
	return check_done();
}
