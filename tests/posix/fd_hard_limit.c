/* fd_hard_limit.c -- threads go on in a process that holds every descriptor its hard limit gives it
 *
 * They sleep, read, poll, wait for locks and signals and children, and wake each other, while the
 * table of descriptors has no free number and cannot grow.
 *
 * threads: 12
 */
#include "check.h"
#include "net.h"
#include <linux/capability.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

enum { LIMIT = 64, WORKERS = 12, ROUNDS = 10 };

static long rounds[WORKERS];
static int stop, echo[2], pipe_ends[2], quiet, set, timer;
static pthread_t threads[WORKERS];
static sem_t taken;
static int all_sent;
static struct step arrived = STEP_INIT;

static int goes_on(int me)
{
	__atomic_add_fetch(&rounds[me], 1, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&stop, __ATOMIC_SEQ_CST);
}

static void pause_us(long us)
{
	struct timespec t = {0, us * 1000};

	while (nanosleep(&t, &t) < 0)
		CHECK(errno == EINTR);
}

static void ask(int me)
{
	for (char c = 'a'; goes_on(me); c = c == 'z' ? 'a' : c + 1) {
		char got = 0;

		CHECK_EQ(write(echo[0], &c, 1), 1);
		CHECK_EQ(read(echo[0], &got, 1), 1);
		CHECK_EQ(got, c);
		pause_us(100);
	}
	CHECK(shutdown(echo[0], SHUT_WR) == 0);
}

static void answer(int me)
{
	char c;

	while (read(echo[1], &c, 1) == 1) {
		CHECK_EQ(write(echo[1], &c, 1), 1);
		goes_on(me);
	}
}

static void sleep_and_write(int me)
{
	do
		pause_us(300);
	while (write(pipe_ends[1], "x", 1) == 1 && goes_on(me));
	CHECK_EQ(write(pipe_ends[1], "e", 1), 1);
}

static void poll_and_read(int me)
{
	struct pollfd fds[2] = {{quiet, POLLIN, 0}, {pipe_ends[0], POLLIN, 0}};
	char c = 0;

	while (c != 'e') {
		int n = poll(fds, 2, 1);

		CHECK(n == 0 || n == 1);
		CHECK_EQ(fds[0].revents, 0);
		CHECK_EQ(fds[1].revents, n ? POLLIN : 0);
		if (n)
			CHECK_EQ(read(pipe_ends[0], &c, 1), 1);
		goes_on(me);
	}
}

/* Two that hand a turn to each other. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void play(int me)
{
	CHECK_OK(pthread_mutex_lock(&lock));
	while (goes_on(me)) {
		while (turn % 2 != me % 2 && !__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
			CHECK_OK(pthread_cond_wait(&changed, &lock));
		turn++;
		CHECK_OK(pthread_cond_signal(&changed));
	}
	CHECK_OK(pthread_cond_signal(&changed));
	CHECK_OK(pthread_mutex_unlock(&lock));
}

static void wait_for_ticks(int me)
{
	struct epoll_event event;
	uint64_t ticks;

	while (goes_on(me)) {
		CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
		CHECK_EQ(event.data.fd, timer);
		CHECK_EQ(read(timer, &ticks, sizeof(ticks)), sizeof(ticks));
	}
}

static void only_sleep(int me)
{
	while (goes_on(me))
		pause_us(500);
}

static void take_signals(int me)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	for (;; goes_on(me)) {
		int sig;

		CHECK_OK(sigwait(&one, &sig));
		CHECK_EQ(sig, SIGUSR1);
		if (__atomic_load_n(&all_sent, __ATOMIC_SEQ_CST))
			break;
		CHECK(sem_post(&taken) == 0);
	}
}

/* To the process and to the thread in turns. */
static void send_signals(int me)
{
	pthread_t to = threads[me - 1];

	while (goes_on(me)) {
		if (rounds[me] % 2)
			CHECK_OK(pthread_kill(to, SIGUSR1));
		else
			CHECK(kill(getpid(), SIGUSR1) == 0);
		CHECK(sem_wait(&taken) == 0);
	}
	__atomic_store_n(&all_sent, 1, __ATOMIC_SEQ_CST);
	CHECK_OK(pthread_kill(to, SIGUSR1));
}

