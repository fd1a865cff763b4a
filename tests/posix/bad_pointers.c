/* bad_pointers.c -- every call that takes a pointer says EFAULT of memory that is not there
 *
 * A row names a call and one of its pointers. The call is made with what that points at in the last
 * bytes before a page that is not mapped, where it must do what it does elsewhere; then with a
 * pointer to nowhere, with one byte too few before that page, and, where the kernel writes there,
 * with a page that may only be read. All of these must give EFAULT, and the program goes on.
 *
 * threads: 1
 */
#include "check.h"
#include "net.h"
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/uio.h>

#define HERE	 (-12345L) /* stands for the pointer among the arguments */
#define SIGSIZE	 8
#define IN	 0 /* read by the kernel */
#define OUT	 1 /* written */
#define BAD_ONLY 2 /* a good pointer would wait, or have effects */
#define LOOSE	 4 /* how much of it is touched is the kernel's affair: no byte too few */

struct row {
	const char *name;
	long nr, args[6];
	int how;
	size_t size;
	const void *content; /* NULL: zeroes */
	long good;	     /* -errno that a good pointer gives; 0: any result that is no error */
	void (*before)(void);
};

static long page;
static char *end;	/* the end of a page; nothing is mapped behind it */
static char *read_only; /* likewise, and may only be read */

static int pipe_fds[2], stream[2], dgram[2], dir, file, set, listener, queue;
static struct sockaddr_in listener_at;
static char text[64] = "text";
static struct iovec vector = {text, 4};
static struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
static struct mmsghdr messages;
static struct timespec soon = {0, 1000}, later = {1, 0};
static struct timeval later_tv = {1, 0};
static sigset_t signals;
static struct pollfd readable;
static uint64_t bits;
static struct {
	const void *mask;
	size_t size;
} masked = {&signals, SIGSIZE};
static uint32_t word_one = 1;
static int one = 1, zero;
static uint64_t cpus[16];
static int made[2];

/* So much that no row runs dry. */
static void fill(void)
{
	char some[512];
	int n = 0;

	memset(some, 'x', sizeof(some));
	CHECK(ioctl(pipe_fds[0], FIONREAD, &n) == 0);
	if (n < 512)
		CHECK(write(pipe_fds[1], some, sizeof(some)) == sizeof(some));
	CHECK(ioctl(stream[0], FIONREAD, &n) == 0);
	if (n < 512)
		CHECK(write(stream[1], some, sizeof(some)) == sizeof(some));
	CHECK(ioctl(dgram[0], FIONREAD, &n) == 0);
	if (n == 0)
		CHECK(write(dgram[1], some, 4) == 4);
}

/* The other directions have room. */
static void drain(void)
{
	char some[512];

	while (recv(stream[1], some, sizeof(some), MSG_DONTWAIT) > 0)
		;
	while (recv(dgram[1], some, sizeof(some), MSG_DONTWAIT) > 0)
		;
}

static void signal_comes(void)
{
	CHECK_OK(pthread_kill(pthread_self(), SIGUSR1));
}

static void child_ends(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(0);
}

static void client_comes(void)
{
	tcp_connect(&listener_at);
}

static void message_comes(void)
{
	struct mq_attr attr;

	CHECK(mq_getattr(queue, &attr) == 0);
	if (attr.mq_curmsgs == 0)
		CHECK(mq_send(queue, text, 4, 0) == 0);
}

static void message_goes(void)
{
	struct mq_attr attr;
	char m[64];

	CHECK(mq_getattr(queue, &attr) == 0);
	if (attr.mq_curmsgs)
		CHECK(mq_receive(queue, m, sizeof(m), NULL) >= 0);
}

static void rewinds(void)
{
	CHECK(lseek(dir, 0, SEEK_SET) == 0);
}

