/* close_blocks.c -- a close that waits holds up nobody else
 *
 * The close of a socket with SO_LINGER waits for its last bytes to be acknowledged. Whichever call
 * it is that closes, the threads beside it go on. SO_SNDTIMEO on the socket changes nothing of that.
 *
 * threads: 2
 */
#include "check.h"
#include "net.h"
#include <sys/time.h>

#define LINGER_S 1
#define TICK_MS	 10

static volatile int ended, ticks;

static void *tick(void *arg)
{
	struct timespec t = timespec_ms(TICK_MS);

	while (!ended) {
		nanosleep(&t, NULL);
		ticks++;
	}
	return arg;
}

/* A socket whose close waits, as its peer does not read. */
static void lingering_pair(int fds[2], int limited)
{
	static char some[65536];
	struct linger linger = {1, LINGER_S};
	struct timeval limit = {5, 0};

	tcp_pair(fds);
	while (send(fds[0], some, sizeof(some), MSG_DONTWAIT) > 0)
		;
	if (limited)
		CHECK(setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}

static int null_at(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void close_by(int fd, int way)
{
	int other;

	switch (way) {
	case 0:
		CHECK(close(fd) == 0);
		break;
	case 1:
		other = null_at();
		CHECK_EQ(dup2(other, fd), fd);
		CHECK(close(other) == 0);
		break;
	case 2:
		other = null_at();
		CHECK_EQ(dup3(other, fd, O_CLOEXEC), fd);
		CHECK(close(other) == 0);
		break;
	default:
		CHECK(syscall(SYS_close_range, fd, fd, 0) == 0);
	}
	if (way == 1 || way == 2)
		CHECK(close(fd) == 0);
	CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
}

static void *closes(void *arg)
{
	int n = (int)(intptr_t)arg, fds[2];

	lingering_pair(fds, n & 1);
	int64_t since = now_ms();
	int before = ticks;

	close_by(fds[0], n / 2);
	CHECK(now_ms() - since >= LINGER_S * 900);
	CHECK(ticks - before >= LINGER_S * 1000 / TICK_MS / 4);
	CHECK(close(fds[1]) == 0);
	return NULL;
}

static void others_go_on(void)
{
	pthread_t ticker = thread_start(tick, NULL);

	for (intptr_t n = 0; n < 8; n++)
		thread_join(thread_start(closes, (void *)n));
	ended = 1;
	thread_join(ticker);
}

static void a_number_that_is_not_open_is_refused(void)
{
	int fd = null_at(), high = 900;

	CHECK(close(fd) == 0);
	CHECK_ERR(close(fd), EBADF);
	CHECK_ERR(close(-1), EBADF);
	CHECK_ERR(dup2(fd, high), EBADF);
	CHECK_ERR(fcntl(high, F_GETFD), EBADF);
}

static void a_range_is_closed_to_its_end(void)
{
	int fds[8], top = null_at();

	for (int i = 0; i < 8; i++)
		CHECK((fds[i] = fcntl(top, F_DUPFD, 200 + 10 * i)) >= 0);
	CHECK(syscall(SYS_close_range, 200, ~0U, 0) == 0);
	for (int i = 0; i < 8; i++)
		CHECK_ERR(fcntl(fds[i], F_GETFD), EBADF);
	CHECK(fcntl(top, F_GETFD) >= 0);
	CHECK(close(top) == 0);
}

static void *beside(void *arg)
{
	RUN(a_number_that_is_not_open_is_refused);
	RUN(a_range_is_closed_to_its_end);
	return arg;
}

int main(void)
{
	check_begin();
	RUN(others_go_on);
	thread_join(thread_start(beside, NULL));
	return check_done();
}
