/* io_timeouts.c -- SO_RCVTIMEO, SO_SNDTIMEO and the time-outs of poll and kin: kept, not early, and
 * not in others' way
 *
 * threads: 30
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

enum { THREADS = 30, WAIT_MS = 30 };

static int fds[2];
static struct step arrived = STEP_INIT;

static void set_timeout(int fd, int option, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000}, read_back;
	socklen_t len = sizeof(read_back);

	CHECK(setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, option, &read_back, &len) == 0);
	CHECK(read_back.tv_sec * 1000 + read_back.tv_usec / 1000 >= ms);
}

/* Every way to receive, on a socket where nothing comes. The kernel counts in ticks of up to 10 ms,
 * rounded up. */
static void receive(int fd, int way)
{
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	struct mmsghdr messages[2];
	struct msghdr message;
	struct iovec part;
	char data[8];

	part.iov_base = data;
	part.iov_len = sizeof(data);
	memset(&message, 0, sizeof(message));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	memset(messages, 0, sizeof(messages));
	messages[0].msg_hdr = messages[1].msg_hdr = message;
	switch (way % 6) {
	case 0:
		CHECK_ERR(read(fd, data, sizeof(data)), EAGAIN);
		break;
	case 1:
		CHECK_ERR(recv(fd, data, sizeof(data), 0), EAGAIN);
		break;
	case 2:
		CHECK_ERR(readv(fd, &part, 1), EAGAIN);
		break;
	case 3:
		CHECK_ERR(recvmsg(fd, &message, 0), EAGAIN);
		break;
	case 4:
		CHECK_ERR(recvmmsg(fd, messages, 2, 0, NULL), EAGAIN);
		break;
	case 5:
		CHECK_ERR(recv(fd, data, sizeof(data), MSG_WAITALL), EAGAIN);
		break;
	}
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= (WAIT_MS - 1) * 1000000);
}

static void *receive_all_ways(void *arg)
{
	int own[2], n = (int)(intptr_t)arg;

	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	if (n % 3 == 0)
		tcp_pair(own);
	else
		unix_pair(n % 3 == 1 ? SOCK_STREAM : SOCK_DGRAM, own);
	set_timeout(own[0], SO_RCVTIMEO, WAIT_MS);
	for (int i = 0; i < 3; i++)
		receive(own[0], n + i);
	close_pair(own);
	return NULL;
}

/* One after the other this would be 2.7 s. */
static void receiving_times_out(void)
{
	pthread_t threads[THREADS];
	int64_t start = now_ms();

	threads_start(threads, THREADS, receive_all_ways);
	threads_join(threads, THREADS);
	CHECK(now_ms() - start < 2600);
}

static void *send_until_full(void *arg)
{
	static char data[1 << 20];
	int own[2];
	size_t sent = 0;
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	ssize_t n;

	(intptr_t) arg % 2 ? tcp_pair(own) : unix_pair(SOCK_STREAM, own);
	set_timeout(own[1], SO_SNDTIMEO, WAIT_MS);
	/* What went out before the time was over is told; only when nothing went it is an error. */
	while ((n = send(own[1], data, sizeof(data), MSG_NOSIGNAL)) > 0)
		sent += n;
	CHECK(n == -1 && errno == EAGAIN);
	CHECK(sent > 1000);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= (WAIT_MS - 1) * 1000000);
	CHECK(shutdown(own[1], SHUT_WR) == 0);
	for (size_t have = 0;; have += n) {
		char in[65536];

		n = read(own[0], in, sizeof(in));
		CHECK(n >= 0);
		if (n == 0) {
			CHECK_EQ(have, sent);
			break;
		}
	}
	close_pair(own);
	return NULL;
}

static void sending_times_out(void)
{
	pthread_t threads[8];

	threads_start(threads, 8, send_until_full);
	threads_join(threads, 8);
}

static void *receive_in_time(void *arg)
{
	char data[8];

	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], data, sizeof(data), 0), 4);
	return arg;
}

static void what_comes_in_time_is_received(void)
{
	for (int i = 0; i < 4; i++) {
		pthread_t thread;

		i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
		set_timeout(fds[0], SO_RCVTIMEO, 30000);
		step_reset(&arrived);
		thread = thread_start(receive_in_time, NULL);
		step_wait(&arrived, 1);
		if (i < 2)
			let_block();
		CHECK_EQ(send(fds[1], "ping", 4, 0), 4);
		thread_join(thread);
		close_pair(fds);
	}
}