static long make_call(const struct row *r, void *p)
{
	long a[6];

	if (r->before)
		r->before();
	fill();
	drain();
	for (int i = 0; i < 6; i++)
		a[i] = r->args[i] == HERE ? (long)p : r->args[i];
	long got = syscall(r->nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	return got < 0 ? -errno : got;
}

static void expect(const struct row *r, void *p, long want, const char *how)
{
	long got = make_call(r, p);

	if (want ? got != want : got < 0)
		check_fail(__FILE__, __LINE__, (int)(got < 0 ? -got : 0), "%s with %s gives %ld",
			   r->name, how, got);
}

static void put(char *at, const struct row *r, size_t n)
{
	if (r->content)
		memcpy(at, r->content, n);
	else
		memset(at, 0, n);
}

static void check_row(const struct row *r)
{
	const char *only = getenv("ROW");

	if (only && strcmp(only, r->name))
		return;
	if (!(r->how & BAD_ONLY)) {
		put(end - r->size, r, r->size);
		expect(r, end - r->size, r->good, "the last bytes of a page");
	}
	expect(r, bad_address(), -EFAULT, "a bad pointer");
	expect(r, end, -EFAULT, "a pointer to the page that is not there");
	if (!(r->how & LOOSE)) {
		put(end - r->size + 1, r, r->size - 1);
		expect(r, end - r->size + 1, -EFAULT, "a byte too few");
	}
	if (r->how & OUT) {
		CHECK(mprotect(read_only - page, page, PROT_READ | PROT_WRITE) == 0);
		put(read_only - r->size, r, r->size);
		CHECK(mprotect(read_only - page, page, PROT_READ) == 0);
		expect(r, read_only - r->size, -EFAULT, "a page that may only be read");
	}
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}
#define ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void bytes_through_descriptors(void)
{
	const struct row rows[] = {
		{"read, pipe", SYS_read, {pipe_fds[0], HERE, 8}, OUT, 8, 0, 0, 0},
		{"read, socket", SYS_read, {stream[0], HERE, 8}, OUT | LOOSE, 8, 0, 0, 0},
		{"write, pipe", SYS_write, {pipe_fds[1], HERE, 8}, IN, 8, 0, 0, 0},
		{"write, socket", SYS_write, {stream[0], HERE, 8}, IN, 8, 0, 0, 0},
		{"readv", SYS_readv, {pipe_fds[0], HERE, 1}, IN, 16, &vector, 0, 0},
		{"readv, socket", SYS_readv, {stream[0], HERE, 1}, IN, 16, &vector, 0, 0},
		{"writev", SYS_writev, {pipe_fds[1], HERE, 1}, IN, 16, &vector, 0, 0},
		{"writev, socket", SYS_writev, {stream[0], HERE, 1}, IN, 16, &vector, 0, 0},
		{"preadv2", SYS_preadv2, {pipe_fds[0], HERE, 1, -1, -1}, IN, 16, &vector, 0, 0},
		{"pwritev2", SYS_pwritev2, {pipe_fds[1], HERE, 1, -1, -1}, IN, 16, &vector, 0, 0},
		{"recvfrom", SYS_recvfrom, {dgram[0], HERE, 4}, OUT | LOOSE, 4, 0, 0, 0},
		{"sendto", SYS_sendto, {dgram[0], HERE, 4}, IN, 4, 0, 0, 0},
		{"recvmsg", SYS_recvmsg, {stream[0], HERE}, OUT, 56, &message, 0, 0},
		{"sendmsg", SYS_sendmsg, {stream[0], HERE}, IN, 56, &message, 0, 0},
		{"recvmmsg", SYS_recvmmsg, {stream[0], HERE, 1, 0, 0}, OUT | LOOSE, 64, &messages, 0, 0},
		{"recvmmsg, time", SYS_recvmmsg, {stream[0], (long)&messages, 1, 0, HERE}, LOOSE, 16, &later, 0, 0},
		{"sendmmsg", SYS_sendmmsg, {stream[0], HERE, 1, 0}, IN | LOOSE, 64, &messages, 0, 0},
		{"sendfile", SYS_sendfile, {stream[0], file, HERE, 4}, OUT, 8, 0, 0, 0},
		{"splice", SYS_splice, {file, HERE, pipe_fds[1], 0, 4, 0}, OUT, 8, 0, 0, 0},
		{"vmsplice", SYS_vmsplice, {pipe_fds[1], HERE, 1, 0}, IN, 16, &vector, 0, 0},
		{"getdents64", SYS_getdents64, {dir, HERE, 600}, OUT | LOOSE, 600, 0, 0, rewinds},
		{"ioctl", SYS_ioctl, {stream[0], FIONBIO, HERE}, IN, 4, &zero, 0, 0},
		{"mq_timedsend", SYS_mq_timedsend, {queue, HERE, 4, 0, 0}, IN, 4, 0, 0, message_goes},
		{"mq_timedsend, time", SYS_mq_timedsend, {queue, (long)text, 4, 0, HERE}, IN, 16, &later, 0,
		 message_goes},
		{"mq_timedreceive, time", SYS_mq_timedreceive, {queue, (long)text, 64, 0, HERE}, IN, 16,
		 &later, 0, message_comes},
	};

	ROWS(rows);
}

static void descriptors_and_addresses(void)
{
	socklen_t len = sizeof(listener_at);
	static uint64_t params[15];
	const struct row rows[] = {
		{"open", SYS_open, {HERE, O_RDONLY}, IN | LOOSE, 2, "/", 0, 0},
		{"openat", SYS_openat, {AT_FDCWD, HERE, O_RDONLY}, IN | LOOSE, 2, "/", 0, 0},
		{"open, /proc", SYS_open, {HERE, O_RDONLY}, IN, 6, "/proc", 0, 0},
		{"pipe", SYS_pipe, {HERE}, OUT, 8, 0, 0, 0},
		{"pipe2", SYS_pipe2, {HERE, 0}, OUT, 8, 0, 0, 0},
		{"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, HERE}, OUT, 8, 0, 0, 0},
		{"accept", SYS_accept, {listener, (long)text, HERE}, OUT, 4, &len, 0, client_comes},
		{"connect", SYS_connect, {made[0], HERE, sizeof(listener_at)}, IN, sizeof(listener_at),
		 &listener_at, 0, 0},
		{"setsockopt", SYS_setsockopt, {stream[0], SOL_SOCKET, SO_SNDBUF, HERE, 4}, IN, 4, &one, 0,
		 0},
		{"signalfd4", SYS_signalfd4, {-1, HERE, SIGSIZE, 0}, IN, 8, &signals, 0, 0},
		{"io_uring_setup", SYS_io_uring_setup, {1, HERE}, OUT | LOOSE, sizeof(params), params, 0, 0},
	};

	made[0] = socket(AF_INET, SOCK_STREAM, 0);
	struct row copy = rows[7];

	copy.args[0] = made[0];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) - 1; i++)
		if (i != 7)
			check_row(&rows[i]);
	check_row(&copy);
	if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno == EINVAL)
		return;
	if (errno != ENOSYS && errno != EPERM)
		check_row(&rows[10]);
}

