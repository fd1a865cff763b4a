/* load.c -- a closed loop of echo requests, and the cost that they had for the server
 *
 *   load [-t SECONDS] [-w SECONDS] [-p PID] ADDRESS PORT CONNECTIONS
 *   load -i ADDRESS PORT CONNECTIONS
 *
 * Every connection sends a message of 1 KiB, waits for its echo, compares each byte and sends the
 * next, which differs. The window of -t seconds opens after -w seconds of warm-up; then nothing
 * more is sent, and an answer that is still missing after ten seconds is a failed request. With -p
 * the processor time of that process over the window is read from its CPU clock, which counts ended
 * threads as well. Loopback's softirq work is billed to whichever side sends.
 *
 * With -i each connection sends one message and is then held idle until standard input ends; then
 * each must echo once more.
 *
 * Connections are opened one after another, and each has had its first answer before the next is
 * opened: no backlog overflows, and every one has a thread when the window opens.
 */
#include "bench.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MESSAGE	    1024
#define FINE	    64 /* steps of the histogram in each power of two: within 1.6 % */
#define STEPS	    (FINE * 48)
#define PATIENCE_NS 10000000000ll

struct connection {
	int fd;
	int waiting;	 /* for an answer */
	size_t got;	 /* bytes of it */
	int64_t since;	 /* when its request was sent */
	uint64_t number; /* of the request */
	long answers;	 /* in the window */
	unsigned char message[MESSAGE];
};

static struct connection *connections;
static long count, failed, requests;
static long histogram[STEPS];

static int step_of(int64_t ns)
{
	int step, shift = 0;

	while (ns >> shift >= 2 * FINE)
		shift++;
	step = shift * FINE + (int)(ns >> shift);
	return step < STEPS ? step : STEPS - 1;
}

/* the middle of a step, ns */
static double value_of(int step)
{
	int shift = step < 2 * FINE ? 0 : step / FINE - 1;

	return ((double)(step - shift * FINE) + (shift ? .5 : 0)) * (double)(1ull << shift);
}

static double percentile(double part)
{
	long seen = 0;

	for (int i = 0; i < STEPS; i++) {
		seen += histogram[i];
		if (requests && seen >= part * requests)
			return value_of(i);
	}
	return 0;
}

/* a message that no other connection and no other request has */
static void compose(struct connection *c)
{
	uint64_t word = (uint64_t)(c - connections) << 32 | c->number++;

	for (size_t i = 0; i < MESSAGE; i += sizeof(word)) {
		memcpy(c->message + i, &word, sizeof(word));
		word = word * 6364136223846793005ull + 1442695040888963407ull;
	}
}

static void give_up(struct connection *c, const char *why)
{
	if (failed++ < 5)
		fprintf(stderr, "load: connection %ld, request %lu: %s\n", (long)(c - connections),
			(unsigned long)c->number, why);
	close(c->fd);
	c->fd = -1;
	c->waiting = 0;
}

