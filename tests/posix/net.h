/* net.h -- sockets on loopback, and transfers of a whole length
 *
 * Every function checks for itself; ports are the kernel's choice.
 */
#ifndef NET_H
#define NET_H

#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A TCP listener on 127.0.0.1; its address is left in *at. */
static inline int tcp_listen(struct sockaddr_in *at, int backlog)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	memset(at, 0, sizeof(*at));
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(fd, (struct sockaddr *)at, sizeof(*at)) == 0);
	CHECK(listen(fd, backlog) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

static inline int tcp_connect(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0);
	return fd;
}

/* Two connected TCP sockets. */
static inline void tcp_pair(int fds[2])
{
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 1);

	fds[0] = tcp_connect(&at);
	fds[1] = accept(listener, NULL, NULL);
	CHECK(fds[1] >= 0);
	CHECK(close(listener) == 0);
}

static inline void unix_pair(int type, int fds[2])
{
	CHECK(socketpair(AF_UNIX, type, 0, fds) == 0);
}

static inline void write_all(int fd, const void *data, size_t size)
{
	const char *at = (const char *)data;

	while (size) {
		ssize_t n = write(fd, at, size);

		CHECK(n > 0);
		at += n;
		size -= n;
	}
}

/* Reads until size bytes or the end; hands back how many. */
static inline size_t read_all(int fd, void *data, size_t size)
{
	char *at = (char *)data;
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, at + have, size - have);

		CHECK(n >= 0);
		if (n == 0)
			break;
		have += n;
	}
	return have;
}

static inline void close_pair(int fds[2])
{
	CHECK(close(fds[0]) == 0);
	CHECK(close(fds[1]) == 0);
}

/* Bytes whose every position tells whether it arrived in its place. */
static inline unsigned char pattern_at(size_t i, unsigned seed)
{
	return (unsigned char)((i * 31 + (i >> 8) * 7 + (i >> 16) * 13) ^ seed);
}

static inline void pattern_fill(void *data, size_t size, size_t from, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)data)[i] = pattern_at(from + i, seed);
}

static inline int pattern_holds(const void *data, size_t size, size_t from, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)data)[i] != pattern_at(from + i, seed))
			return 0;
	return 1;
}

#endif
