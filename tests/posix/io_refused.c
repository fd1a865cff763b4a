/* io_refused.c -- calls that the kernel answers at once though nothing is ready, and what ends a wait
 *
 * Whether a descriptor is ready does not say whether a call on it would wait: it may be of a kind,
 * or open in a way, that is refused before that. And a wait has the rules that held when it began.
 *
 * threads: 2
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static struct step arrived = STEP_INIT;

static void accept_is_refused_of_what_does_not_listen(void)
{
	int fds[2], udp = socket(AF_INET, SOCK_DGRAM, 0), fresh = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 4);

	unix_pair(SOCK_STREAM, fds);
	CHECK_ERR(accept(udp, NULL, NULL), EOPNOTSUPP);
	CHECK_ERR(accept(fds[0], NULL, NULL), EINVAL);
	CHECK_ERR(accept(fresh, NULL, NULL), EINVAL);
	CHECK_ERR(accept4(listener, NULL, NULL, 1), EINVAL);
	close_pair(fds);
	CHECK(close(udp) == 0 && close(fresh) == 0 && close(listener) == 0);
}

static void the_wrong_end_is_refused(void)
{
	char path[64], name[64], byte = 0, big[4096] = {0};
	int master = posix_openpt(O_RDWR | O_NOCTTY), n = 0;

	snprintf(path, sizeof(path), "/tmp/weft-refused.%d", (int)getpid());
	CHECK(mkfifo(path, 0600) == 0);
	int both = open(path, O_RDWR), writes = open(path, O_WRONLY), reads = open(path, O_RDONLY);

	CHECK(unlink(path) == 0);
	CHECK(both >= 0 && writes >= 0 && reads >= 0);
	CHECK_ERR(read(writes, &byte, 1), EBADF);
	while (write(both, big, sizeof(big)) > 0) {
		CHECK(ioctl(both, FIONREAD, &n) == 0);
		if (n >= 65536)
			break;
	}
	CHECK_ERR(write(reads, &byte, 1), EBADF);
	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK_OK(ptsname_r(master, name, sizeof(name)));
	int terminal = open(name, O_WRONLY | O_NOCTTY);

	CHECK(terminal >= 0);
	CHECK_ERR(read(terminal, &byte, 1), EBADF);
	CHECK(close(terminal) == 0 && close(master) == 0);
	CHECK(close(both) == 0 && close(writes) == 0 && close(reads) == 0);
}

static void what_cannot_be_written_or_read_says_so(void)
{
	int notify = inotify_init1(IN_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0), marks;
	struct fanotify_response answer = {77, FAN_ALLOW};
	uint64_t eight = 1;

	CHECK_ERR(write(notify, &eight, 1), EBADF);
	CHECK_ERR(write(timer, &eight, 8), EINVAL);
	CHECK_ERR(read(timer, &eight, 1), EINVAL);
	CHECK_ERR(read(process, &eight, 1), EINVAL);
	CHECK(close(notify) == 0 && close(timer) == 0 && close(process) == 0);
	marks = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
	if (marks < 0)
		return;		/* it takes a privilege */
	CHECK_ERR(write(marks, &answer, sizeof(answer)), ENOENT);
	CHECK(close(marks) == 0);
}

struct sender {
	int fd;
	struct step done;
};

static void *send_much(void *arg)
{
	static char much[1 << 22];
	struct sender *s = (struct sender *)arg;

	step_add(&arrived, 1);
	CHECK(send(s->fd, much, sizeof(much), MSG_NOSIGNAL) < (ssize_t)sizeof(much));
	step_add(&s->done, 1);
	return NULL;
}

