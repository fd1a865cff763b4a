/* fdkind.c -- what kind of descriptor is it? The kernel is asked. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "fd/fd.h"
#include "log.h"

int64_t fd_ask_limit(int number, bool in)
{
	int option = in ? SO_RCVTIMEO : SO_SNDTIMEO;
	struct { int64_t s, us; } tv = {0, 0};
	uint32_t n = sizeof tv;

	SYS(__NR_getsockopt, number, SOL_SOCKET, option, &tv, &n);
	return tv.s * NSEC + tv.us * 1000;
}

static void ask_socket(struct fd *e, int number)
{
	int type = 0, protocol = 0;
	uint32_t n = sizeof type;

	SYS(__NR_getsockopt, number, SOL_SOCKET, SO_TYPE, &type, &n);
	SYS(__NR_getsockopt, number, SOL_SOCKET, SO_PROTOCOL, &protocol, &n);
	e->receive_ns = fd_ask_limit(number, true);
	e->send_ns = fd_ask_limit(number, false);
	e->drained = 0;
	e->flags = (uint8_t)((type == SOCK_STREAM ? FD_STREAM : 0) | (protocol == 6 ? FD_TCP : 0));
}

/* The set of a signalfd: the line "sigmask:" of its fdinfo. */
static uint64_t ask_signals(int number)
{
	char text[512] = {0}, path[40];
	uint64_t set = 0;

	log_format(path, sizeof path, "/proc/self/fdinfo/%d", number);
	long fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	sys_read((int)fd, text, sizeof text - 1);
	sys_close((int)fd);
	for (char *p = text; *p; p++) {
		if (memcmp(p, "sigmask:", 8))
			continue;
		for (p += 8; *p && *p != '\n'; p++)
			if (*p > ' ')
				set = set << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
		break;
	}
	return set;
}

static enum fd_kind ask_anonymous(struct fd *e, int number)
{
	char link[64], path[40];

	log_format(path, sizeof path, "/proc/self/fd/%d", number);
	long n = SYS(__NR_readlinkat, AT_FDCWD, path, link, sizeof link - 1);

	link[n > 0 ? n : 0] = 0;
	if (!memcmp(link, "anon_inode:[eventp", 18))
		return FD_EPOLL;
	if (!memcmp(link, "anon_inode:[eventfd", 19))
		return FD_NOWAIT_IN;
	if (!memcmp(link, "anon_inode:[timerfd", 19))
		return FD_TIMER;
	if (!memcmp(link, "anon_inode:[signalfd", 20)) {
		e->send_ns = (int64_t)ask_signals(number);
		return FD_SIGNAL;
	}
	if (!memcmp(link, "anon_inode:inotify", 18) || !memcmp(link, "anon_inode:[fanotify", 20) ||
	    !memcmp(link, "anon_inode:[userfaul", 20))
		return FD_POLLED_IN;
	return FD_PLAIN;	/* whether it waits, and whether poll tells, its kernel knows */
}

enum fd_kind fd_ask_kind(struct fd *e, int number)
{
	struct task *t = task_self();
	struct stat st;

	/* A file system may have to be asked, perhaps one of this very process. */
	if (gate_once(t, __NR_fstat, number, (long)&st, 0, 0, 0, 0) < 0)
		return FD_UNKNOWN;
	switch (st.st_mode & S_IFMT) {
	case S_IFSOCK:
		ask_socket(e, number);
		return FD_SOCKET;
	case S_IFIFO: {
		struct iovec none = {NULL, 0};

		/* A FIFO by name refuses RWF_NOWAIT, pipe(2) takes it; an empty transfer tells without moving anything. */
		return SYS(__NR_preadv2, number, &none, 1, -1, -1, RWF_NOWAIT) == -EOPNOTSUPP ||
		       SYS(__NR_pwritev2, number, &none, 1, -1, -1, RWF_NOWAIT) == -EOPNOTSUPP ? FD_POLLED : FD_PIPE;
	}
	case S_IFCHR: {
		char termios[256];

		return gate_once(t, __NR_ioctl, number, 0x5401 /* TCGETS */, (long)termios, 0, 0, 0) == 0 ? FD_TTY : FD_PLAIN;
	}
	case 0:
		return ask_anonymous(e, number);
	default:
		return FD_PLAIN;
	}
}
