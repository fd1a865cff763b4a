/* fiber_echo.cc -- Boost.Fiber: a TCP echo server with a fiber for each connection
 *
 *   fiber_echo ADDRESS PORT
 *
 * The library has no sockets. The main fiber waits in epoll, makes ready whom it reports and yields
 * once, which lets every ready fiber run until it finds its socket empty or full and suspends.
 */
#include "bench.h"
#include <boost/fiber/all.hpp>
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
	int listener = bench_listen(argc, argv, SOCK_NONBLOCK), set = epoll_create1(0);
	struct epoll_event events[256], e = {EPOLLIN | EPOLLET, {}};

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
