/* nonblock.c -- O_NONBLOCK belongs to the open description: through whatever descriptor, thread or
 * process it is set
 *
 * threads: 2
 */
#include "check.h"
#include "net.h"
#include <sys/eventfd.h>
#include <sys/ioctl.h>

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
enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

static int fds[2];
static struct step arrived = STEP_INIT;

static int flags(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static void set_by_fcntl(int fd, int on)
{
	int now = fcntl(fd, F_GETFL);

	CHECK(fcntl(fd, F_SETFL, on ? now | O_NONBLOCK : now & ~O_NONBLOCK) == 0);
}

static void set_by_ioctl(int fd, int on)
{
	CHECK(ioctl(fd, FIONBIO, &on) == 0);
}

static void set_by_dup(int fd, int on)
{
	int other = dup(fd);

	CHECK(other >= 0);
	set_by_fcntl(other, on);
	CHECK(close(other) == 0);
}

static void set_by_dup_ioctl(int fd, int on)
{
	int other = fcntl(fd, F_DUPFD_CLOEXEC, 200);

	CHECK(other >= 200);
	set_by_ioctl(other, on);
	CHECK(close(other) == 0);
}

static void set_by_child(int fd, int on)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		set_by_fcntl(fd, on);
		_exit(0);
	}
	CHECK_CHILD(child);
}

/* A descriptor that went through a socket is another one of the same description. */
static void set_by_passing(int fd, int on)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char c = 'x';
	struct iovec part = {&c, 1};
	struct msghdr message;
	int way[2], other;

	unix_pair(SOCK_STREAM, way);
	memset(&message, 0, sizeof(message));
	memset(&control, 0, sizeof(control));
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	CHECK_EQ(sendmsg(way[0], &message, 0), 1);
	CHECK_EQ(recvmsg(way[1], &message, 0), 1);
	memcpy(&other, CMSG_DATA(&control.head), sizeof(int));
	set_by_fcntl(other, on);
	CHECK(close(other) == 0);
	close_pair(way);
}

static void (*const setters[])(int fd, int on) = {set_by_fcntl,	    set_by_ioctl, set_by_dup,
						  set_by_dup_ioctl, set_by_child, set_by_passing};
enum { SETTERS = sizeof(setters) / sizeof(setters[0]) };

static void *read_four(void *arg)
{
	char data[8];

	step_add(&arrived, 1);
	CHECK_EQ(read(fds[0], data, sizeof(data)), 4);
	return arg;
}

/* Sets it and takes it back: in between a read fails at once, afterwards it waits. */
static void *toggle(void *arg)
{
	void (*set)(int fd, int on) = setters[(intptr_t)arg];
	char data[65536] = "";
	pthread_t thread;

	CHECK_EQ(flags(fds[0]), 0);
	set(fds[0], 1);
	CHECK_EQ(flags(fds[0]), O_NONBLOCK);
	CHECK_EQ(flags(fds[1]), 0);
	CHECK_ERR(read(fds[0], data, 8), EAGAIN);
	CHECK_EQ(write(fds[1], "ping", 4), 4);
	CHECK_EQ(read(fds[0], data, 8), 4);
	CHECK_ERR(read(fds[0], data, 8), EAGAIN);
	set(fds[0], 0);
	CHECK_EQ(flags(fds[0]), 0);
	step_reset(&arrived);
	thread = thread_start(read_four, NULL);
	step_wait(&arrived, 1);
	for (int i = 0; i < 5; i++)
		sched_yield();
	CHECK_EQ(write(fds[1], "ping", 4), 4);
	thread_join(thread);

	set(fds[1], 1);
	while (write(fds[1], data, sizeof(data)) > 0)
		continue;
	CHECK_EQ(errno, EAGAIN);
	set(fds[1], 0);
	return NULL;
}

static void whoever_sets_it_all_see_it(void)
{
	for (int i = 0; i < PAIRS; i++)
		for (intptr_t k = 0; k < SETTERS; k++) {
			pairs[i](fds);
			thread_join(thread_start(toggle, (void *)k));
			close_pair(fds);
		}
}

