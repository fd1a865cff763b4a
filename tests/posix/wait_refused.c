/* wait_refused.c -- threads wait for descriptors that epoll takes from nobody
 *
 * The process starts itself anew under a filter that refuses to add certain descriptors to an epoll
 * set, with an error a number, as the kernel does it when a limit is reached or memory is short. No
 * call here uses epoll, so nothing changes.
 *
 * threads: 4
 * libs: -lrt
 * kthreads: 12
 */
#include "filter.h"
#include "net.h"
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>

enum { FIRST = 200, EACH = 100, WAITERS = 4 };

static const int errors[] = {ENOSPC, ENOMEM, EPERM};
enum { ERRORS = sizeof errors / sizeof errors[0] };

static int place;	/* where the descriptors of this round stand */

static void refuse(void)
{
	struct sock_filter rows[32];
	unsigned short n = 0;

	rows[n++] = (struct sock_filter)FILTER_LOAD(nr);
	rows[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 1, 0);
	rows[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	rows[n++] = (struct sock_filter)FILTER_LOAD(args[2]);
	for (int i = 0; i < ERRORS; i++) {
		rows[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST + EACH * i, 0, 2);
		rows[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST + EACH * (i + 1), 1, 0);
		rows[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)errors[i]);
	}
	rows[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter_set(rows, n, 0);
}

/* The descriptor, among the refused ones. */
static int put(int fd)
{
	int n = fcntl(fd, F_DUPFD_CLOEXEC, place);

	CHECK(n >= place && n < place + EACH);
	CHECK(close(fd) == 0);
	return n;
}

static void make_pipe(int ends[2])
{
	CHECK(pipe(ends) == 0);
	ends[0] = put(ends[0]);
	ends[1] = put(ends[1]);
}

static void make_sockets(int type, int fds[2])
{
	unix_pair(type, fds);
	fds[0] = put(fds[0]);
	fds[1] = put(fds[1]);
}

static void close_both(const int fds[2])
{
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
}

static void *read_one(void *arg)
{
	char byte;

	CHECK_EQ(read((int)(intptr_t)arg, &byte, 1), 1);
	return (void *)(intptr_t)byte;
}

static void readers_wait(void)
{
	int ends[WAITERS][2];
	pthread_t threads[WAITERS];

	for (int i = 0; i < WAITERS; i++) {
		if (i % 2)
			make_sockets(SOCK_STREAM, ends[i]);
		else
			make_pipe(ends[i]);
		threads[i] = thread_start(read_one, (void *)(intptr_t)ends[i][0]);
	}
	let_block();
	for (int i = WAITERS - 1; i >= 0; i--) {
		char byte = (char)('a' + i);

		CHECK_EQ(write(ends[i][1], &byte, 1), 1);
		CHECK_EQ((intptr_t)thread_join(threads[i]), byte);
		close_both(ends[i]);
	}
}

static void *write_much(void *arg)
{
	static char much[1 << 20];

	write_all((int)(intptr_t)arg, much, sizeof much);
	return NULL;
}

static void writers_wait(void)
{
	static char buf[1 << 20];
	int ends[2][2];
	pthread_t threads[2];

	make_pipe(ends[0]);
	make_sockets(SOCK_STREAM, ends[1]);
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(write_much, (void *)(intptr_t)ends[i][1]);
	let_block();
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(read_all(ends[i][0], buf, sizeof buf), sizeof buf);
		thread_join(threads[i]);
		close_both(ends[i]);
	}
}

static void *accept_one(void *arg)
{
	int fd = accept((int)(intptr_t)arg, NULL, NULL);

	CHECK(fd >= 0 && close(fd) == 0);
	return NULL;
}

static void a_listener_waits(void)
{
	struct sockaddr_in at;
	int listener = put(tcp_listen(&at, 4));
	pthread_t thread = thread_start(accept_one, (void *)(intptr_t)listener);

	let_block();
	int fd = tcp_connect(&at);

	thread_join(thread);
	CHECK(close(fd) == 0 && close(listener) == 0);
}

static int some[2][2];

static void *poll_two(void *arg)
{
	struct pollfd p[2] = {{some[0][0], POLLIN, 0}, {some[1][0], POLLIN, 0}};

	CHECK_EQ(poll(p, 2, -1), 1);
	CHECK(p[0].revents == 0 && p[1].revents == POLLIN);
	return arg;
}

static void *poll_one(void *arg)
{
	struct pollfd p = {some[1][0], POLLIN, 0};

	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(p.revents, POLLIN);
	return arg;
}

static void *select_two(void *arg)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(some[0][0], &set);
	FD_SET(some[1][0], &set);
	CHECK_EQ(select(some[1][1] + 1, &set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(some[1][0], &set));
	return arg;
}

static void polls_wait(void)
{
	void *(*const ways[])(void *) = {poll_one, poll_two, select_two};
	pthread_t threads[3];

	make_pipe(some[0]);
	make_pipe(some[1]);
	for (int i = 0; i < 3; i++)
		threads[i] = thread_start(ways[i], NULL);
	let_block();
	CHECK_EQ(write(some[1][1], "x", 1), 1);
	threads_join(threads, 3);
	close_both(some[0]);
	close_both(some[1]);
}