static void *part_of_waitall(void *arg)
{
	char data[8];

	step_add(&arrived, 1);
	CHECK_EQ(recv(fds[0], data, sizeof(data), MSG_WAITALL), 3);
	CHECK_ERR(recv(fds[0], data, sizeof(data), MSG_WAITALL), EAGAIN);
	return arg;
}

static void waitall_hands_out_what_came_in_time(void)
{
	pthread_t thread;

	tcp_pair(fds);
	set_timeout(fds[0], SO_RCVTIMEO, 60);
	CHECK_EQ(send(fds[1], "abc", 3, 0), 3);
	thread = thread_start(part_of_waitall, NULL);
	thread_join(thread);
	close_pair(fds);
}

static void *wait_in_vain(void *arg)
{
	struct epoll_event event = {EPOLLIN, {NULL}};
	struct timeval tv = {0, WAIT_MS * 1000};
	struct timespec ts = {0, WAIT_MS * 1000000};
	struct pollfd p = {fds[0], POLLIN, 0};
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	int set = epoll_create1(0);
	fd_set in;

	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event) == 0);
	FD_ZERO(&in);
	FD_SET(fds[0], &in);
	switch ((intptr_t)arg % 6) {
	case 0:
		CHECK_EQ(poll(&p, 1, WAIT_MS), 0);
		break;
	case 1:
		CHECK_EQ(ppoll(&p, 1, &ts, NULL), 0);
		CHECK_EQ(ts.tv_nsec, WAIT_MS * 1000000);
		break;
	case 2:
		CHECK_EQ(select(fds[0] + 1, &in, NULL, NULL, &tv), 0);
		/* Linux tells in tv what was left. */
		CHECK_EQ(tv.tv_sec * 1000000 + tv.tv_usec, 0);
		CHECK(!FD_ISSET(fds[0], &in));
		break;
	case 3:
		CHECK_EQ(pselect(fds[0] + 1, &in, NULL, NULL, &ts, NULL), 0);
		break;
	case 4:
		CHECK_EQ(epoll_wait(set, &event, 1, WAIT_MS), 0);
		break;
	case 5:
		CHECK_EQ(syscall(SYS_epoll_pwait2, set, &event, 1, &ts, NULL, 8), 0);
		break;
	}
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= WAIT_MS * 1000000);
	CHECK(close(set) == 0);
	return NULL;
}

static void polling_times_out(void)
{
	pthread_t threads[THREADS];
	int64_t start = now_ms();

	unix_pair(SOCK_STREAM, fds);
	threads_start(threads, THREADS, wait_in_vain);
	threads_join(threads, THREADS);
	CHECK(now_ms() - start < THREADS * WAIT_MS);
	close_pair(fds);
}

static void *bad_times(void *arg)
{
	struct timespec bad = {0, 1000000000};
	struct timeval negative = {-1, 0};
	struct pollfd p = {fds[0], POLLIN, 0};

	CHECK_ERR(ppoll(&p, 1, &bad, NULL), EINVAL);
	CHECK_ERR(pselect(0, NULL, NULL, NULL, &bad, NULL), EINVAL);
	CHECK_ERR(select(0, NULL, NULL, NULL, &negative), EINVAL);
	CHECK_ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	return arg;
}

static void a_bad_time_is_refused(void)
{
	bad_times(NULL);
	thread_join(thread_start(bad_times, NULL));
}

static void *write_late(void *arg)
{
	usleep(4 * WAIT_MS * 1000);
	CHECK_EQ(write((int)(intptr_t)arg, "x", 1), 1);
	return NULL;
}

/* The next file of that number is a pipe, which has no limit. */
static void a_limit_ends_with_its_socket(void)
{
	int ends[2];
	char byte;

	unix_pair(SOCK_STREAM, fds);
	set_timeout(fds[0], SO_RCVTIMEO, WAIT_MS);
	CHECK_ERR(read(fds[0], &byte, 1), EAGAIN);
	CHECK(pipe(ends) == 0);
	CHECK(dup2(ends[0], fds[0]) == fds[0]);
	pthread_t thread = thread_start(write_late, (void *)(intptr_t)ends[1]);

	CHECK_EQ(read(fds[0], &byte, 1), 1);
	thread_join(thread);
	close_pair(ends);
	close_pair(fds);
}

int main(void)
{
	check_begin();
	RUN(receiving_times_out);
	RUN(sending_times_out);
	RUN(what_comes_in_time_is_received);
	RUN(waitall_hands_out_what_came_in_time);
	RUN(a_limit_ends_with_its_socket);
	RUN(polling_times_out);
	RUN(a_bad_time_is_refused);
	return check_done();
}