static void waiting_for_several(void)
{
	static struct epoll_event event = {EPOLLIN, {0}};
	const struct row rows[] = {
		{"poll", SYS_poll, {HERE, 1, 1000}, OUT, 8, &readable, 0, 0},
		{"ppoll", SYS_ppoll, {HERE, 1, 0, 0, SIGSIZE}, OUT, 8, &readable, 0, 0},
		{"ppoll, time", SYS_ppoll, {(long)&readable, 1, HERE, 0, SIGSIZE}, IN, 16, &later, 0, 0},
		{"ppoll, mask", SYS_ppoll, {(long)&readable, 1, 0, HERE, SIGSIZE}, IN, 8, &signals, 0, 0},
		{"select", SYS_select, {64, HERE, 0, 0, 0}, OUT, 8, &bits, 0, 0},
		{"select, time", SYS_select, {0, 0, 0, 0, HERE}, IN, 16, &soon, 0, 0},
		{"pselect6", SYS_pselect6, {64, HERE, 0, 0, 0, 0}, OUT, 8, &bits, 0, 0},
		{"pselect6, time", SYS_pselect6, {0, 0, 0, 0, HERE, 0}, IN, 16, &soon, 0, 0},
		{"pselect6, mask", SYS_pselect6, {64, (long)&bits, 0, 0, 0, HERE}, IN, 16, &masked, 0, 0},
		{"epoll_wait", SYS_epoll_wait, {set, HERE, 1, 1000}, OUT, 12, 0, 0, 0},
		{"epoll_pwait, mask", SYS_epoll_pwait, {set, (long)text, 1, 1000, HERE, SIGSIZE}, IN, 8,
		 &signals, 0, 0},
		{"epoll_ctl", SYS_epoll_ctl, {set, EPOLL_CTL_MOD, pipe_fds[0], HERE}, IN, 12, &event, 0, 0},
		{"nanosleep", SYS_nanosleep, {HERE, 0}, IN, 16, &soon, 0, 0},
		{"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_REALTIME, 0, HERE, 0}, IN, 16, &soon, 0, 0},
	};

	(void)later_tv;
	ROWS(rows);
}

static void signals_and_timers(void)
{
	static struct sigaction action;
	static stack_t stack = {.ss_flags = SS_DISABLE};
	static struct sigevent none = {.sigev_notify = SIGEV_NONE};
	timer_t id;
	const struct row rows[] = {
		{"rt_sigaction", SYS_rt_sigaction, {SIGUSR2, HERE, 0, SIGSIZE}, IN, 32, &action, 0, 0},
		{"rt_sigaction, old", SYS_rt_sigaction, {SIGUSR2, 0, HERE, SIGSIZE}, OUT, 32, 0, 0, 0},
		{"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, HERE, 0, SIGSIZE}, IN, 8, &signals, 0, 0},
		{"rt_sigprocmask, old", SYS_rt_sigprocmask, {SIG_BLOCK, 0, HERE, SIGSIZE}, OUT, 8, 0, 0, 0},
		{"rt_sigpending", SYS_rt_sigpending, {HERE, SIGSIZE}, OUT, 8, 0, 0, 0},
		{"rt_sigsuspend", SYS_rt_sigsuspend, {HERE, SIGSIZE}, BAD_ONLY, 8, 0, 0, 0},
		{"rt_sigtimedwait", SYS_rt_sigtimedwait, {HERE, 0, (long)&soon, SIGSIZE}, IN, 8, &signals, 0,
		 signal_comes},
		{"rt_sigtimedwait, info", SYS_rt_sigtimedwait, {(long)&signals, HERE, (long)&soon, SIGSIZE},
		 OUT | LOOSE, 128, 0, 0, signal_comes},
		{"rt_sigtimedwait, time", SYS_rt_sigtimedwait, {(long)&signals, 0, HERE, SIGSIZE}, IN, 16,
		 &soon, 0, signal_comes},
		{"sigaltstack", SYS_sigaltstack, {HERE, 0}, IN, 24, &stack, 0, 0},
		{"sigaltstack, old", SYS_sigaltstack, {0, HERE}, OUT, 24, 0, 0, 0},
		{"timer_create", SYS_timer_create, {CLOCK_MONOTONIC, HERE, (long)&id}, IN, 64, &none, 0, 0},
		{"timer_create, id", SYS_timer_create, {CLOCK_MONOTONIC, (long)&none, HERE}, OUT, 4, 0, 0, 0},
		{"clock_gettime", SYS_clock_gettime, {CLOCK_THREAD_CPUTIME_ID, HERE}, OUT, 16, 0, 0, 0},
		{"clock_getres", SYS_clock_getres, {CLOCK_THREAD_CPUTIME_ID, HERE}, OUT, 16, 0, 0, 0},
	};

	ROWS(rows);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &signals, NULL));
}

