"""load -- the native side of the tests: a load generator and an echo server, in C

Both are one program, compiled once a run. The generator holds all its connections from one epoll
loop, compares every byte that comes back, and prints what it did; it ends with the last answer or
after 20 s without one. A request may carry a stamp (connection and number in its first 8 bytes),
so that an answer to somebody else's request is seen.
"""
import os
import select
import subprocess

from app import SCRATCH, Failure, compile

SOURCE = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STEP_HELLO, STEP_METHOD, STEP_TARGET, STEP_READY, STEP_REPLY, STEP_END };

struct conn {
	int fd, step;
	size_t sent, got;
	unsigned seq;
};

static int port, target, conns, total, skip, again, stamp;
static char *request, *reply;
static size_t request_size, reply_size;
static struct conn *table;
static char *scratch;
static int epfd, begun, done, failed, ready;

static void die(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *slurp(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	char *data = malloc(1 << 24);

	if (!f || !data)
		die(path);
	*size = fread(data, 1, 1 << 24, f);
	fclose(f);
	return data;
}

static void dial(struct conn *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a))
		die("connect");
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e);
	c->got = 0;
}

static void put(struct conn *c, const void *data, size_t size)
{
	for (size_t n = 0; n < size;) {
		ssize_t r = send(c->fd, (const char *)data + n, size - n, MSG_NOSIGNAL);

		if (r < 0)
			die("send");
		n += r;
	}
}

static void fail(struct conn *c, const char *why)
{
	if (failed++ < 5)
		fprintf(stderr, "connection %d, request %u: %s\n", (int)(c - table), c->seq, why);
	close(c->fd);
	c->fd = -1;
	c->step = STEP_END;
	done++;
}

static void ask(struct conn *c)
{
	if (begun >= total) {
		c->step = STEP_END;
		return;
	}
	begun++;
	if (c->fd < 0)
		dial(c);
	c->got = 0;
	c->seq++;
	if (stamp) {
		unsigned who = c - table;

		memcpy(request, &who, 4);
		memcpy(request + 4, &c->seq, 4);
	}
	c->step = STEP_REPLY;
	put(c, request, request_size);
}

static void socks_step(struct conn *c, const unsigned char *data, ssize_t size)
{
	unsigned char call[10] = { 5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255 };

	if (c->step == STEP_METHOD) {
		if (size != 2 || data[0] != 5 || data[1] != 0)
			return fail(c, "socks: no method");
		c->step = STEP_TARGET;
		put(c, call, sizeof call);
		return;
	}
	if (size != 10 || data[1] != 0)
		return fail(c, "socks: no connection");
	c->step = STEP_READY;
	ready++;
}

/* Compares what came with the model; bytes before `skip' (a header with a date) only count. */
static int differs(struct conn *c, const char *data, size_t size)
{
	unsigned head[2] = { c - table, c->seq };

	for (size_t i = 0; i < size; i++) {
		size_t at = c->got + i;
		char want = stamp && at < 8 ? ((char *)head)[at] : reply[at];

		if (at >= (size_t)skip && data[i] != want)
			return 1;
	}
	return 0;
}

static void answer(struct conn *c)
{
	ssize_t n = recv(c->fd, scratch, 1 << 20, 0);

	if (n < 0)
		return fail(c, strerror(errno));
	if (c->step == STEP_METHOD || c->step == STEP_TARGET)
		return socks_step(c, (unsigned char *)scratch, n);
	if (c->step != STEP_REPLY)
		return fail(c, n ? "bytes nobody asked for" : "closed while idle");
	if (c->got + n > reply_size || differs(c, scratch, n))
		return fail(c, "wrong answer");
	c->got += n;
	if (n == 0 && c->got < reply_size)
		return fail(c, "answer cut short");
	if (again ? n == 0 : c->got == reply_size) {
		done++;
		if (again) {
			close(c->fd);
			c->fd = -1;
		}
		ask(c);
	}
}

static void serve_events(int timeout)
{
	struct epoll_event e[256];
	int n = epoll_wait(epfd, e, 256, timeout);

	if (n == 0) {
		int shown = 0;

		for (int i = 0; i < conns && shown < 5; i++) {
			struct conn *c = &table[i];

			if (c->step != STEP_END && shown++ < 5)
				fprintf(stderr, "connection %d waits: step %d, request %u\n",
					i, c->step, c->seq);
		}
		errno = ETIMEDOUT;
		die("no answer for 20 s");
	}
	for (int i = 0; i < n; i++)
		answer(e[i].data.ptr);
}

