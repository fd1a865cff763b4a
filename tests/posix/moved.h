/* moved.h -- a file of known bytes, and sockets that it is sent to inside the kernel */
#ifndef MOVED_H
#define MOVED_H

#include "check.h"
#include "net.h"
#include <sys/sendfile.h>

enum { SIZE = 6 << 20, SEED = 7, ROOM = 4 << 20, PAGE = 4096 };

static int file = -1;
static char data[ROOM + 1];

static inline void file_begin(void)
{
	char path[] = "/tmp/moved.XXXXXX";
	char *bytes = (char *)malloc(SIZE);

	file = mkstemp(path);
	CHECK(file >= 0 && bytes);
	CHECK(unlink(path) == 0);
	pattern_fill(bytes, SIZE, 0, SEED);
	write_all(file, bytes, SIZE);
	free(bytes);
}

static inline void pair_of(int i, int fds[2])
{
	i % 2 ? tcp_pair(fds) : unix_pair(SOCK_STREAM, fds);
}

/* Reads to the end; returns how many bytes there were, which are those of the file. */
static inline size_t read_rest(int fd, size_t from)
{
	size_t n, sum = 0;

	while ((n = read_all(fd, data, ROOM)) > 0) {
		CHECK(pattern_holds(data, n, from + sum, SEED));
		sum += n;
	}
	return sum;
}

/* Until it takes no more. */
static inline void fill(int fd)
{
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	while (write(fd, data, PAGE) > 0)
		continue;
	CHECK(fcntl(fd, F_SETFL, 0) == 0);
}

#endif
