/* accept_connect.c -- accepting and connecting: several acceptors, refusals, full backlogs,
 * time-outs
 *
 * threads: 8
 */
#include "check.h"
#include "net.h"
#include <stddef.h>

enum { ACCEPTORS = 8, EACH = 20 };

static struct sockaddr_in at;
static struct sockaddr_un path;
static socklen_t path_len;
static int listener, accepted;
static struct step arrived = STEP_INIT;

/* A name in the abstract space, the kernel's choice: no file stays behind. */
static int unix_listen(int type, int backlog)
{
	struct sockaddr_un none = {AF_UNIX, ""};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 &&
	      bind(fd, (struct sockaddr *)&none, offsetof(struct sockaddr_un, sun_path)) == 0);
	path_len = sizeof(path);
	CHECK(getsockname(fd, (struct sockaddr *)&path, &path_len) == 0);
	CHECK(listen(fd, backlog) == 0);
	return fd;
}

static int unix_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	return fd;
}

/* Greets each client with one byte and waits until it has gone. */
static void *accept_some(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char c;
		int fd;

		step_add(&arrived, 1);
		if ((intptr_t)arg % 2)
			fd = accept(listener, NULL, NULL);
		else
			fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
		CHECK(fd >= 0);
		CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR);
		CHECK_EQ(fcntl(fd, F_GETFD), (intptr_t)arg % 2 ? 0 : FD_CLOEXEC);
		__atomic_add_fetch(&accepted, 1, __ATOMIC_SEQ_CST);
		CHECK_EQ(write(fd, "!", 1), 1);
		CHECK_EQ(read(fd, &c, 1), 0);
		CHECK(close(fd) == 0);
	}
	return NULL;
}

static void *tcp_visit(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		int fd = tcp_connect(&at);
		char c;

		CHECK_EQ(read(fd, &c, 1), 1);
		CHECK_EQ(c, '!');
		CHECK(close(fd) == 0);
	}
	(void)arg;
	return NULL;
}

static void *unix_visit(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		int fd = unix_socket(SOCK_STREAM);
		char c;

		CHECK(connect(fd, (struct sockaddr *)&path, path_len) == 0);
		CHECK_EQ(read(fd, &c, 1), 1);
		CHECK(close(fd) == 0);
	}
	(void)arg;
	return NULL;
}

static void visit_all(void *(*visit)(void *))
{
	pthread_t acceptors[ACCEPTORS], visitors[ACCEPTORS];

	accepted = 0;
	step_reset(&arrived);
	threads_start(acceptors, ACCEPTORS, accept_some);
	step_wait(&arrived, ACCEPTORS);
	let_block();
	threads_start(visitors, ACCEPTORS, visit);
	threads_join(visitors, ACCEPTORS);
	threads_join(acceptors, ACCEPTORS);
	CHECK_EQ(accepted, ACCEPTORS * EACH);
	CHECK(close(listener) == 0);
}

static void several_acceptors_share_a_tcp_listener(void)
{
	listener = tcp_listen(&at, 128);
	visit_all(tcp_visit);
}

static void several_acceptors_share_a_unix_listener(void)
{
	listener = unix_listen(SOCK_STREAM, 128);
	visit_all(unix_visit);
}

/* connect(2) of AF_UNIX waits while the backlog is full: with a backlog of 0 all but the first
 * visitors wait. */
static void unix_connects_wait_for_a_full_backlog(void)
{
	pthread_t visitors[ACCEPTORS], acceptor;
	int rounds = ACCEPTORS;

	listener = unix_listen(SOCK_STREAM, 0);
	threads_start(visitors, ACCEPTORS, unix_visit);
	let_block();
	while (rounds--) {
		acceptor = thread_start(accept_some, (void *)1);
		thread_join(acceptor);
	}
	threads_join(visitors, ACCEPTORS);
	CHECK(close(listener) == 0);
}

static void *connect_to_what_closes(void *arg)
{
	int fd = unix_socket(SOCK_STREAM);

	step_add(&arrived, 1);
	CHECK_ERR(connect(fd, (struct sockaddr *)&path, path_len), ECONNREFUSED);
	CHECK(close(fd) == 0);
	return arg;
}