static void *receive_from_queue(void *arg)
{
	char text[16];

	CHECK_EQ(mq_receive((mqd_t)(intptr_t)arg, text, sizeof text, NULL), 2);
	return NULL;
}

static void *read_counter(void *arg)
{
	uint64_t n;

	CHECK_EQ(read((int)(intptr_t)arg, &n, sizeof n), sizeof n);
	return NULL;
}

static void other_kinds_wait(void)
{
	struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 16};
	struct itimerspec soon = {{0, 0}, {0, 50000000}};
	int event = put(eventfd(0, 0)), timer = put(timerfd_create(CLOCK_MONOTONIC, 0));
	pthread_t threads[3];
	uint64_t one = 1;
	char name[64];

	snprintf(name, sizeof name, "/weft-refused.%d", (int)getpid());
	mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	CHECK(queue >= 0 && mq_unlink(name) == 0);
	queue = put(queue);
	threads[0] = thread_start(receive_from_queue, (void *)(intptr_t)queue);
	threads[1] = thread_start(read_counter, (void *)(intptr_t)event);
	threads[2] = thread_start(read_counter, (void *)(intptr_t)timer);
	CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
	let_block();
	CHECK(mq_send(queue, "hi", 2, 0) == 0);
	CHECK_EQ(write(event, &one, sizeof one), sizeof one);
	threads_join(threads, 3);
	CHECK(close(event) == 0 && close(timer) == 0 && mq_close(queue) == 0);
}

static void *time_out(void *arg)
{
	int *fds = (int *)arg;
	struct timeval limit = {0, 60000};
	int64_t start = now_ms();
	char byte;

	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
	CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
	CHECK(now_ms() - start >= 60);
	CHECK(now_ms() - start < 5000);
	return NULL;
}

static void time_outs_end_a_wait(void)
{
	int fds[2];

	make_sockets(SOCK_STREAM, fds);
	thread_join(thread_start(time_out, fds));
	close_both(fds);
}

static struct step done = STEP_INIT;

static void *be_interrupted(void *arg)
{
	char byte;

	CHECK_ERR(read((int)(intptr_t)arg, &byte, 1), EINTR);
	step_add(&done, 1);
	return NULL;
}

static void signals_end_a_wait(void)
{
	int ends[2];

	make_pipe(ends);
	step_reset(&done);
	interrupts_begin(0);
	thread_interrupt(thread_start(be_interrupted, (void *)(intptr_t)ends[0]), &done);
	close_both(ends);
}

static void a_number_that_is_closed_is_waited_for(void)
{
	int ends[2];

	make_pipe(ends);
	pthread_t thread = thread_start(read_one, (void *)(intptr_t)ends[0]);

	let_block();
	CHECK(close(ends[0]) == 0);
	let_block();
	int other = put(open("/dev/null", O_RDWR | O_CLOEXEC));

	CHECK_EQ(other, ends[0]);
	CHECK_EQ(write(ends[1], "z", 1), 1);
	CHECK_EQ((intptr_t)thread_join(thread), 'z');
	close_both((int[2]){other, ends[1]});
}

/* What the readers wait for comes from threads of the same process. */
static void *pass_on(void *arg)
{
	int *fds = (int *)arg;
	char byte;

	for (int i = 0; i < 40; i++) {
		CHECK_EQ(read(fds[0], &byte, 1), 1);
		CHECK_EQ(write(fds[1], &byte, 1), 1);
	}
	return NULL;
}

static void threads_pass_bytes_on(void)
{
	int first[2], second[2], third[2];
	char byte = 'x';

	make_pipe(first);
	make_pipe(second);
	make_pipe(third);
	int one[2] = {first[0], second[1]}, two[2] = {second[0], third[1]};
	pthread_t a = thread_start(pass_on, one), b = thread_start(pass_on, two);

	for (int i = 0; i < 40; i++) {
		CHECK_EQ(write(first[1], &byte, 1), 1);
		CHECK_EQ(read(third[0], &byte, 1), 1);
	}
	thread_join(a);
	thread_join(b);
	close_both(first);
	close_both(second);
	close_both(third);
}

static void *wait_for_all(void *arg)
{
	for (int i = 0; i < ERRORS; i++) {
		place = FIRST + EACH * i;
		CHECK_ERR(epoll_ctl(epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_ADD, place, NULL), errors[i]);
		RUN(readers_wait);
		RUN(writers_wait);
		RUN(a_listener_waits);
		RUN(polls_wait);
		RUN(other_kinds_wait);
		RUN(time_outs_end_a_wait);
		RUN(signals_end_a_wait);
		RUN(a_number_that_is_closed_is_waited_for);
		RUN(threads_pass_bytes_on);
	}
	return arg;
}

int main(int argc, char **argv)
{
	filter_from_start(argc, argv, refuse);
	check_begin();
	wait_for_all(NULL);
	return check_done();
}