/* By this end's number, by a duplicate of it, or by the other end. */
static void shutdown_ends_a_send_that_waits(void)
{
	for (int way = 0; way < 3; way++) {
		struct sender s = {-1, STEP_INIT};
		int fds[2], other;

		unix_pair(SOCK_STREAM, fds);
		s.fd = fds[0];
		CHECK((other = dup(fds[0])) >= 0);
		step_reset(&arrived);
		pthread_t thread = thread_start(send_much, &s);

		step_wait(&arrived, 1);
		let_block();
		CHECK(shutdown(way == 0 ? fds[0] : way == 1 ? other : fds[1],
			       way == 2 ? SHUT_RD : SHUT_WR) == 0);
		thread_join(thread);
		CHECK(close(other) == 0);
		close_pair(fds);
	}
}

static void *read_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char byte;

	step_add(&arrived, 1);
	CHECK_EQ(read(fd, &byte, 1), 1);
	return NULL;
}

static void a_wait_that_has_begun_goes_on_though_others_may_not_wait(void)
{
	int fds[2], empty[2];

	unix_pair(SOCK_STREAM, fds);
	unix_pair(SOCK_STREAM, empty);
	step_reset(&arrived);
	pthread_t thread = thread_start(read_one, (void *)(intptr_t)fds[0]);

	step_wait(&arrived, 1);
	let_block();
	CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	kill(getpid(), SIGURG);	/* which does nothing */
	CHECK(shutdown(empty[0], SHUT_RD) == 0);
	let_block();
	CHECK_EQ(write(fds[1], "x", 1), 1);
	thread_join(thread);
	close_pair(fds);
	close_pair(empty);
}

static void a_limit_set_by_a_duplicate_holds(void)
{
	struct timeval limit = {0, 50000}, none = {0, 0};
	int fds[2], other;
	char byte;

	unix_pair(SOCK_STREAM, fds);
	CHECK((other = dup(fds[0])) >= 0);
	CHECK_ERR(recv(other, &byte, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(write(fds[1], "xy", 2), 2);
	CHECK_EQ(read(other, &byte, 1), 1);
	CHECK_EQ(read(fds[0], &byte, 1), 1);
	CHECK(setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	CHECK_ERR(read(fds[0], &byte, 1), EAGAIN);
	CHECK(setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)) == 0);
	CHECK(close(other) == 0);
	close_pair(fds);
}

static void *raise_event(void *arg)
{
	uint64_t one = 1;

	let_block();
	CHECK_EQ(write((int)(intptr_t)arg, &one, sizeof(one)), 8);
	return NULL;
}

static void the_deepest_chain_of_epoll_sets_can_be_waited_for(void)
{
	int event = eventfd(0, 0), chain[16], n = 0;
	struct epoll_event e = {EPOLLIN, {0}};

	for (int below = event; n < 16; below = chain[n++]) {
		CHECK((chain[n] = epoll_create1(0)) >= 0);
		if (epoll_ctl(chain[n], EPOLL_CTL_ADD, below, &e) == 0)
			continue;
		CHECK(close(chain[n]) == 0);
		break;
	}
	CHECK(n > 2 && n < 16);
	CHECK_EQ(epoll_wait(chain[n - 1], &e, 1, 20), 0);
	pthread_t thread = thread_start(raise_event, (void *)(intptr_t)event);

	CHECK_EQ(epoll_wait(chain[n - 1], &e, 1, -1), 1);
	thread_join(thread);
	while (n)
		CHECK(close(chain[--n]) == 0);
	CHECK(close(event) == 0);
}

static void *all(void *arg)
{
	RUN(accept_is_refused_of_what_does_not_listen);
	RUN(the_wrong_end_is_refused);
	RUN(what_cannot_be_written_or_read_says_so);
	RUN(shutdown_ends_a_send_that_waits);
	RUN(a_wait_that_has_begun_goes_on_though_others_may_not_wait);
	RUN(a_limit_set_by_a_duplicate_holds);
	RUN(the_deepest_chain_of_epoll_sets_can_be_waited_for);
	return arg;
}

int main(void)
{
	check_begin();
	thread_join(thread_start(all, NULL));
	return check_done();
}
