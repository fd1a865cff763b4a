/* close_waiter.c -- a descriptor that is closed or replaced while another thread waits on it
 *
 * On Linux the waiter holds what it waits on: it goes on waiting, later data still comes to it, and
 * the number is free at once. A second descriptor of the same description (a dup) is held where the
 * test must reach it afterwards.
 *
 * threads: 1
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static int fds[2], replacement;
static struct step arrived = STEP_INIT;

static void pipe_pair(int ends[2])
{
	CHECK(pipe(ends) == 0);
}

static void stream_pair(int ends[2])
{
	unix_pair(SOCK_STREAM, ends);
}

static void dgram_pair(int ends[2])
{
	unix_pair(SOCK_DGRAM, ends);
}

static void (*const pairs[])(int ends[2]) = {pipe_pair, stream_pair, dgram_pair, tcp_pair};
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]), SEVERAL = 4 };

static void *read_a_byte(void *arg)
{
	char byte;
	ssize_t n = read((int)(intptr_t)arg, &byte, 1);

	CHECK(n == 1 || (n < 0 && errno == EBADF));
	return n == 1 ? NULL : (void *)"late";
}

/* What comes is for one after the other, and each stays until its turn. Returns whether all had come in time. */
static int several_read(void (*pair)(int ends[2]))
{
	pthread_t threads[SEVERAL];
	int late = 0;

	pair(fds);
	int held = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);

	for (int i = 0; i < SEVERAL; i++)
		threads[i] = thread_start(read_a_byte, (void *)(intptr_t)fds[0]);
	let_block();
	CHECK(close(fds[0]) == 0);
	for (int i = 0; i < SEVERAL; i++) {
		CHECK_EQ(write(fds[1], "x", 1), 1);
		usleep(2000);
	}
	for (int i = 0; i < SEVERAL; i++)
		late += thread_join(threads[i]) != NULL;
	CHECK(close(held) == 0 && close(fds[1]) == 0);
	return !late;
}

static void several_waiters_stay_until_their_turn(void)
{
	for (int i = 0; i < PAIRS; i++) {
		int rounds = 1;

		for (; !several_read(pairs[i]); rounds++)
			CHECK(rounds < 20);
	}
}

static void *read_hello(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char text[8];
	ssize_t n;

	step_add(&arrived, 1);
	n = read(fd, text, sizeof(text));
	/* The reader may have come too late: then it has met the closed number, or what stands
	 * there now. */
	if (n == -1) {
		CHECK_EQ(errno, EBADF);
		return (void *)"late";
	}
	CHECK_EQ(n, 5);
	CHECK(memcmp(text, "hello", 5) == 0);
	return NULL;
}

/* Closes the waiter's descriptor in one of four ways. */
static void take_away(int fd, int way)
{
	switch (way) {
	case 0:
		CHECK(close(fd) == 0);
		CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
		break;
	case 1:
		CHECK_EQ(dup2(replacement, fd), fd);
		break;
	case 2:
		CHECK_EQ(dup3(replacement, fd, O_CLOEXEC), fd);
		CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
		break;
	case 3:
		CHECK(syscall(SYS_close_range, fd, fd, 0) == 0);
		CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
		break;
	}
}

/* The replacement holds "hello" as well, so a reader that came late through dup2 reads that. */
static void replacement_make(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	CHECK_EQ(write(ends[1], "hello", 5), 5);
	replacement = ends[0];
	CHECK(close(ends[1]) == 0);
}

static void the_waiter_still_gets_later_data(void)
{
	for (int i = 0; i < PAIRS * 4; i++) {
		pthread_t thread;
		char text[8];
		int kept;

		replacement_make();
		pairs[i / 4](fds);
		/* Held, so that the other end is no broken pipe whenever the waiter has come too
		 * late. */
		CHECK((kept = dup(fds[0])) >= 0);
		step_reset(&arrived);
		thread = thread_start(read_hello, (void *)(intptr_t)fds[0]);
		step_wait(&arrived, 1);
		let_block();
		take_away(fds[0], i % 4);
		CHECK_EQ(write(fds[1], "hello", 5), 5);
		thread_join(thread);
		if (i % 4 == 1 || i % 4 == 2) {
			/* One of the two hellos went to the thread, the other is still there. */
			CHECK(fcntl(kept, F_SETFL, O_NONBLOCK) == 0);
			int left = read(kept, text, sizeof(text)) == 5;
			int other = read(replacement, text, sizeof(text)) == 5;
			CHECK_EQ(left + other, 1);
			CHECK(close(fds[0]) == 0);
		}
		CHECK(close(kept) == 0 && close(fds[1]) == 0 && close(replacement) == 0);
	}
}

/* Without another descriptor the waiter alone keeps the description alive: the peer sees no hang-up
 * before it is done. */
static void the_waiter_alone_keeps_it_open(void)
{
	for (int i = 0; i < PAIRS; i++) {
		pthread_t thread;
		struct pollfd p = {-1, POLLRDHUP, 0};
		ssize_t n;

		pairs[i](fds);
		step_reset(&arrived);
		thread = thread_start(read_hello, (void *)(intptr_t)fds[0]);
		step_wait(&arrived, 1);
		let_block();
		CHECK(close(fds[0]) == 0);
		p.fd = fds[1];
		CHECK(poll(&p, 1, 0) >= 0);
		/* A waiter that came too late has let go of everything: only then may there be a
		 * hang-up. */
		n = write(fds[1], "hello", 5);
		if (n != 5 || p.revents)
			CHECK(thread_join(thread) != NULL);
		else
			thread_join(thread);
		CHECK(close(fds[1]) == 0);
	}
}

