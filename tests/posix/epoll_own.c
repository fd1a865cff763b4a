/* epoll_own.c -- threads with an epoll loop each, as servers have them: wake-ups by eventfd,
 * timers, hand-over, one-shot
 *
 * threads: 8
 */
#include "check.h"
#include "net.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

enum { LOOPS = 4, ROUNDS = 500 };

static struct loop {
	int set, wake;
	int inbox[64], filled;
	pthread_mutex_t lock;
	long handled;
} loops[LOOPS];
static struct step arrived = STEP_INIT;

static void add(int set, int fd, uint32_t events)
{
	struct epoll_event event;

	event.events = events;
	event.data.fd = fd;
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void loops_make(void)
{
	for (int i = 0; i < LOOPS; i++) {
		loops[i].set = epoll_create1(EPOLL_CLOEXEC);
		loops[i].wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		loops[i].filled = 0;
		loops[i].handled = 0;
		CHECK_OK(pthread_mutex_init(&loops[i].lock, NULL));
		add(loops[i].set, loops[i].wake, EPOLLIN);
	}
}

static void loops_drop(void)
{
	for (int i = 0; i < LOOPS; i++)
		CHECK(close(loops[i].set) == 0 && close(loops[i].wake) == 0);
}

/* A descriptor for a loop, or -1 to end it. */
static void hand_to(struct loop *l, int fd)
{
	CHECK_OK(pthread_mutex_lock(&l->lock));
	l->inbox[l->filled++] = fd;
	CHECK_OK(pthread_mutex_unlock(&l->lock));
	CHECK(eventfd_write(l->wake, 1) == 0);
}

/* Hands back 1 when the loop is to end. */
static int take_inbox(struct loop *l)
{
	eventfd_t value;
	int end = 0;

	CHECK(eventfd_read(l->wake, &value) == 0 || errno == EAGAIN);
	CHECK_OK(pthread_mutex_lock(&l->lock));
	while (l->filled) {
		int fd = l->inbox[--l->filled];

		if (fd < 0)
			end = 1;
		else
			add(l->set, fd, EPOLLIN | EPOLLRDHUP);
	}
	CHECK_OK(pthread_mutex_unlock(&l->lock));
	return end;
}

static void echo(struct loop *l, int fd)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	CHECK(n >= 0);
	if (n == 0) {
		CHECK(close(fd) == 0);
		return;
	}
	write_all(fd, data, n);
	l->handled++;
}

static void *run_loop(void *arg)
{
	struct loop *l = &loops[(intptr_t)arg];

	for (;;) {
		struct epoll_event events[8];
		int n = epoll_wait(l->set, events, 8, -1);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != l->wake)
				echo(l, events[i].data.fd);
			else if (take_inbox(l))
				return NULL;
		}
	}
}

static void *ask(void *arg)
{
	struct sockaddr_in *at = (struct sockaddr_in *)arg;
	int fd = tcp_connect(at);
	char out[100], in[100];

	for (int i = 0; i < ROUNDS; i++) {
		pattern_fill(out, sizeof(out), i, 1);
		write_all(fd, out, sizeof(out));
		CHECK_EQ(read_all(fd, in, sizeof(in)), sizeof(in));
		CHECK(memcmp(in, out, sizeof(in)) == 0);
	}
	CHECK(close(fd) == 0);
	return NULL;
}

static void an_acceptor_hands_connections_to_loops(void)
{
	pthread_t threads[LOOPS], clients[LOOPS];
	struct sockaddr_in at;
	int listener = tcp_listen(&at, 16);
	long sum = 0;

	loops_make();
	threads_start(threads, LOOPS, run_loop);
	for (int i = 0; i < LOOPS; i++)
		clients[i] = thread_start(ask, &at);
	for (int i = 0; i < LOOPS; i++) {
		int fd = accept(listener, NULL, NULL);

		CHECK(fd >= 0);
		hand_to(&loops[i], fd);
	}
	threads_join(clients, LOOPS);
	for (int i = 0; i < LOOPS; i++)
		hand_to(&loops[i], -1);
	threads_join(threads, LOOPS);
	for (int i = 0; i < LOOPS; i++)
		sum += loops[i].handled;
	CHECK(sum >= LOOPS * ROUNDS);
	CHECK(close(listener) == 0);
	loops_drop();
}

static int ring[LOOPS];

/* A token goes round through eventfds, each loop waiting for its own. */
static void *pass_token(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct epoll_event event;
	eventfd_t value;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(epoll_wait(loops[n].set, &event, 1, -1), 1);
		CHECK(eventfd_read(loops[n].wake, &value) == 0);
		ring[n]++;
		if (n < LOOPS - 1 || i < ROUNDS - 1)
			CHECK(eventfd_write(loops[(n + 1) % LOOPS].wake, 1) == 0);
	}
	return NULL;
}

static void a_token_goes_round(void)
{
	pthread_t threads[LOOPS];

	loops_make();
	threads_start(threads, LOOPS, pass_token);
	CHECK(eventfd_write(loops[0].wake, 1) == 0);
	threads_join(threads, LOOPS);
	for (int i = 0; i < LOOPS; i++)
		CHECK_EQ(ring[i], ROUNDS);
	loops_drop();
}