static __thread int caught;
static int left_alone;

static void on_signal(int sig)
{
	(void)sig;
	caught++;
}

/* A read that only a signal ends. */
static void be_interrupted(int me)
{
	char c[8];

	while (goes_on(me)) {
		CHECK_ERR(read(quiet, c, sizeof(c)), EINTR);
		CHECK(caught > 0);
	}
	__atomic_store_n(&left_alone, 1, __ATOMIC_SEQ_CST);
}

static void interrupt(int me)
{
	for (; !__atomic_load_n(&left_alone, __ATOMIC_SEQ_CST); goes_on(me)) {
		CHECK_OK(pthread_kill(threads[me - 1], SIGUSR2));
		pause_us(500);
	}
}

static void (*const works[WORKERS])(int) = {
	ask, answer, sleep_and_write, poll_and_read, play, play,
	wait_for_ticks, only_sleep, take_signals, send_signals, be_interrupted, interrupt,
};

static void *work(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, WORKERS);	/* all of threads[] is there */
	works[(intptr_t)arg]((int)(intptr_t)arg);
	return NULL;
}

static int all_went_on(const long *before)
{
	for (int i = 0; i < WORKERS; i++)
		if (__atomic_load_n(&rounds[i], __ATOMIC_SEQ_CST) < before[i] + ROUNDS)
			return 0;
	return 1;
}

static void note_rounds(long *now)
{
	for (int i = 0; i < WORKERS; i++)
		now[i] = __atomic_load_n(&rounds[i], __ATOMIC_SEQ_CST);
}

static void await_rounds(void)
{
	long before[WORKERS];

	note_rounds(before);
	while (!all_went_on(before))
		pause_us(500);
}

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < LIMIT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Takes every number there is. */
static int own[LIMIT], owned;

static void fill(void)
{
	int room = LIMIT - count_open(), fd;

	for (owned = 0; (fd = eventfd(0, 0)) >= 0; owned++) {
		CHECK(owned < LIMIT);
		own[owned] = fd;
	}
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(owned, room);
	CHECK_EQ(count_open(), LIMIT);
}

static void empty(void)
{
	eventfd_t one;

	for (int i = 0; i < owned; i++) {
		CHECK(eventfd_write(own[i], 1 + i) == 0);
		CHECK(eventfd_read(own[i], &one) == 0);
		CHECK_EQ(one, 1 + i);
		CHECK(close(own[i]) == 0);
	}
}

static void all_go_on_without_a_free_number(void)
{
	for (int i = 0; i < 3; i++) {
		fill();
		await_rounds();
		empty();
		await_rounds();
	}
}

static void pairs_and_copies_take_the_last_numbers(void)
{
	int ends[2], free_one;

	fill();
	for (int i = 0; i < 3; i++) {
		CHECK(close(own[owned - 1]) == 0 && close(own[owned - 2]) == 0);
		CHECK(i == 0 ? pipe(ends) == 0 : i == 1 ? pipe2(ends, O_CLOEXEC) == 0
							  : socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
		CHECK_EQ(ends[0] + ends[1], own[owned - 1] + own[owned - 2]);
		CHECK_ERR(dup(0), EMFILE);
		await_rounds();
		close_pair(ends);
		free_one = dup(own[0]);
		CHECK_EQ(fcntl(own[0], F_DUPFD, free_one), own[owned - 1] + own[owned - 2] - free_one);
	}
	empty();
}

static void one_that_computes_leaves_the_others_their_turns(void)
{
	long before[WORKERS];

	fill();
	note_rounds(before);
	while (!all_went_on(before))
		;
	empty();
}

static void a_child_is_waited_for(void)
{
	fill();
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		siginfo_t info;

		CHECK(child >= 0);
		if (child == 0) {
			pause_us(3000);
			_exit(i);
		}
		if (i % 2) {
			CHECK(waitid(P_PID, (id_t)child, &info, WEXITED) == 0);
			CHECK_EQ(info.si_status, i);
		} else {
			CHECK_EQ(child_status(child), i << 8);
		}
	}
	await_rounds();
	empty();
}

