/* kinds.h -- one descriptor of every kind that can be waited for, and how to make it readable and
 * empty again
 *
 * `fd` of a source becomes readable by source_fire and stops being so by source_drain, which also
 * checks what it reads. Nothing else happens on it in between, so a test knows at every moment
 * whether it is ready.
 *
 * signalfd takes SIGUSR1: kinds_begin blocks it, and so must be called before any thread is made.
 */
#ifndef KINDS_H
#define KINDS_H

#include "check.h"
#include "net.h"
#include <limits.h>
#include <mqueue.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>

struct source {
	const struct kind *kind;
	int fd, far; /* far: where fire writes; -1 when fd itself is used */
	char path[64];
};

struct kind {
	const char *name;
	void (*make)(struct source *s);
	void (*fire)(struct source *s);
	void (*drain)(struct source *s);
	void (*drop)(struct source *s);
};

static inline void kind_write(struct source *s)
{
	CHECK_EQ(write(s->far, "ping", 4), 4);
}

static inline void kind_read(struct source *s)
{
	char data[16];

	CHECK_EQ(read(s->fd, data, sizeof(data)), 4);
	CHECK(memcmp(data, "ping", 4) == 0);
}

static inline void kind_close(struct source *s)
{
	CHECK(close(s->fd) == 0);
	if (s->far >= 0)
		CHECK(close(s->far) == 0);
	if (s->path[0])
		CHECK(unlink(s->path) == 0);
}

static inline void pipe_make(struct source *s)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	s->fd = fds[0];
	s->far = fds[1];
}

