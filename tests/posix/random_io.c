/* random_io.c -- a hundred random sequences of I/O operations between threads, over descriptors of
 * random kinds
 *
 * The first argument is the seed, or `environment' for what WEFT_TEST_SEED says there. What it
 * prints depends on the seed alone, not on who was faster: lengths and sums of what arrived, not
 * how it was cut up on the way.
 *
 * args: environment
 * args: 1
 * args: 2
 * args: 3
 * threads: 2
 * compare: stdout
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { SEQUENCES = 100, ABREAST = 5, MOST = 60000 };

struct sequence {
	int number, messages;
	uint64_t seed;
	int in, out;
	size_t sent, got;
	uint64_t sent_sum, got_sum;
	pthread_t writer, reader;
};

static void pipe_make(struct sequence *s)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	s->in = fds[0];
	s->out = fds[1];
}

static void fifo_make(struct sequence *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/random_io.%d.%d", (int)getpid(), s->number);
	CHECK(mkfifo(path, 0600) == 0);
	s->in = open(path, O_RDONLY | O_NONBLOCK);
	s->out = open(path, O_WRONLY);
	CHECK(s->in >= 0 && s->out >= 0 && fcntl(s->in, F_SETFL, O_RDONLY) == 0);
	CHECK(unlink(path) == 0);
}

static void pair_make(struct sequence *s, int type)
{
	int fds[2];

	unix_pair(type, fds);
	s->in = fds[0];
	s->out = fds[1];
	s->messages = type != SOCK_STREAM;
}

static void stream_make(struct sequence *s)
{
	pair_make(s, SOCK_STREAM);
}

static void seqpacket_make(struct sequence *s)
{
	pair_make(s, SOCK_SEQPACKET);
}

static void tcp_make(struct sequence *s)
{
	int fds[2];

	tcp_pair(fds);
	s->in = fds[0];
	s->out = fds[1];
}

static void (*const makes[])(struct sequence *) = {pipe_make, fifo_make, stream_make,
						   seqpacket_make, tcp_make};
static const char *const names[] = {"pipe", "fifo", "unix stream", "unix seqpacket", "tcp"};
enum { KINDS = sizeof(makes) / sizeof(makes[0]) };

static int is_socket(struct sequence *s)
{
	return s->number % KINDS >= 2;
}

/* A sum that says what came in which order. */
static uint64_t sum_on(uint64_t sum, const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum = sum * 1099511628211u + data[i] + 1;
	return sum;
}

static void set_nonblock(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	CHECK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0);
}

/* Waits in one of the ways of waiting until fd is ready. */
static void wait_ready(int fd, short events, uint32_t way)
{
	struct pollfd p = {fd, events, 0};
	struct epoll_event event = {(uint32_t)(events == POLLIN ? EPOLLIN : EPOLLOUT), {NULL}};
	fd_set set;
	int n = 0, epoll;

	while (n == 0)
		switch (way % 4) {
		case 0:
			n = poll(&p, 1, -1);
			break;
		case 1:
			n = poll(&p, 1, 1);
			break;
		case 2:
			FD_ZERO(&set);
			FD_SET(fd, &set);
			n = select(fd + 1, events == POLLIN ? &set : NULL,
				   events == POLLIN ? NULL : &set, NULL, NULL);
			break;
		case 3:
			CHECK((epoll = epoll_create1(0)) >= 0);
			CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
			n = epoll_wait(epoll, &event, 1, -1);
			CHECK(close(epoll) == 0);
			break;
		}
	CHECK_EQ(n, 1);
}

static ssize_t write_one_way(struct sequence *s, const unsigned char *data, size_t size,
			     uint32_t way)
{
	size_t half = size / 2;
	struct iovec parts[2] = {{(void *)data, half}, {(void *)(data + half), size - half}};
	struct msghdr message;
	ssize_t n;

	memset(&message, 0, sizeof(message));
	message.msg_iov = parts;
	message.msg_iovlen = 2;
	switch (way % 6) {
	case 0:
		return writev(s->out, parts, 2);
	case 1:
		return is_socket(s) ? send(s->out, data, size, 0)
				    : pwritev2(s->out, parts, 2, -1, 0);
	case 2:
		if (is_socket(s))
			return sendmsg(s->out, &message, 0);
		/* fall through */
	case 3:
		/* Without blocking, and waiting by hand. */
		set_nonblock(s->out, 1);
		while ((n = write(s->out, data, size)) < 0) {
			CHECK_EQ(errno, EAGAIN);
			wait_ready(s->out, POLLOUT, way >> 8);
		}
		set_nonblock(s->out, 0);
		return n;
	default:
		return write(s->out, data, size);
	}
}

static void pause_a_little(uint32_t how)
{
	struct timespec t = {0, 100000 + how % 900000};

	if (how % 16 == 0)
		nanosleep(&t, NULL);
	else if (how % 4 == 0)
		sched_yield();
}

/* Now and then the descriptor changes its number under way. */
static void renumber(int *fd, uint32_t how)
{
	int other;

	if (how % 12)
		return;
	other = how % 24 ? dup(*fd) : fcntl(*fd, F_DUPFD_CLOEXEC, 100);
	CHECK(other >= 0 && close(*fd) == 0);
	*fd = other;
}