static void generate(void)
{
	struct timespec a, b;

	for (int i = 0; i < conns; i++) {
		struct conn *c = &table[i];

		c->fd = -1;
		c->step = STEP_READY;
		if (again) {
			ready++;
			continue;
		}
		dial(c);
		if (target) {
			c->step = STEP_METHOD;
			put(c, "\5\1\0", 3);
		} else {
			ready++;
		}
	}
	while (ready + failed < conns)
		serve_events(20000);
	printf("ready %d\n", ready);
	fflush(stdout);
	if (getchar() == EOF)
		exit(1);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < conns; i++)
		if (table[i].step == STEP_READY)
			ask(&table[i]);
	while (done < begun)
		serve_events(20000);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("requests %d failed %d seconds %.6f\n", done - failed, failed,
	       b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
	fflush(stdout);
	getchar();
}

static void echo(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t size = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct epoll_event e = { .events = EPOLLIN, .data.fd = s };
	struct epoll_event quit = { .events = EPOLLIN | EPOLLHUP, .data.fd = 0 };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 4096))
		die("listen");
	getsockname(s, (struct sockaddr *)&a, &size);
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
	epoll_ctl(epfd, EPOLL_CTL_ADD, s, &e);
	epoll_ctl(epfd, EPOLL_CTL_ADD, 0, &quit);
	for (;;) {
		if (epoll_wait(epfd, &e, 1, -1) < 0)
			die("epoll_wait");
		if (e.data.fd == 0)
			return;
		if (e.data.fd == s) {
			e.data.fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
			if (e.data.fd < 0)
				die("accept4");
			setsockopt(e.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			e.events = EPOLLIN;
			epoll_ctl(epfd, EPOLL_CTL_ADD, e.data.fd, &e);
			continue;
		}
		ssize_t n = recv(e.data.fd, scratch, 1 << 16, 0);

		if (n <= 0) {
			close(e.data.fd);
			continue;
		}
		for (ssize_t w = 0, m; w < n; w += m)
			if ((m = send(e.data.fd, scratch + w, n - w, MSG_NOSIGNAL)) < 0)
				break;
	}
}

int main(int argc, char **argv)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	scratch = malloc(1 << 20);
	if (argc == 2 && !strcmp(argv[1], "echo")) {
		echo();
		return 0;
	}
	if (argc != 10)
		return 2;
	port = atoi(argv[1]);
	target = atoi(argv[2]);
	conns = atoi(argv[3]);
	total = atoi(argv[4]);
	skip = atoi(argv[5]);
	again = atoi(argv[6]);
	stamp = atoi(argv[7]);
	request = slurp(argv[8], &request_size);
	reply = slurp(argv[9], &reply_size);
	table = calloc(conns, sizeof *table);
	generate();
	return 0;
}
"""

PROGRAM = compile("load", SOURCE)
LIMIT = 60                  # seconds for one load


class Native:
    """The program with some arguments, natively; talks by lines."""

    def __init__(self, args, cpu):
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        self.process = subprocess.Popen([*pin, PROGRAM, *map(str, args)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def line(self, word):
        """The next line that it prints, in words; Failure unless it starts with `word'."""
        ready = select.select([self.process.stdout], [], [], LIMIT)[0]
        line = self.process.stdout.readline() if ready else "nothing for %d s" % LIMIT
        if not line.startswith(word):
            raise Failure("the load generator says: %s %s" % (line.strip(), self.close()))
        return line.split()

    def close(self):
        """Ends it and returns its complaints."""
        process = self.process
        if not process.stderr.closed:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.complaints = process.stderr.read()
            process.stdout.close()
            process.stderr.close()
        return self.complaints

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Generator(Native):
    """One load: connects at once, asks on go(), hangs up on close().

    conns    connections, all held at once           total    requests, shared by them
    request  bytes to send                           reply    bytes that must come back
    socks    port to ask a SOCKS5 proxy for (0: no proxy)
    skip     so many first bytes of the reply are counted, not compared
    again    connect anew for each request; the reply ends with the connection
    stamp    stamp request and reply
    """

    def __init__(self, port, conns, total, request, reply, *, socks=0, skip=0, again=False,
                 stamp=False, cpu=None):
        paths = [os.path.join(SCRATCH, "load." + name) for name in ("request", "reply")]
        for path, data in zip(paths, (request, reply)):
            with open(path, "wb") as f:
                f.write(data)
        super().__init__([port, socks, conns, total, skip, int(again), int(stamp), *paths], cpu)
        self.total = total
        ready = int(self.line("ready")[1])
        if ready != conns:
            raise Failure("%d of %d connections stand: %s" % (ready, conns, self.close()))

    def start(self):
        """Lets the requests go, without waiting for their end."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def finish(self):
        """Waits for the last answer; Failure when one was wrong. Returns the number of requests."""
        word = self.line("requests")
        answered, failed = int(word[1]), int(word[3])
        if failed or answered != self.total:
            raise Failure("%d of %d requests answered, %d failed: %s" % (
                answered, self.total, failed, self.close()))
        return answered

    def go(self):
        self.start()
        return self.finish()


class Echo(Native):
    """A native echo server on a port of its own."""

    def __init__(self, cpu=None):
        super().__init__(["echo"], cpu)
        self.port = int(self.line("port")[1])
