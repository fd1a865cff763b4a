/* bare.c -- what the kernel alone takes of a load
 *
 *   bare PORT CONNECTIONS BYTES SECONDS
 *
 * Keeps an echo server at 127.0.0.1 busy with as few calls as a generator can make that waits in
 * epoll: a batch of events, one recv and one send for each message. What comes back is counted
 * and not looked at, and no time is taken. Prints the processor time of an echo and the echoes a
 * second: what `weft load' takes beyond that is its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define EVENTS 64

struct link {
	int fd;
	size_t got; /* of the present message */
};

static char out[1 << 20], in[1 << 16];
static uint64_t echoes;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void dial(struct link *l, int set, uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = l};
	int one = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at))
		die("connect");
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(set, EPOLL_CTL_ADD, l->fd, &e))
		die("epoll_ctl");
}

static void ask(struct link *l, size_t size)
{
	if (send(l->fd, out, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

/* turn -- read a batch of answers, then send what follows them. */
static void turn(int set, size_t size)
{
	struct epoll_event events[EVENTS];
	struct link *whole[EVENTS];
	int n = epoll_wait(set, events, EVENTS, 1000), count = 0;

	for (int i = 0; i < n; i++) {
		struct link *l = events[i].data.ptr;
		ssize_t got = recv(l->fd, in, sizeof in, MSG_DONTWAIT);

		if (got <= 0)
			die("recv");
		l->got += (size_t)got;
		if (l->got < size)
			continue;
		l->got = 0;
		whole[count++] = l;
	}
	for (int i = 0; i < count; i++)
		ask(whole[i], size);
	echoes += (uint64_t)count;
}

int main(int argc, char **argv)
{
	size_t count, size;
	struct link *links;
	double began, cpu, length;
	int set = epoll_create1(0);

	if (argc != 5)
		return 2;
	count = strtoul(argv[2], NULL, 0);
	size = strtoul(argv[3], NULL, 0);
	length = atof(argv[4]);
	links = calloc(count, sizeof *links);
	if (!links || set < 0 || !size || size > sizeof out)
		return 2;
	for (size_t i = 0; i < count; i++)
		dial(&links[i], set, (uint16_t)atoi(argv[1]));
	for (size_t i = 0; i < count; i++)
		ask(&links[i], size);
	while (echoes < 10 * count)
		turn(set, size);
	echoes = 0;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	began = seconds(CLOCK_MONOTONIC);
	while (seconds(CLOCK_MONOTONIC) - began < length)
		turn(set, size);
	printf("%.1f ns %.0f echoes/s\n",
	       (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)echoes,
	       (double)echoes / (seconds(CLOCK_MONOTONIC) - began));
	return 0;
}
