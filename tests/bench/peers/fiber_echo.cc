/* fiber_echo.cc -- Boost.Fiber: a TCP echo server with a fiber for each connection
 *
 *   fiber_echo [ADDRESS]        takes a free port and prints "port N"
 *
 * The library has no sockets. The main fiber waits in epoll, makes ready whom it reports and yields
 * once, which lets every ready fiber run until it finds its socket empty or full and suspends.
 */
#include "bench.h"
#include <arpa/inet.h>
#include <boost/fiber/all.hpp>
#include <signal.h>
#include <sys/epoll.h>
#include <vector>

using boost::fibers::context;

static std::vector<context *> waiting(1 << 16); /* by descriptor */

template <typename Call> static ssize_t again(Call call, int fd, char *data, size_t size)
{
	ssize_t n;

	while ((n = call(fd, data, size)) < 0 && errno == EAGAIN) {
		waiting[fd] = context::active();
		context::active()->suspend();
	}
	return n;
}

static void serve(int fd)
{
	char buffer[1024];
	ssize_t got, sent, n = 0;

	while (n >= 0 && (got = again(read, fd, buffer, sizeof(buffer))) > 0)
		for (sent = 0; n >= 0 && sent < got; sent += n)
			n = again(write, fd, buffer + sent, got - sent);
	close(fd);
}

static void greet(int set, int listener)
{
	struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {}};

	while ((e.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		bench_check(epoll_ctl(set, EPOLL_CTL_ADD, e.data.fd, &e) ? errno : 0, "epoll_ctl");
		boost::fibers::fiber(serve, e.data.fd).detach();
	}
}

int main(int argc, char **argv)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), set = epoll_create1(0);
	struct epoll_event events[256], e = {EPOLLIN | EPOLLET, {}};
	struct sockaddr_in at = {};
	socklen_t size = sizeof(at);

	signal(SIGPIPE, SIG_IGN);
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = inet_addr(argc > 1 ? argv[1] : "127.0.0.1");
	if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096))
		bench_check(errno, "listen");
	getsockname(listener, (struct sockaddr *)&at, &size);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	e.data.fd = listener;
	bench_check(epoll_ctl(set, EPOLL_CTL_ADD, listener, &e) ? errno : 0, "epoll_ctl");
	for (;; boost::this_fiber::yield())
		for (int i = 0, n = epoll_wait(set, events, 256, -1); i < n; i++)
			if (events[i].data.fd == listener)
				greet(set, listener);
			else if (context *found =
					 std::exchange(waiting[events[i].data.fd], nullptr))
				context::active()->schedule(found);
}