static void *accept_one(void *arg)
{
	int fd;

	step_add(&arrived, 1);
	fd = accept((int)(intptr_t)arg, NULL, NULL);
	if (fd < 0) {
		CHECK_EQ(errno, EBADF);
		return (void *)"late";
	}
	CHECK(close(fd) == 0);
	return NULL;
}

/* A listener that one thread waits on goes on listening after its close, for that one connection.
 */
static void a_blocked_accept_outlives_its_listener(void)
{
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 4), client = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	step_reset(&arrived);
	thread = thread_start(accept_one, (void *)(intptr_t)listener);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(listener) == 0);
	if (connect(client, (struct sockaddr *)&at, sizeof(at)) < 0) {
		CHECK_EQ(errno, ECONNREFUSED);
		CHECK(thread_join(thread) != NULL);
	} else {
		thread_join(thread);
	}
	CHECK(close(client) == 0);
}

static void *poll_both(void *arg)
{
	struct pollfd p[2] = {{fds[0], POLLIN, 0}, {(int)(intptr_t)arg, POLLIN, 0}};

	step_add(&arrived, 1);
	CHECK(poll(p, 2, -1) >= 1);
	CHECK((p[0].revents & ~POLLNVAL) == 0);
	CHECK(p[1].revents == POLLIN || p[0].revents == POLLNVAL);
	return NULL;
}

static void a_poll_goes_on_with_the_rest(void)
{
	int event = eventfd(0, 0);
	pthread_t thread;

	unix_pair(SOCK_STREAM, fds);
	step_reset(&arrived);
	thread = thread_start(poll_both, (void *)(intptr_t)event);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(fds[0]) == 0);
	CHECK(eventfd_write(event, 1) == 0);
	thread_join(thread);
	CHECK(close(fds[1]) == 0 && close(event) == 0);
}

static void *epoll_one(void *arg)
{
	struct epoll_event event;
	int n;

	step_add(&arrived, 1);
	n = epoll_wait((int)(intptr_t)arg, &event, 1, -1);
	CHECK(n == 1 || (n == -1 && errno == EBADF));
	return NULL;
}

/* Closing a descriptor takes it out of every set; closing the set itself leaves a waiter waiting.
 */
static void an_epoll_wait_goes_on_after_closes(void)
{
	struct epoll_event event = {EPOLLIN, {NULL}};
	int set = epoll_create1(0), kept, wake = eventfd(0, 0);
	pthread_t thread;

	unix_pair(SOCK_STREAM, fds);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event) == 0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, wake, &event) == 0);
	CHECK((kept = dup(set)) >= 0);
	step_reset(&arrived);
	thread = thread_start(epoll_one, (void *)(intptr_t)set);
	step_wait(&arrived, 1);
	let_block();
	CHECK(close(fds[0]) == 0);
	CHECK(close(set) == 0);
	CHECK(eventfd_write(wake, 1) == 0);
	thread_join(thread);
	CHECK(close(kept) == 0 && close(wake) == 0 && close(fds[1]) == 0);
}

static void *write_much(void *arg)
{
	static char data[1 << 20];
	ssize_t n;

	step_add(&arrived, 1);
	n = write((int)(intptr_t)arg, data, sizeof(data));
	CHECK(n == sizeof(data) || (n == -1 && errno == EBADF));
	return n < 0 ? (void *)"late" : NULL;
}

static void a_blocked_writer_writes_to_the_end(void)
{
	for (int i = 0; i < 2; i++) {
		static char data[1 << 20];
		pthread_t thread;
		size_t have;
		void *late;

		pairs[i](fds);
		if (i == 0) {
			int kept = fds[1];

			fds[1] = dup(kept);
			CHECK(close(kept) == 0);
		}
		int to = i == 0 ? fds[1] : fds[0], from = i == 0 ? fds[0] : fds[1];

		step_reset(&arrived);
		thread = thread_start(write_much, (void *)(intptr_t)to);
		step_wait(&arrived, 1);
		let_block();
		CHECK(close(to) == 0);
		have = read_all(from, data, sizeof(data));
		late = thread_join(thread);
		CHECK_EQ(have, late ? 0 : sizeof(data));
		CHECK_EQ(read(from, data, 1), 0);
		CHECK(close(from) == 0);
	}
}

int main(void)
{
	check_begin();
	signal(SIGPIPE, SIG_IGN);
	RUN(the_waiter_still_gets_later_data);
	RUN(the_waiter_alone_keeps_it_open);
	RUN(several_waiters_stay_until_their_turn);
	RUN(a_blocked_accept_outlives_its_listener);
	RUN(a_poll_goes_on_with_the_rest);
	RUN(an_epoll_wait_goes_on_after_closes);
	RUN(a_blocked_writer_writes_to_the_end);
	return check_done();
}