static void closing_the_listener_refuses_who_waits_for_its_backlog(void)
{
	int fd = unix_socket(SOCK_STREAM);
	pthread_t thread;

	listener = unix_listen(SOCK_STREAM, 0);
	CHECK(connect(fd, (struct sockaddr *)&path, path_len) == 0);
	step_reset(&arrived);
	thread = thread_start(connect_to_what_closes, NULL);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(listener) == 0);
	thread_join(thread);
	CHECK(close(fd) == 0);
}

static void *refused(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), other = unix_socket(SOCK_STREAM);
	struct sockaddr_in nowhere = at;
	struct sockaddr_un no_file = {AF_UNIX, "/nonexistent/socket"};

	CHECK_ERR(connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)), ECONNREFUSED);
	CHECK(close(fd) == 0);
	CHECK_ERR(connect(other, (struct sockaddr *)&no_file, sizeof(no_file)), ENOENT);
	CHECK(close(other) == 0);
	CHECK_ERR(connect(other, (struct sockaddr *)&no_file, sizeof(no_file)), EBADF);
	CHECK_ERR(connect(0x7ffffff0, (struct sockaddr *)&no_file, sizeof(no_file)), EBADF);
	return arg;
}

/* A bound socket that does not listen keeps the port from anyone else: a connect there is refused,
 * surely. */
static void a_connect_to_nobody_is_refused(void)
{
	socklen_t len = sizeof(at);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_port = 0;
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(bound, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(getsockname(bound, (struct sockaddr *)&at, &len) == 0);
	refused(NULL);
	thread_join(thread_start(refused, NULL));
	CHECK(close(bound) == 0);
}

static void *accept_in_20_ms(void *arg)
{
	int64_t start = clock_ns(CLOCK_MONOTONIC);

	CHECK_ERR(accept(listener, NULL, NULL), EAGAIN);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 20000000);
	return arg;
}

static void accept_times_out(void)
{
	struct timeval t = {0, 20000};

	listener = tcp_listen(&at, 4);
	CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	accept_in_20_ms(NULL);
	thread_join(thread_start(accept_in_20_ms, NULL));
	CHECK(close(listener) == 0);
}

static void *accept_until_shutdown(void *arg)
{
	step_add(&arrived, 1);
	CHECK_ERR(accept(listener, NULL, NULL), EINVAL);
	return arg;
}

static void shutdown_ends_a_blocked_accept(void)
{
	pthread_t threads[4];

	listener = tcp_listen(&at, 4);
	step_reset(&arrived);
	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(accept_until_shutdown, NULL);
	step_wait(&arrived, 4);
	let_block();
	CHECK(shutdown(listener, SHUT_RD) == 0);
	threads_join(threads, 4);
	CHECK(close(listener) == 0);
}

static void a_non_blocking_connect_tells_by_poll_and_so_error(void)
{
	socklen_t len = sizeof(int);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = -1;
	struct pollfd ready = {fd, POLLOUT, 0};

	listener = tcp_listen(&at, 4);
	CHECK(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EINPROGRESS);
	CHECK_EQ(poll(&ready, 1, 10000), 1);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
	CHECK_EQ(error, 0);
	CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EISCONN);
	CHECK_ERR(connect(fd, (struct sockaddr *)&at, sizeof(at)), EISCONN);
	CHECK(close(fd) == 0);
	CHECK(close(listener) == 0);
}

int main(void)
{
	check_begin();
	RUN(several_acceptors_share_a_tcp_listener);
	RUN(several_acceptors_share_a_unix_listener);
	RUN(unix_connects_wait_for_a_full_backlog);
	RUN(closing_the_listener_refuses_who_waits_for_its_backlog);
	RUN(a_connect_to_nobody_is_refused);
	RUN(accept_times_out);
	RUN(shutdown_ends_a_blocked_accept);
	RUN(a_non_blocking_connect_tells_by_poll_and_so_error);
	return check_done();
}
