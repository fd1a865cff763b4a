/* echo_epoll.c -- the peer: a TCP echo server on an edge-triggered epoll set, written by hand
 *
 *   echo_epoll [ADDRESS [PORT]]   without PORT it takes a free one and prints "port N"
 *
 * It makes the fewest calls that such a server can: one buffer for all connections, larger than a
 * message, so that a short read says that the socket is empty (epoll(7)) and the read that would
 * find EAGAIN is left out. What a full socket does not take is kept for the connection and sent
 * when epoll reports room.
 */
#include "bench.h"
#include <sys/epoll.h>
#include <sys/resource.h>

struct rest {
	char *data; /* what the socket did not take; NULL for nothing */
	size_t size;
};

static struct rest *rests; /* by descriptor */
static char buffer[16384];

static void hang_up(int fd)
{
	free(rests[fd].data);
	rests[fd] = (struct rest){NULL, 0};
	close(fd);
}

static int send_or_keep(int fd, const char *data, size_t size)
{
	ssize_t n = write(fd, data, size);

	if (n < 0 && errno != EAGAIN)
		return -1;
	if (n < 0)
		n = 0;
	if ((size_t)n < size) {
		rests[fd] = (struct rest){malloc(size - n), size - n};
		if (!rests[fd].data)
			return -1;
		memcpy(rests[fd].data, data + n, size - n);
	}
	return 0;
}

/* `ended': epoll saw the other side hang up, so that a short read is not the last one */
static void serve(int fd, int ended)
{
	struct rest old = rests[fd];
	ssize_t got;
	int bad = 0;

	rests[fd] = (struct rest){NULL, 0};
	if (old.data) {
		bad = send_or_keep(fd, old.data, old.size);
		free(old.data);
	}
	while (!bad && !rests[fd].data) {
		got = read(fd, buffer, sizeof(buffer));
		if (got < 0 && errno == EAGAIN)
			return;
		bad = got <= 0 || send_or_keep(fd, buffer, got);
		if (got < (ssize_t)sizeof(buffer) && !ended)
			break;
	}
	if (bad)
		hang_up(fd);
}

static void greet(int set, int listener)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		e.data.fd = fd;
		bench_check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) ? errno : 0, "epoll_ctl");
	}
}

int main(int argc, char **argv)
{
	int listener = bench_listen(argc, argv, SOCK_NONBLOCK), set = epoll_create1(0);
	struct epoll_event events[256], e = {.events = EPOLLIN | EPOLLET, .data.fd = listener};
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	rests = calloc(files.rlim_cur < 1 << 20 ? files.rlim_cur : 1 << 20, sizeof(*rests));
	bench_check(rests ? 0 : ENOMEM, "echo_epoll");
	bench_check(epoll_ctl(set, EPOLL_CTL_ADD, listener, &e) ? errno : 0, "epoll_ctl");
	for (;;) {
		int n = epoll_wait(set, events, 256, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				greet(set, listener);
			else
				serve(events[i].data.fd,
				      events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	}
}