static inline void temp_path(struct source *s)
{
	static int count;

	snprintf(s->path, sizeof(s->path), "/tmp/kinds.%d.%d", (int)getpid(),
		 __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
}

static inline void fifo_make(struct source *s)
{
	temp_path(s);
	CHECK(mkfifo(s->path, 0600) == 0);
	s->fd = open(s->path, O_RDONLY | O_NONBLOCK);
	s->far = open(s->path, O_WRONLY);
	CHECK(s->fd >= 0 && s->far >= 0);
	CHECK(fcntl(s->fd, F_SETFL, O_RDONLY) == 0);
}

static inline void pair_make(struct source *s, int type)
{
	int fds[2];

	unix_pair(type, fds);
	s->fd = fds[0];
	s->far = fds[1];
}

static inline void stream_make(struct source *s)
{
	pair_make(s, SOCK_STREAM);
}

static inline void dgram_make(struct source *s)
{
	pair_make(s, SOCK_DGRAM);
}

static inline void seqpacket_make(struct source *s)
{
	pair_make(s, SOCK_SEQPACKET);
}

static inline void tcp_make(struct source *s)
{
	int fds[2];

	tcp_pair(fds);
	s->fd = fds[0];
	s->far = fds[1];
}

static inline void udp_make(struct source *s)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	memset(&at, 0, sizeof(at));
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
	s->far = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(s->fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(getsockname(s->fd, (struct sockaddr *)&at, &len) == 0);
	CHECK(connect(s->far, (struct sockaddr *)&at, sizeof(at)) == 0);
}

static inline void pty_make(struct source *s)
{
	struct termios raw;

	CHECK(openpty(&s->far, &s->fd, NULL, NULL, NULL) == 0);
	CHECK(tcgetattr(s->fd, &raw) == 0);
	cfmakeraw(&raw);
	CHECK(tcsetattr(s->fd, TCSANOW, &raw) == 0);
}

static inline void master_make(struct source *s)
{
	pty_make(s);
	int slave = s->fd;

	s->fd = s->far;
	s->far = slave;
}

static inline void eventfd_make(struct source *s)
{
	s->fd = eventfd(0, 0);
	CHECK(s->fd >= 0);
	s->far = -1;
}

static inline void eventfd_fire(struct source *s)
{
	CHECK(eventfd_write(s->fd, 3) == 0);
}

static inline void eventfd_drain(struct source *s)
{
	eventfd_t value;

	CHECK(eventfd_read(s->fd, &value) == 0);
	CHECK_EQ(value, 3);
}

static inline void timerfd_make(struct source *s)
{
	s->fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(s->fd >= 0);
	s->far = -1;
}

static inline void timerfd_fire(struct source *s)
{
	struct itimerspec soon = {{0, 0}, {0, 1000}};

	CHECK(timerfd_settime(s->fd, 0, &soon, NULL) == 0);
}

static inline void timerfd_drain(struct source *s)
{
	uint64_t count;

	CHECK_EQ(read(s->fd, &count, sizeof(count)), sizeof(count));
	CHECK_EQ(count, 1);
}

static inline void signalfd_make(struct source *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	s->fd = signalfd(-1, &set, 0);
	CHECK(s->fd >= 0);
	s->far = -1;
}

static inline void signalfd_fire(struct source *s)
{
	(void)s;
	CHECK(kill(getpid(), SIGUSR1) == 0);
}

static inline void signalfd_drain(struct source *s)
{
	struct signalfd_siginfo info;

	CHECK_EQ(read(s->fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	CHECK_EQ(info.ssi_pid, getpid());
}

static inline void inotify_make(struct source *s)
{
	temp_path(s);
	s->far = open(s->path, O_CREAT | O_EXCL | O_RDWR, 0600);
	s->fd = inotify_init1(0);
	CHECK(s->far >= 0 && s->fd >= 0);
	CHECK(inotify_add_watch(s->fd, s->path, IN_MODIFY) > 0);
}

static inline void inotify_drain(struct source *s)
{
	union {
		struct inotify_event event;
		char room[sizeof(struct inotify_event) + NAME_MAX + 1];
	} got;

	CHECK_EQ(read(s->fd, &got, sizeof(got)), sizeof(got.event));
	CHECK_EQ(got.event.mask, IN_MODIFY);
}

static inline void listener_make(struct source *s)
{
	struct sockaddr_in at;

	s->fd = tcp_listen(&at, 4);
	s->far = -1;
}

static inline void listener_fire(struct source *s)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	CHECK(getsockname(s->fd, (struct sockaddr *)&at, &len) == 0);
	CHECK(close(tcp_connect(&at)) == 0);
}

static inline void listener_drain(struct source *s)
{
	int fd = accept(s->fd, NULL, NULL);
	char c;

	CHECK(fd >= 0);
	CHECK_EQ(read(fd, &c, 1), 0);
	CHECK(close(fd) == 0);
}

/* An epoll set is readable while something in it is. */
static inline void nested_make(struct source *s)
{
	struct epoll_event event = {EPOLLIN, {NULL}};

	s->fd = epoll_create1(0);
	s->far = eventfd(0, 0);
	CHECK(epoll_ctl(s->fd, EPOLL_CTL_ADD, s->far, &event) == 0);
}

static inline void nested_fire(struct source *s)
{
	CHECK(eventfd_write(s->far, 1) == 0);
}

static inline void nested_drain(struct source *s)
{
	struct epoll_event event;
	eventfd_t value;

	CHECK_EQ(epoll_wait(s->fd, &event, 1, -1), 1);
	CHECK(eventfd_read(s->far, &value) == 0);
}

static inline void mqueue_make(struct source *s)
{
	struct mq_attr attr;

	const char *name;

	temp_path(s);
	name = strrchr(s->path, '/');
	memset(&attr, 0, sizeof(attr));
	attr.mq_maxmsg = 4;
	attr.mq_msgsize = 16;
	s->fd = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	CHECK(s->fd >= 0);
	CHECK(mq_unlink(name) == 0);
	s->path[0] = 0;
	s->far = -1;
}

static inline void mqueue_fire(struct source *s)
{
	CHECK(mq_send(s->fd, "ping", 4, 0) == 0);
}

static inline void mqueue_drain(struct source *s)
{
	char data[16];

	CHECK_EQ(mq_receive(s->fd, data, sizeof(data), NULL), 4);
}

static const struct kind kinds[] = {
	{"pipe", pipe_make, kind_write, kind_read, kind_close},
	{"fifo", fifo_make, kind_write, kind_read, kind_close},
	{"unix stream", stream_make, kind_write, kind_read, kind_close},
	{"unix dgram", dgram_make, kind_write, kind_read, kind_close},
	{"unix seqpacket", seqpacket_make, kind_write, kind_read, kind_close},
	{"tcp", tcp_make, kind_write, kind_read, kind_close},
	{"udp", udp_make, kind_write, kind_read, kind_close},
	{"pty slave", pty_make, kind_write, kind_read, kind_close},
	{"pty master", master_make, kind_write, kind_read, kind_close},
	{"eventfd", eventfd_make, eventfd_fire, eventfd_drain, kind_close},
	{"timerfd", timerfd_make, timerfd_fire, timerfd_drain, kind_close},
	{"signalfd", signalfd_make, signalfd_fire, signalfd_drain, kind_close},
	{"inotify", inotify_make, kind_write, inotify_drain, kind_close},
	{"listener", listener_make, listener_fire, listener_drain, kind_close},
	{"epoll", nested_make, nested_fire, nested_drain, kind_close},
	{"message queue", mqueue_make, mqueue_fire, mqueue_drain, kind_close},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static inline void source_make(struct source *s, int kind)
{
	s->kind = &kinds[kind];
	s->path[0] = 0;
	s->kind->make(s);
}

static inline void kinds_begin(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

#endif
