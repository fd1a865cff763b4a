/* delays.c -- an echo server that takes its time and keeps a log of it
 *
 *   delays BYTES SHORTEST_US LONGEST_US STALL_AFTER_MS STALL_MS
 *
 * Takes a free port of 127.0.0.1 and prints "port N". A message of BYTES bytes is echoed after a delay
 * between the two, of which short ones are more frequent. So many milliseconds after the byte `s' on
 * standard input it answers nothing for STALL_MS; messages are read all the while. When standard input
 * ends, it prints a line for each message, in the order of answers: the instant at which it was read
 * (CLOCK_MONOTONIC, ns), and how long it took until its answer was sent (ns).
 *
 * One thread: what the log says is what the other side must see, but for the way there and back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 20000 /* descriptors */
#define LOG_MOST 2000000

struct client {
	char *message;
	size_t got;
	int64_t read_ns, due_ns;
};

static struct client clients[CLIENTS];
static int heap[CLIENTS]; /* clients to be answered, the next one first */
static int heap_size;
static struct { int64_t read_ns, took_ns; } entries[LOG_MOST];
static size_t logged;
static size_t size;
static int64_t shortest, longest, stall_after, stall, stall_from, stall_to;
static int set;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int before(int i, int j)
{
	return clients[heap[i]].due_ns < clients[heap[j]].due_ns;
}

static void swap(int i, int j)
{
	int fd = heap[i];

	heap[i] = heap[j];
	heap[j] = fd;
}

static void heap_put(int fd)
{
	int i = heap_size++;

	heap[i] = fd;
	for (; i && before(i, (i - 1) / 2); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static int heap_get(void)
{
	int fd = heap[0], i = 0, child;

	heap[0] = heap[--heap_size];
	while ((child = 2 * i + 1) < heap_size) {
		if (child + 1 < heap_size && before(child + 1, child))
			child++;
		if (!before(child, i))
			break;
		swap(child, i);
		i = child;
	}
	return fd;
}

/* delay -- the square of an even distribution: half of the delays are in the first quarter. */
static int64_t delay(void)
{
	static uint64_t state = 88172645463325252;
	double u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	u = (double)(state >> 11) / (double)(1ull << 53);
	return shortest + (int64_t)((double)(longest - shortest) * u * u);
}

static void answer(int fd)
{
	struct client *c = &clients[fd];

	if (send(fd, c->message, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
	c->got = 0;
	if (logged < LOG_MOST) {
		entries[logged].read_ns = c->read_ns;
		entries[logged++].took_ns = now() - c->read_ns;
	}
}

static void receive(int fd)
{
	struct client *c = &clients[fd];
	ssize_t n = recv(fd, c->message + c->got, size - c->got, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close(fd);
		return;
	}
	c->got += (size_t)n;
	if (c->got < size)
		return;
	c->read_ns = now();
	c->due_ns = c->read_ns + delay();
	if (stall_from && c->due_ns >= stall_from && c->due_ns < stall_to)
		c->due_ns = stall_to;
	heap_put(fd);
}

static void greet(int listener)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd = accept(listener, NULL, NULL), one = 1;

	if (fd < 0 || fd >= CLIENTS)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!clients[fd].message)
		clients[fd].message = malloc(size);
	clients[fd].got = 0;
	e.data.fd = fd;
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
}

static void listen_and_say(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&at, n) || listen(listener, 4096))
		die("listen");
	getsockname(listener, (struct sockaddr *)&at, &n);
	epoll_ctl(set, EPOLL_CTL_ADD, listener, &e);
	e.data.fd = 0;
	epoll_ctl(set, EPOLL_CTL_ADD, 0, &e);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		int64_t left = heap_size ? clients[heap[0]].due_ns - now() : 1000000000;
		struct timespec t = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
		char byte;

		if (epoll_pwait2(set, &e, 1, &t, NULL) == 1) {
			if (e.data.fd == listener)
				greet(listener);
			else if (e.data.fd)
				receive(e.data.fd);
			else if (read(0, &byte, 1) <= 0)
				return;
			else {
				stall_from = now() + stall_after;
				stall_to = stall_from + stall;
			}
		}
		while (heap_size && clients[heap[0]].due_ns <= now())
			answer(heap_get());
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {CLIENTS, CLIENTS};

	if (argc != 6)
		return 2;
	size = (size_t)atol(argv[1]);
	shortest = atoll(argv[2]) * 1000;
	longest = atoll(argv[3]) * 1000;
	stall_after = atoll(argv[4]) * 1000000;
	stall = atoll(argv[5]) * 1000000;
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_TIMERSLACK, 1);
	set = epoll_create1(0);
	listen_and_say();
	for (size_t i = 0; i < logged; i++)
		printf("%lld %lld\n", (long long)entries[i].read_ns, (long long)entries[i].took_ns);
	return 0;
}