static void *write_sequence(void *arg)
{
	struct sequence *s = (struct sequence *)arg;
	unsigned char *data = (unsigned char *)malloc(MOST);
	uint64_t seed = s->seed;

	CHECK(data);
	for (int ops = 3 + (int)(random_next(&seed) % 12); ops > 0; ops--) {
		uint32_t size = random_next(&seed), way = random_next(&seed);

		size = 1 + size % (s->messages ? 3000 : size % 3 ? 5000 : MOST);
		pattern_fill(data, size, s->sent, (unsigned)s->number);
		s->sent_sum = sum_on(s->sent_sum, data, size);
		s->sent += size;
		for (size_t at = 0; at < size;) {
			ssize_t n = write_one_way(s, data + at, size - at, way);

			CHECK(n > 0);
			at += n;
		}
		pause_a_little(random_next(&seed));
		renumber(&s->out, random_next(&seed));
	}
	free(data);
	CHECK(close(s->out) == 0);
	return NULL;
}

static ssize_t read_one_way(struct sequence *s, unsigned char *data, size_t size, uint32_t way)
{
	size_t half = size / 2;
	struct iovec parts[2] = {{data, half}, {data + half, size - half}};
	struct msghdr message;
	ssize_t n;
	int ready;

	memset(&message, 0, sizeof(message));
	message.msg_iov = parts;
	message.msg_iovlen = 2;
	switch (way % 8) {
	case 0:
		return readv(s->in, parts, 2);
	case 1:
		return is_socket(s) ? recv(s->in, data, size, s->messages ? 0 : MSG_WAITALL)
				    : preadv2(s->in, parts, 2, -1, 0);
	case 2:
		return is_socket(s) ? recvmsg(s->in, &message, 0) : read(s->in, data, size);
	case 3:
		wait_ready(s->in, POLLIN, way >> 8);
		return read(s->in, data, size);
	case 4:
		if (is_socket(s) && recv(s->in, data, 1, MSG_PEEK) == 0)
			return 0;
		return read(s->in, data, size);
	case 5:
		CHECK(ioctl(s->in, FIONREAD, &ready) == 0);
		return read(s->in, data, size);
	case 6:
		set_nonblock(s->in, 1);
		while ((n = read(s->in, data, size)) < 0) {
			CHECK_EQ(errno, EAGAIN);
			wait_ready(s->in, POLLIN, way >> 8);
		}
		set_nonblock(s->in, 0);
		return n;
	default:
		return read(s->in, data, size);
	}
}

static void *read_sequence(void *arg)
{
	struct sequence *s = (struct sequence *)arg;
	unsigned char *data = (unsigned char *)malloc(MOST);
	uint64_t seed = s->seed ^ 0x5555;
	ssize_t n;

	CHECK(data);
	do {
		size_t size = s->messages ? 4000 : 1 + random_next(&seed) % MOST;

		n = read_one_way(s, data, size, random_next(&seed));
		CHECK(n >= 0);
		CHECK(pattern_holds(data, n, s->got, (unsigned)s->number));
		s->got_sum = sum_on(s->got_sum, data, n);
		s->got += n;
		pause_a_little(random_next(&seed));
		if (n > 0)
			renumber(&s->in, random_next(&seed));
	} while (n > 0);
	free(data);
	CHECK(close(s->in) == 0);
	return NULL;
}

static uint64_t main_seed;

static void sequence_start(struct sequence *s, int number)
{
	memset(s, 0, sizeof(*s));
	s->number = number;
	s->seed = main_seed * 1000 + number + 1;
	for (int i = 0; i < 10; i++)
		random_next(&s->seed);
	makes[number % KINDS](s);
	s->reader = thread_start(read_sequence, s);
	s->writer = thread_start(write_sequence, s);
}

static void sequence_end(struct sequence *s)
{
	thread_join(s->writer);
	thread_join(s->reader);
	CHECK_EQ(s->got, s->sent);
	CHECK(s->got_sum == s->sent_sum);
	printf("%3d %-14s %7zu bytes, sum %016llx\n", s->number, names[s->number % KINDS], s->got,
	       (unsigned long long)s->got_sum);
}

static void sequences_bring_what_was_sent(void)
{
	struct sequence sequences[ABREAST];

	for (int n = 0; n < SEQUENCES + ABREAST; n++) {
		struct sequence *s = &sequences[n % ABREAST];

		if (n >= ABREAST)
			sequence_end(s);
		if (n < SEQUENCES)
			sequence_start(s, n);
	}
}

int main(int argc, char **argv)
{
	const char *seed =
		argc > 1 && strcmp(argv[1], "environment") ? argv[1] : getenv("WEFT_TEST_SEED");

	check_begin();
	main_seed = seed ? strtoull(seed, NULL, 0) : 1;
	printf("seed %llu\n", (unsigned long long)main_seed);
	RUN(sequences_bring_what_was_sent);
	return check_done();
}