static void *wait_for_late_entry(void *arg)
{
	struct epoll_event event;

	step_add(&arrived, 1);
	CHECK_EQ(epoll_wait(*(int *)arg, &event, 1, -1), 1);
	return NULL;
}

/* What another thread adds, or arms again, wakes who waits already. */
static void changes_reach_who_waits(void)
{
	int set = epoll_create1(0), fd = eventfd(1, 0);
	struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {NULL}};

	for (int i = 0; i < 4; i++) {
		pthread_t thread;

		step_reset(&arrived);
		thread = thread_start(wait_for_late_entry, &set);
		step_wait(&arrived, 1);
		if (i < 2)
			let_block();
		CHECK(epoll_ctl(set, i ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0);
		thread_join(thread);
		CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
		event.events = EPOLLIN | EPOLLONESHOT;
	}
	CHECK(close(set) == 0 && close(fd) == 0);
}

static int shared_set, shared_fd, told, holders;

static void *share_set(void *arg)
{
	struct epoll_event event;
	eventfd_t value;

	(void)arg;
	for (;;) {
		int last;

		CHECK_EQ(epoll_wait(shared_set, &event, 1, -1), 1);
		CHECK_EQ(__atomic_fetch_add(&holders, 1, __ATOMIC_RELAXED), 0);
		CHECK(eventfd_read(shared_fd, &value) == 0);
		last = __atomic_add_fetch(&told, 1, __ATOMIC_RELAXED) >= ROUNDS;
		/* The end is handed on to the next who waits. */
		if (last)
			CHECK(eventfd_write(shared_fd, 1) == 0);
		__atomic_sub_fetch(&holders, 1, __ATOMIC_RELAXED);
		event.events = EPOLLIN | EPOLLONESHOT;
		CHECK(epoll_ctl(shared_set, EPOLL_CTL_MOD, shared_fd, &event) == 0);
		step_add(&arrived, 1);
		if (last)
			return NULL;
	}
}

/* Several threads wait on one set; with EPOLLONESHOT one at a time has the descriptor. */
static void one_set_is_shared_by_one_shots(void)
{
	pthread_t threads[LOOPS];

	shared_set = epoll_create1(0);
	shared_fd = eventfd(0, EFD_NONBLOCK);
	step_reset(&arrived);
	add(shared_set, shared_fd, EPOLLIN | EPOLLONESHOT);
	threads_start(threads, LOOPS, share_set);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(eventfd_write(shared_fd, 1) == 0);
		step_wait(&arrived, i + 1);
	}
	threads_join(threads, LOOPS);
	CHECK(close(shared_set) == 0 && close(shared_fd) == 0);
}

static void *edges(void *arg)
{
	int set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0), fds[2];
	struct itimerspec t = {{0, 0}, {0, 5000000}};
	struct epoll_event event;
	char c[8];

	unix_pair(SOCK_STREAM, fds);
	add(set, fds[0], EPOLLIN | EPOLLET);
	CHECK_EQ(write(fds[1], "ab", 2), 2);
	CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
	/* Told once: not again before more comes. */
	CHECK_EQ(epoll_wait(set, &event, 1, 5), 0);
	CHECK_EQ(read(fds[0], c, 1), 1);
	CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
	CHECK_EQ(write(fds[1], "c", 1), 1);
	CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
	CHECK_EQ(read(fds[0], c, 8), 2);
	add(set, timer, EPOLLIN);
	CHECK(timerfd_settime(timer, 0, &t, NULL) == 0);
	CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
	CHECK_EQ(event.data.fd, timer);
	CHECK(epoll_ctl(set, EPOLL_CTL_DEL, timer, NULL) == 0);
	CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
	CHECK(close(timer) == 0);
	close_pair(fds);
	CHECK(close(set) == 0);
	return arg;
}

static void edges_are_told_once(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(edges, NULL);
	threads_join(threads, 4);
}

static void *mistakes(void *arg)
{
	int set = epoll_create1(0), file = open("/proc/self/exe", O_RDONLY), fd = eventfd(0, 0);
	struct epoll_event event = {EPOLLIN, {NULL}};

	CHECK_ERR(epoll_wait(set, &event, 0, 0), EINVAL);
	CHECK_ERR(epoll_wait(fd, &event, 1, 0), EINVAL);
	CHECK_ERR(epoll_wait(-1, &event, 1, 0), EBADF);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_ADD, file, &event), EPERM);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_ADD, -1, &event), EBADF);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_ADD, set, &event), EINVAL);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), ENOENT);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_DEL, fd, &event), ENOENT);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK_ERR(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), EEXIST);
	CHECK(eventfd_write(fd, 1) == 0);
	CHECK_ERR(epoll_wait(set, (struct epoll_event *)bad_address(), 1, 100), EFAULT);
	CHECK(close(set) == 0 && close(file) == 0 && close(fd) == 0);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	mistakes(NULL);
	thread_join(thread_start(mistakes, NULL));
}

int main(void)
{
	check_begin();
	RUN(an_acceptor_hands_connections_to_loops);
	RUN(a_token_goes_round);
	RUN(changes_reach_who_waits);
	RUN(one_set_is_shared_by_one_shots);
	RUN(edges_are_told_once);
	RUN(mistakes_get_their_errno);
	return check_done();
}
