/* fd_no_memory.c -- threads wait for descriptors while no memory can be mapped
 *
 * The descriptors stand far apart, so that whoever keeps a table of them would need a new page for each.
 *
 * threads: 5
 * kthreads: 12
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>

enum { THREADS = 5, APART = 128, NUMBERS = 120, FIRST = 8 };

static struct step begun = STEP_INIT, ready = STEP_INIT, done = STEP_INIT;
static int pipes[THREADS][2], set, ends[THREADS];

static void wait_in_poll(int me)
{
	struct pollfd p[12];

	for (int i = 0; i < 12; i++)
		p[i] = (struct pollfd){i % 2 ? ends[me] : -1, POLLIN, 0};
	CHECK_EQ(poll(p, me ? 12 : 1, 0), 0);
	CHECK_EQ(poll(p + 1, me ? 11 : 1, -1), me ? 6 : 1);
	CHECK_EQ(p[1].revents, POLLIN);
}

static void wait_in_epoll(int me)
{
	struct epoll_event event;

	CHECK_EQ(epoll_wait(ends[me], &event, 1, -1), 1);
	CHECK_EQ(event.data.fd, 4711);
}

static void wait_in_read(int me)
{
	char byte;

	CHECK_EQ(read(ends[me], &byte, 1), 1);
	CHECK_EQ(byte, 'x');
}

static void wait_in_accept(int me)
{
	CHECK(accept4(ends[me], NULL, NULL, SOCK_CLOEXEC) >= 0);
}

static void *work(void *arg)
{
	static void (*const ways[THREADS])(int) = {wait_in_poll, wait_in_poll, wait_in_epoll, wait_in_read, wait_in_accept};
	int me = (int)(intptr_t)arg;

	step_add(&begun, 1);
	step_wait(&ready, 1);
	ways[me](me);
	step_add(&done, 1);
	return NULL;
}

/* A copy where nothing stands for a long way around. */
static int put(int fd)
{
	static int next = FIRST;
	int to = APART * ++next + 17;

	CHECK(dup2(fd, to) == to);
	return to;
}

static void threads_wait_without_memory(void)
{
	struct rlimit was, none, numbers;
	pthread_t threads[THREADS];
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 1);

	CHECK(getrlimit(RLIMIT_NOFILE, &numbers) == 0);
	numbers.rlim_cur = numbers.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &numbers) == 0);
	if (numbers.rlim_cur < (NUMBERS + FIRST + 2 * THREADS) * APART)
		return;
	for (int i = 0; i < THREADS; i++)
		CHECK(pipe(pipes[i]) == 0);
	set = epoll_create1(EPOLL_CLOEXEC);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipes[2][0], &(struct epoll_event){EPOLLIN, {.fd = 4711}}) == 0);
	threads_start(threads, THREADS, work);
	step_wait(&begun, THREADS);
	int caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(getrlimit(RLIMIT_AS, &was) == 0);
	none = was;
	none.rlim_cur = PTHREAD_STACK_MIN;
	CHECK(setrlimit(RLIMIT_AS, &none) == 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	for (int i = 0; i < NUMBERS; i++)
		CHECK(close(put(pipes[0][0])) == 0);
	for (int i = 0; i < THREADS; i++)
		ends[i] = put(i == 2 ? set : i == 4 ? listener : pipes[i][0]);
	step_add(&ready, 1);
	let_block();
	for (int i = 0; i < THREADS - 1; i++)
		CHECK_EQ(write(pipes[i][1], "x", 1), 1);
	CHECK(connect(caller, (struct sockaddr *)&at, sizeof at) == 0);
	step_wait(&done, THREADS);
	CHECK(setrlimit(RLIMIT_AS, &was) == 0);
	threads_join(threads, THREADS);
}

int main(void)
{
	check_begin();
	RUN(threads_wait_without_memory);
	return check_done();
}
