/* late_pages.c -- calls on memory whose page another thread of the process has yet to provide
 *
 * With userfaultfd a page may be missing until a thread has been asked for it and has filled it. A
 * call that reads or writes such a page waits for that thread, whoever runs it; meanwhile others go
 * on. Where the system does not allow it (it takes CAP_SYS_PTRACE), there is nothing to see.
 *
 * threads: 3
 */
#include "check.h"
#include "net.h"
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/uio.h>

#define PROVIDE_MS 30

static long page;
static char *late, *source;	/* the page, and what it is filled with */
static int faults, pipe_fds[2], stream[2], set, dir;
static pthread_t provider, ticker;
static volatile int ended, ticks;

static void *provide(void *arg)
{
	struct pollfd p = {faults, POLLIN, 0};
	struct uffd_msg m;

	while (!ended) {
		int before = ticks;

		if (poll(&p, 1, 20) != 1 || read(faults, &m, sizeof(m)) != sizeof(m))
			continue;
		int64_t since = now_ms();

		while (now_ms() - since < PROVIDE_MS || ticks == before)
			let_block();
		struct uffdio_copy copy = {
			.dst = m.arg.pagefault.address & ~(uint64_t)(page - 1),
			.src = (uintptr_t)source,
			.len = page,
		};
		CHECK(ioctl(faults, UFFDIO_COPY, &copy) >= 0 || errno == EEXIST);
	}
	return arg;
}

static void *tick(void *arg)
{
	struct timespec t = timespec_ms(2);

	while (!ended) {
		nanosleep(&t, NULL);
		ticks++;
	}
	return arg;
}

/* The page is missing again, and will hold n bytes of this. */
static void *missing(const void *content, size_t n)
{
	CHECK(madvise(late, page, MADV_DONTNEED) == 0);
	memset(source, 0, page);
	memcpy(source, content, n);
	return late;
}

#define MISSING(object) missing(&(object), sizeof(object))
#define FILLED(text)	missing(text, sizeof(text))

static void bytes_come_and_go(void)
{
	static char text[8];
	struct iovec vector = {text, 5};

	CHECK_EQ(write(pipe_fds[1], FILLED("hello"), 5), 5);
	CHECK_EQ(read(pipe_fds[0], FILLED("-----"), 5), 5);
	CHECK(memcmp(late, "hello", 5) == 0);
	CHECK_EQ(send(stream[0], FILLED("hello"), 5, 0), 5);
	CHECK_EQ(recv(stream[1], FILLED("-----"), 5, 0), 5);
	CHECK(memcmp(late, "hello", 5) == 0);
	CHECK_EQ(write(stream[0], FILLED("hello"), 5), 5);
	CHECK_EQ(read(stream[1], FILLED("-----"), 5), 5);
	CHECK_EQ(write(pipe_fds[1], "hello", 5), 5);
	CHECK_EQ(readv(pipe_fds[0], (const struct iovec *)MISSING(vector), 1), 5);
	CHECK_EQ(writev(stream[0], (const struct iovec *)MISSING(vector), 1), 5);
	CHECK_EQ(readv(stream[1], (const struct iovec *)MISSING(vector), 1), 5);

	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	CHECK_EQ(sendmsg(stream[0], (const struct msghdr *)MISSING(message), 0), 5);
	CHECK_EQ(recvmsg(stream[1], (struct msghdr *)MISSING(message), 0), 5);
}

static void waits_take_their_arguments(void)
{
	struct timespec soon = timespec_ms(1);
	struct pollfd p = {pipe_fds[1], POLLOUT, 0}, none = {pipe_fds[0], POLLIN, 0};
	struct epoll_event event = {EPOLLIN, {0}};
	fd_set some;

	FD_ZERO(&some);
	FD_SET(pipe_fds[1], &some);
	CHECK(nanosleep((const struct timespec *)MISSING(soon), NULL) == 0);
	CHECK(clock_nanosleep(CLOCK_REALTIME, 0, (const struct timespec *)MISSING(soon), NULL) == 0);
	CHECK_EQ(poll((struct pollfd *)MISSING(p), 1, 1000), 1);
	CHECK_EQ(poll((struct pollfd *)MISSING(p), 1, 0), 1);
	CHECK_EQ(poll((struct pollfd *)MISSING(none), 1, 1), 0);
	CHECK_EQ(ppoll(&none, 1, (const struct timespec *)MISSING(soon), NULL), 0);
	CHECK_EQ(select(pipe_fds[1] + 1, NULL, (fd_set *)MISSING(some), NULL, NULL), 1);
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(set, (struct epoll_event *)MISSING(event), 1, 1000), 1);
	CHECK_EQ(read(pipe_fds[0], &p, 1), 1);
}

static void calls_that_do_not_wait_take_theirs(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};
	struct timespec now = {0, 0};
	sigset_t signals;
	uint32_t word = 1;
	int off = 0, two[2] = {-1, -1};

	sigemptyset(&signals);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, (const sigset_t *)MISSING(signals), NULL));
	CHECK_OK(pthread_sigmask(SIG_BLOCK, NULL, (sigset_t *)MISSING(signals)));
	CHECK(syscall(SYS_rt_sigaction, SIGUSR2, NULL, MISSING(action), 8) == 0);
	CHECK(ioctl(stream[0], FIONBIO, MISSING(off)) == 0);
	CHECK(pipe((int *)MISSING(two)) == 0);
	close_pair((int *)late);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)MISSING(two)) == 0);
	close_pair((int *)late);
	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, (struct timespec *)MISSING(now)) == 0);
	CHECK(prctl(PR_SET_NAME, FILLED("late")) == 0);
	CHECK_ERR(syscall(SYS_futex, MISSING(word), FUTEX_WAIT_PRIVATE, 2, NULL), EAGAIN);
	CHECK(syscall(SYS_getdents64, dir, FILLED(""), page) > 0);
	CHECK_ERR(open((const char *)FILLED("/proc/none"), O_RDONLY), ENOENT);
}

static void *all(void *arg)
{
	RUN(bytes_come_and_go);
	RUN(waits_take_their_arguments);
	RUN(calls_that_do_not_wait_take_theirs);
	return arg;
}

static int prepare(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct epoll_event event = {EPOLLIN, {0}};

	page = sysconf(_SC_PAGESIZE);
	faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api) < 0)
		return 0;
	late = (char *)mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)late != MAP_FAILED);
	source = late + page;
	struct uffdio_register missing_page = {
		.range = {(uintptr_t)late, page}, .mode = UFFDIO_REGISTER_MODE_MISSING};

	CHECK(ioctl(faults, UFFDIO_REGISTER, &missing_page) == 0);
	CHECK(pipe(pipe_fds) == 0);
	unix_pair(SOCK_STREAM, stream);
	CHECK((set = epoll_create1(0)) >= 0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipe_fds[0], &event) == 0);
	CHECK((dir = open("/", O_RDONLY | O_DIRECTORY)) >= 0);
	return 1;
}

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	check_begin();
	if (prepare()) {
		provider = thread_start(provide, NULL);
		ticker = thread_start(tick, NULL);
		thread_join(thread_start(all, NULL));
		ended = 1;
		thread_join(ticker);
		thread_join(provider);
	} else {
		thread_join(thread_start(nothing, NULL));
	}
	return check_done();
}
