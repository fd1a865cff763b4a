/* fd_limits.c -- a process with threads may use every descriptor number that its limit gives it
 *
 * threads: 4
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { THREADS = 4 };

static int fds[2], stop;
static struct step arrived = STEP_INIT;
static long rounds;

/* Threads that wait, wake each other and go on all the while: half of them write until they are
 * told to stop, the others read to the end. */
static void *keep_going(void *arg)
{
	struct timespec t = {0, 200000};
	ssize_t n = 1;

	step_add(&arrived, 1);
	while (n && !((intptr_t)arg % 2 && __atomic_load_n(&stop, __ATOMIC_SEQ_CST))) {
		char c = 'x';

		CHECK(nanosleep(&t, NULL) == 0);
		n = (intptr_t)arg % 2 ? write(fds[1], &c, 1) : read(fds[0], &c, 1);
		CHECK(n == 1 || (n == 0 && (intptr_t)arg % 2 == 0));
		__atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* As many rounds as show that all threads still run. */
static void await_rounds(void)
{
	long before = __atomic_load_n(&rounds, __ATOMIC_SEQ_CST);
	struct timespec t = {0, 500000};

	while (__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) < before + 8)
		nanosleep(&t, NULL);
}

static int count_open(int limit)
{
	int n = 0;

	for (int fd = 0; fd < limit; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Opens until there is no more, and counts. */
static void fill(int limit)
{
	static int own[4096];
	int open_before = count_open(limit), n = 0, fd;

	while (n < 4096 && (fd = eventfd(n, 0)) >= 0)
		own[n++] = fd;
	CHECK_EQ(fd, -1);
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(n, limit - open_before);
	for (int i = 0; i < n; i++)
		CHECK(own[i] >= 0 && own[i] < limit);
	CHECK_ERR(dup(0), EMFILE);
	CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
	CHECK_ERR(epoll_create1(0), EMFILE);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	CHECK_ERR(pipe(own + n), EMFILE);
	CHECK_ERR(fcntl(0, F_DUPFD, limit), EINVAL);
	await_rounds();
	for (int i = 0; i < n; i++) {
		eventfd_t value = 0;

		CHECK(i == 0 || eventfd_read(own[i], &value) == 0);
		CHECK_EQ(value, i);
		CHECK(close(own[i]) == 0);
	}
	await_rounds();
}

static void with_limit(int soft)
{
	struct rlimit limit, was;

	CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	limit = was;
	limit.rlim_cur = soft;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	fill(soft);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK_EQ(limit.rlim_cur, soft);
	CHECK_EQ(limit.rlim_max, was.rlim_max);
	CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
}

static void all_numbers_below_the_soft_limit_can_be_had(void)
{
	with_limit(64);
	with_limit(1024);
	with_limit(1500);
}

/* In a child, since it cannot be taken back. */
static void the_same_when_the_hard_limit_is_reached(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit limit = {128, 128};
		pthread_t threads[THREADS];

		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		stop = 0;
		step_reset(&arrived);
		CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
		unix_pair(SOCK_STREAM, fds);
		threads_start(threads, THREADS, keep_going);
		step_wait(&arrived, THREADS);
		fill(128);
		_exit(0);
	}
	CHECK_CHILD(child);
}

static void every_number_can_be_named(void)
{
	struct rlimit limit;
	int null = open("/dev/null", O_RDWR), top;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	top = limit.rlim_cur > 1100 ? 1100 : (int)limit.rlim_cur;
	for (int fd = null + 1; fd < top; fd++) {
		char c;

		CHECK(fcntl(fd, F_GETFD) < 0);
		CHECK_ERR(read(fd, &c, 1), EBADF);
		CHECK_ERR(close(fd), EBADF);
		CHECK_EQ(dup2(null, fd), fd);
		CHECK_EQ(write(fd, "x", 1), 1);
		CHECK(close(fd) == 0);
		CHECK_ERR(write(fd, "x", 1), EBADF);
	}
	CHECK(close(null) == 0);
	await_rounds();
}

static void the_lowest_free_number_is_given(void)
{
	int null = open("/dev/null", O_RDWR), other, last = null;

	for (int i = 0; i < 1100; i++) {
		CHECK((other = dup(null)) >= 0);
		CHECK_EQ(other, last + 1);
		last = other;
	}
	CHECK(close(null + 700) == 0);
	CHECK_EQ(dup(null), null + 700);
	CHECK(syscall(SYS_close_range, null, last, 0) == 0);
	await_rounds();
}

/* Also where none below it is free: ours stand somewhere in this range. */
static void the_lowest_number_from_one_on_is_given(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int least = null + 1; least < 1100; least++) {
		CHECK_EQ(fcntl(null, F_DUPFD_CLOEXEC, least), least);
		CHECK_EQ(fcntl(null, F_DUPFD, least), least + 1);
		CHECK(close(least) == 0);
		CHECK(close(least + 1) == 0);
	}
	CHECK(close(null) == 0);
	await_rounds();
}

static void all_may_be_closed(void)
{
	static const char text[] = "still here";
	int kept = fds[1] > fds[0] ? fds[1] : fds[0];

	/* One call for everything above, as daemons do. */
	CHECK(syscall(SYS_close_range, kept + 1, ~0U, 0) == 0);
	await_rounds();
	for (int fd = kept + 1; fd < 2000; fd++)
		CHECK_ERR(close(fd), EBADF);
	await_rounds();
	CHECK(syscall(SYS_close_range, kept + 1, ~0U, 4) == 0);
	await_rounds();
#if __GLIBC_PREREQ(2, 34)
	closefrom(kept + 1);
#endif
	await_rounds();
	int fd = open("/dev/null", O_WRONLY);
	CHECK_EQ(fd, kept + 1);
	CHECK_EQ(write(fd, text, sizeof(text)), sizeof(text));
	CHECK(close(fd) == 0);
}

int main(void)
{
	pthread_t threads[THREADS];

	check_begin();
	/* Whatever was inherited above the usual three is closed first, so that numbers can be
	 * counted on. */
	CHECK(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	unix_pair(SOCK_STREAM, fds);
	threads_start(threads, THREADS, keep_going);
	step_wait(&arrived, THREADS);
	RUN(the_lowest_number_from_one_on_is_given);
	RUN(all_numbers_below_the_soft_limit_can_be_had);
	RUN(the_same_when_the_hard_limit_is_reached);
	RUN(every_number_can_be_named);
	RUN(all_may_be_closed);
	RUN(the_lowest_free_number_is_given);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 1; i < THREADS; i += 2)
		CHECK(thread_join(threads[i]) == NULL);
	CHECK(shutdown(fds[1], SHUT_WR) == 0);
	for (int i = 0; i < THREADS; i += 2)
		CHECK(thread_join(threads[i]) == NULL);
	return check_done();
}