static void *read_four_or_nothing(void *arg)
{
	char data[8];
	ssize_t n;

	step_add(&arrived, 1);
	n = read(fds[0], data, sizeof(data));
	CHECK(n == 4 || (n == -1 && errno == EAGAIN));
	return n == 4 ? arg : (void *)"late";
}

/* Linux looks at the flag when a call begins: setting it does not touch who waits already. One that
 * came later gets EAGAIN, and leaves the data where they are. */
static void who_waits_already_goes_on_waiting(void)
{
	for (int i = 0; i < PAIRS; i++) {
		char data[8];
		pthread_t thread;

		pairs[i](fds);
		step_reset(&arrived);
		thread = thread_start(read_four_or_nothing, NULL);
		step_wait(&arrived, 1);
		let_block();
		set_by_fcntl(fds[0], 1);
		let_block();
		CHECK_EQ(write(fds[1], "ping", 4), 4);
		if (thread_join(thread))
			CHECK_EQ(read(fds[0], data, sizeof(data)), 4);
		else
			CHECK_ERR(read(fds[0], data, sizeof(data)), EAGAIN);
		close_pair(fds);
	}
}

static void *wait_on_own(void *arg)
{
	char data[8];
	int ends[2], n = (int)(intptr_t)arg;

	pairs[n % PAIRS](ends);
	set_by_fcntl(ends[0], n / PAIRS);
	for (int i = 0; i < 50; i++) {
		if (n / PAIRS) {
			CHECK_ERR(read(ends[0], data, 8), EAGAIN);
			CHECK_EQ(write(ends[1], "ping", 4), 4);
			CHECK_EQ(read(ends[0], data, 8), 4);
		} else {
			CHECK_EQ(write(ends[1], "ping", 4), 4);
			CHECK_EQ(read(ends[0], data, 8), 4);
		}
		CHECK_EQ(flags(ends[0]), n / PAIRS ? O_NONBLOCK : 0);
		CHECK_EQ(flags(ends[1]), 0);
	}
	close_pair(ends);
	return NULL;
}

static void blocking_and_not_live_side_by_side(void)
{
	pthread_t threads[2 * PAIRS];

	threads_start(threads, 2 * PAIRS, wait_on_own);
	threads_join(threads, 2 * PAIRS);
}

static void *made_so(void *arg)
{
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 4), client, fd;
	char c;

	CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK_ERR(read(fds[0], &c, 1), EAGAIN);
	close_pair(fds);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	CHECK_ERR(read(fds[0], &c, 1), EAGAIN);
	close_pair(fds);
	CHECK((fd = eventfd(0, EFD_NONBLOCK)) >= 0);
	CHECK_ERR(eventfd_read(fd, (eventfd_t *)(void *)fds), EAGAIN);
	CHECK(close(fd) == 0);

	set_by_fcntl(listener, 1);
	CHECK_ERR(accept(listener, NULL, NULL), EAGAIN);
	client = tcp_connect(&at);
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
		CHECK_EQ(errno, EAGAIN);
	CHECK_ERR(read(fd, &c, 1), EAGAIN);
	CHECK(close(fd) == 0 && close(client) == 0);
	client = tcp_connect(&at);
	while ((fd = accept(listener, NULL, NULL)) < 0)
		CHECK_EQ(errno, EAGAIN);
	/* Linux: an accepted socket does not inherit the listener's flag. */
	CHECK_EQ(flags(fd), 0);
	CHECK(close(fd) == 0 && close(client) == 0 && close(listener) == 0);
	return arg;
}

static void descriptors_may_be_made_non_blocking(void)
{
	thread_join(thread_start(made_so, NULL));
}

int main(void)
{
	check_begin();
	RUN(whoever_sets_it_all_see_it);
	RUN(who_waits_already_goes_on_waiting);
	RUN(blocking_and_not_live_side_by_side);
	RUN(descriptors_may_be_made_non_blocking);
	return check_done();
}