static void threads_and_processes(void)
{
	static char list[16], name[16] = "name";
	const struct row rows[] = {
		{"futex, wait", SYS_futex, {HERE, FUTEX_WAIT_PRIVATE, 0, 0}, IN | LOOSE, 4, &word_one, -EAGAIN, 0},
		{"futex, shared", SYS_futex, {HERE, FUTEX_WAIT, 0, 0}, IN | LOOSE, 4, &word_one, -EAGAIN, 0},
		{"futex, time", SYS_futex, {(long)&word_one, FUTEX_WAIT_PRIVATE, 0, HERE}, IN, 16, &soon,
		 -EAGAIN, 0},
		{"futex, requeue", SYS_futex,
		 {HERE, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, (long)&word_one, 0}, IN | LOOSE, 4, &word_one, -EAGAIN, 0},
		{"futex, wake op", SYS_futex,
		 {(long)&word_one, FUTEX_WAKE_OP_PRIVATE, 1, 1, HERE, FUTEX_OP(FUTEX_OP_ADD, 1, 0, 0)}, OUT | LOOSE, 4, 0, 0, 0},
		{"futex, pi", SYS_futex, {HERE, FUTEX_LOCK_PI_PRIVATE, 0, 0}, OUT | LOOSE, 4, 0, 0, 0},
		{"futex, try pi", SYS_futex, {HERE, FUTEX_TRYLOCK_PI_PRIVATE, 0, 0}, OUT | LOOSE, 4, 0, 0, 0},
		{"futex, unlock pi", SYS_futex, {HERE, FUTEX_UNLOCK_PI_PRIVATE, 0, 0}, IN | LOOSE, 4, &word_one,
		 -EPERM, 0},
		{"wait4", SYS_wait4, {-1, HERE, 0, 0}, OUT, 4, 0, 0, child_ends},
		{"sched_getaffinity", SYS_sched_getaffinity, {0, 128, HERE}, OUT | LOOSE, 128, 0, 0, 0},
		{"sched_setaffinity", SYS_sched_setaffinity, {0, 128, HERE}, IN | LOOSE, 128, cpus, 0, 0},
		{"sched_getparam", SYS_sched_getparam, {0, HERE}, OUT, 4, 0, 0, 0},
		{"sched_setscheduler", SYS_sched_setscheduler, {0, SCHED_OTHER, HERE}, IN, 4, 0, 0, 0},
		{"sched_rr_get_interval", SYS_sched_rr_get_interval, {0, HERE}, OUT, 16, 0, 0, 0},
		{"prctl, name", SYS_prctl, {PR_SET_NAME, HERE}, IN, 5, name, 0, 0},
		{"prctl, get name", SYS_prctl, {PR_GET_NAME, HERE}, OUT, 16, 0, 0, 0},
		{"get_robust_list", SYS_get_robust_list, {0, HERE, (long)list}, OUT, 8, 0, 0, 0},
		{"get_robust_list, size", SYS_get_robust_list, {0, (long)list, HERE}, OUT, 8, 0, 0, 0},
		{"execve", SYS_execve, {HERE, 0, 0}, BAD_ONLY | LOOSE, 2, 0, 0, 0},
		{"clone3", SYS_clone3, {HERE, 88}, BAD_ONLY, 88, 0, 0, 0},
	};

	CHECK(sched_getaffinity(0, sizeof(cpus), (cpu_set_t *)cpus) == 0);
	ROWS(rows);
}