static void request(struct connection *c, int64_t now)
{
	compose(c);
	c->got = 0;
	c->since = now;
	c->waiting = 1;
	if (send(c->fd, c->message, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
		give_up(c, strerror(errno));
}

/* Returns 1 when the whole answer is here, and right. */
static int receive(struct connection *c)
{
	unsigned char buffer[MESSAGE];
	ssize_t n;

	while (c->waiting && c->got < MESSAGE) {
		n = recv(c->fd, buffer, MESSAGE - c->got, 0);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			give_up(c, n ? strerror(errno) : "the server hung up");
		else if (memcmp(buffer, c->message + c->got, n))
			give_up(c, "the answer differs from the request");
		else
			c->got += n;
	}
	if (!c->waiting)
		return 0;
	c->waiting = 0;
	return 1;
}

/* one exchange that blocks; a time-out of the socket is a failure */
static void exchange(struct connection *c)
{
	if (c->fd < 0)
		return;
	request(c, 0);
	if (c->waiting && !receive(c) && c->waiting)
		give_up(c, "no answer within ten seconds");
}

static void open_all(const char *address, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval patience = {.tv_sec = PATIENCE_NS / 1000000000};
	int one = 1;

	to.sin_addr.s_addr = inet_addr(address);
	for (struct connection *c = connections; c < connections + count; c++) {
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		bench_check(c->fd < 0 ? errno : 0, "load: socket");
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
			give_up(c, strerror(errno));
		exchange(c);
	}
}

static void hold(void)
{
	char byte;
	long answered = 0;

	bench_print("idle", count - failed, "connections");
	while (read(0, &byte, 1) > 0)
		;
	for (struct connection *c = connections; c < connections + count; c++) {
		exchange(c);
		answered += c->fd >= 0;
	}
	bench_print("answered", answered, "connections");
}

/* Handles what is ready. While `sending', an answer is followed by the next request; with
 * `counting' it enters the figures. Returns how many connections have become quiet. */
static long turn(int set, int sending, int counting)
{
	struct epoll_event events[512];
	int n = epoll_wait(set, events, 512, 50);
	long quiet = 0;

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		int64_t now;

		if (!receive(c)) {
			quiet += c->fd < 0;
			continue;
		}
		now = bench_wall();
		if (counting) {
			histogram[step_of(now - c->since)]++;
			c->answers++;
			requests++;
		}
		if (sending)
			request(c, now);
		quiet += !c->waiting;
	}
	return quiet;
}

static int64_t cpu_of(int pid)
{
	clockid_t clock;

	if (!pid)
		return 0;
	bench_check(clock_getcpuclockid(pid, &clock), "load: the server's clock");
	return bench_clock(clock);
}

static void measure(double seconds, double warm, int pid)
{
	int set = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	int64_t from, cpu, until = bench_wall() + (int64_t)(warm * 1e9);
	long waiting = 0, answered = 0;

	for (struct connection *c = connections; c < connections + count; c++) {
		if (c->fd < 0)
			continue;
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		e.data.ptr = c;
		bench_check(epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &e) ? errno : 0,
			    "load: epoll_ctl");
		request(c, bench_wall());
	}
	while (bench_wall() < until)
		turn(set, 1, 0);
	from = bench_wall();
	cpu = cpu_of(pid);
	until = from + (int64_t)(seconds * 1e9);
	while (bench_wall() < until)
		turn(set, 1, 1);
	cpu = cpu_of(pid) - cpu;
	seconds = (bench_wall() - from) / 1e9;
	for (struct connection *c = connections; c < connections + count; c++) {
		waiting += c->waiting;
		answered += c->answers > 0;
	}
	for (until = bench_wall() + PATIENCE_NS; waiting > 0 && bench_wall() < until;)
		waiting -= turn(set, 0, 0);
	failed += waiting;
	bench_print("requests", requests, "requests");
	bench_print("rate", requests / seconds, "requests/s");
	bench_print("p50", percentile(.50) / 1e3, "us");
	bench_print("p99", percentile(.99) / 1e3, "us");
	bench_print("answered", answered, "connections");
	if (pid) {
		bench_print("server_cpu", cpu / 1e9 / seconds, "s/s");
		bench_print("per_cpu_second", requests / (cpu / 1e9), "requests/s");
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	double seconds = 1, warm = .3;
	int option, pid = 0, idle = 0;

	while ((option = getopt(argc, argv, "it:w:p:")) != -1) {
		idle |= option == 'i';
		if (option == 't')
			seconds = atof(optarg);
		else if (option == 'w')
			warm = atof(optarg);
		else if (option == 'p')
			pid = atoi(optarg);
		else if (option != 'i')
			return 2;
	}
	if (argc - optind != 3 || (count = atol(argv[optind + 2])) < 1) {
		fprintf(stderr,
			"usage: load [-i] [-t S] [-w S] [-p PID] ADDRESS PORT CONNECTIONS\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	connections = calloc(count, sizeof(*connections));
	bench_check(connections ? 0 : ENOMEM, "load");
	open_all(argv[optind], atoi(argv[optind + 1]));
	if (idle)
		hold();
	else
		measure(seconds, warm, pid);
	bench_print("failed", failed, "requests");
	return failed != 0;
}
