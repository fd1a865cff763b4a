/* connection.c -- see connection.h */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "load/connection.h"

int connection_dial(struct connection *c, const struct address *to)
{
	int error, one = 1;

	c->fd = socket(to->name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (to->name->sa_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	error = connect(c->fd, to->name, to->size) ? -errno : 0;
	if (error && error != -EINPROGRESS)
		connection_close(c);
	return error;
}

int connection_dialed(struct connection *c)
{
	int error = 0;
	socklen_t size = sizeof error;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return -error;
}

int connection_send(struct connection *c)
{
	while (c->left) {
		ssize_t n = send(c->fd, c->out, c->left, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->out += n;
		c->left -= (size_t)n;
	}
	return 0;
}

void connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CONNECTION_CLOSED;
}