static void *sleep_once(void *arg)
{
	pause_us(1000);
	step_add(arg, 1);
	return NULL;
}

static void a_child_has_threads_of_its_own(void)
{
	fill();
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			pthread_t few[4];
			struct step done = STEP_INIT;

			for (int n = 0; n < 4; n++)
				few[n] = thread_start(sleep_once, &done);
			step_wait(&done, 4);
			threads_join(few, 4);
			CHECK_ERR(dup(0), EMFILE);
			empty();
			fill();
			few[0] = thread_start(sleep_once, &done);
			threads_join(few, 1);
			_exit(0);
		}
		CHECK_CHILD(child);
	}
	await_rounds();
	empty();
}

static void every_number_can_be_named(void)
{
	for (int to = 0; to < 2 * LIMIT; to++) {
		if (fcntl(to, F_GETFD) >= 0)
			continue;
		if (to >= LIMIT) {
			CHECK_ERR(dup2(quiet, to), EBADF);
			continue;
		}
		CHECK_EQ(dup2(quiet, to), to);
		CHECK(close(to) == 0);
		CHECK_ERR(close(to), EBADF);
	}
	await_rounds();
}

/* As daemons do it: all that they do not know. */
static void what_is_not_open_may_be_closed(void)
{
	int first = timer + 1;

	for (int i = 0; i < 20; i++) {
		CHECK(syscall(SYS_close_range, first, ~0U, 0) == 0);
		for (int fd = first; fd < 2 * LIMIT; fd++)
			CHECK_ERR(close(fd), EBADF);
		pause_us(200);
	}
	await_rounds();
	fill();
	CHECK(syscall(SYS_close_range, first, ~0U, 0) == 0);
	await_rounds();
	CHECK_EQ(count_open(), first);
}

/* Natively root may raise its hard limit: who may not is the case in question. */
static void give_up_privilege(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	uint32_t bit = 1u << CAP_SYS_RESOURCE;

	CHECK(syscall(SYS_capget, &header, data) == 0);
	data[0].effective &= ~bit;
	data[0].permitted &= ~bit;
	data[0].inheritable &= ~bit;
	CHECK(syscall(SYS_capset, &header, data) == 0);
}

static void prepare(void)
{
	struct rlimit limit = {LIMIT, LIMIT};
	struct itimerspec each_ms = {{0, 1000000}, {0, 1000000}};
	struct epoll_event event = {.events = EPOLLIN};
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t one;

	give_up_privilege();
	CHECK(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	tcp_pair(echo);
	CHECK(pipe(pipe_ends) == 0);
	CHECK((quiet = eventfd(0, 0)) >= 0);
	CHECK((set = epoll_create1(0)) >= 0);
	CHECK((timer = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
	CHECK(timerfd_settime(timer, 0, &each_ms, NULL) == 0);
	event.data.fd = timer;
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, timer, &event) == 0);
	CHECK(sem_init(&taken, 0, 0) == 0);
	CHECK(sigaction(SIGUSR2, &act, NULL) == 0);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &one, NULL));
}

int main(void)
{
	check_begin();
	prepare();
	threads_start(threads, WORKERS, work);
	await_rounds();
	RUN(all_go_on_without_a_free_number);
	RUN(pairs_and_copies_take_the_last_numbers);
	RUN(one_that_computes_leaves_the_others_their_turns);
	RUN(a_child_is_waited_for);
	RUN(a_child_has_threads_of_its_own);
	RUN(every_number_can_be_named);
	RUN(what_is_not_open_may_be_closed);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	threads_join(threads, WORKERS);
	return check_done();
}