static void *all(void *arg)
{
	(void)arg;
	RUN(bytes_through_descriptors);
	RUN(descriptors_and_addresses);
	RUN(waiting_for_several);
	RUN(signals_and_timers);
	RUN(threads_and_processes);
	return NULL;
}

static void prepare(void)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
	struct epoll_event event = {EPOLLIN, {0}};
	char name[64];

	page = sysconf(_SC_PAGESIZE);
	for (int i = 0; i < 2; i++) {
		char *at = (char *)mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK((void *)at != MAP_FAILED);
		CHECK(munmap(at + page, page) == 0);
		*(i ? &read_only : &end) = at + page;
		/* Nothing may come to be mapped behind it. */
		CHECK(mmap(at + page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			   0) == at + page);
	}
	CHECK(pipe(pipe_fds) == 0);
	unix_pair(SOCK_STREAM, stream);
	unix_pair(SOCK_DGRAM, dgram);
	listener = tcp_listen(&listener_at, 64);
	CHECK((dir = open("/", O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK((file = open("/proc/self/exe", O_RDONLY)) >= 0);
	CHECK((set = epoll_create1(0)) >= 0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipe_fds[0], &event) == 0);
	snprintf(name, sizeof(name), "/weft-bad-pointers.%d", (int)getpid());
	CHECK((queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr)) >= 0);
	CHECK(mq_unlink(name) == 0);
	messages.msg_hdr = message;
	readable = (struct pollfd){pipe_fds[0], POLLIN, 0};
	bits = UINT64_C(1) << pipe_fds[0];
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &signals, NULL));
}

int main(void)
{
	check_begin();
	prepare();
	thread_join(thread_start(all, NULL));
	return check_done();
}
