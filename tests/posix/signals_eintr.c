/* signals_eintr.c -- which waits a caught signal ends, with SA_RESTART and without, as signal(7)
 * has it
 *
 * The signal is sent again and again until the wait has ended, or for a while when it must not end
 * it: so it need not be known whether the thread waits already.
 *
 * threads: 1
 */
#include "check.h"
#include "net.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

static int pipe_fds[2], full[2], quiet[2], timed[2], alive[2], listener, set, event;
static struct sockaddr_in at;
static sem_t sem;
static uint32_t word;
static pid_t child;
static int ended, result, error;
static volatile sig_atomic_t handled;

static int wait_read(void)
{
	char c;

	return (int)read(pipe_fds[0], &c, 1);
}

static int wait_write(void)
{
	char c = 0;

	return (int)write(full[1], &c, 1);
}

static int wait_recv(void)
{
	char c;

	return (int)recv(quiet[0], &c, 1, 0);
}

static int wait_recv_timeout(void)
{
	char c;

	return (int)recv(timed[0], &c, 1, 0);
}

static int wait_accept(void)
{
	int fd = accept(listener, NULL, NULL);

	return fd < 0 ? fd : close(fd) + 1;
}

static int wait_eventfd(void)
{
	eventfd_t value;

	return eventfd_read(event, &value) < 0 ? -1 : 1;
}

static int wait_sem(void)
{
	return sem_wait(&sem) < 0 ? -1 : 1;
}

static int wait_futex(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL) < 0 ? -1 : 1;
}

static int wait_child(void)
{
	int status;

	return waitpid(child, &status, 0) < 0 ? -1 : 1;
}

static int wait_poll(void)
{
	struct pollfd p = {pipe_fds[0], POLLIN, 0};

	return poll(&p, 1, -1);
}

static int wait_poll_none(void)
{
	return poll(NULL, 0, 100000);
}

static int wait_ppoll(void)
{
	struct pollfd p = {quiet[0], POLLIN, 0};

	return ppoll(&p, 1, NULL, NULL);
}

static int wait_select(void)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(quiet[0], &in);
	return select(quiet[0] + 1, &in, NULL, NULL, NULL);
}

static int wait_epoll(void)
{
	struct epoll_event got;

	return epoll_wait(set, &got, 1, -1);
}

static int wait_nanosleep(void)
{
	struct timespec t = timespec_ms(100000), left = {0, 0};
	int n = nanosleep(&t, &left);

	CHECK(left.tv_sec > 0 && left.tv_sec <= 100);
	return n;
}

static int wait_sleep(void)
{
	unsigned left = sleep(100);

	CHECK(left > 0 && left <= 100);
	errno = EINTR;
	return -1;
}

static int wait_clock_nanosleep(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 100000);

	errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
	return errno ? -1 : 0;
}

static int wait_sem_timed(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 100000);

	return sem_timedwait(&sem, &until) < 0 ? -1 : 1;
}

static int wait_pause(void)
{
	return pause();
}

static int wait_suspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

/* What ends the waits that a signal must not end. */
static void satisfy(void)
{
	static char data[65536];
	eventfd_t one = 1;

	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	CHECK_EQ(write(quiet[1], "x", 1), 1);
	CHECK(read(full[0], data, sizeof(data)) > 0);
	CHECK(close(tcp_connect(&at)) == 0);
	CHECK(eventfd_write(event, one) == 0);
	CHECK(sem_post(&sem) == 0);
	CHECK(kill(child, SIGKILL) == 0);
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1) >= 0);
}

static void note(int sig)
{
	(void)sig;
	handled++;
}

static void catch_usr1(int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = note;
	action.sa_flags = flags;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	handled = 0;
}

static void *run_wait(void *arg)
{
	int (*wait)(void) = *(int (**)(void))arg;

	result = wait();
	error = errno;
	__atomic_store_n(&ended, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Sends until it has ended (times 0), or so many times. */
static pthread_t disturb(int (**wait)(void), int times)
{
	struct timespec t = timespec_ms(2);
	pthread_t thread;

	ended = 0;
	thread = thread_start(run_wait, wait);
	for (int i = 0; times == 0 || i < times; i++) {
		if (__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
			break;
		CHECK(thread_signal(thread, SIGUSR1) || __atomic_load_n(&ended, __ATOMIC_SEQ_CST));
		nanosleep(&t, NULL);
	}
	return thread;
}

static int (*restarted[])(void) = {wait_read,	 wait_write, wait_recv,	 wait_accept,
				   wait_eventfd, wait_sem,   wait_futex, wait_child};
static int (*never_restarted[])(void) = {
	wait_recv_timeout, wait_poll,  wait_poll_none,	     wait_ppoll, wait_select, wait_epoll,
	wait_nanosleep,	   wait_sleep, wait_clock_nanosleep, wait_pause, wait_suspend};
enum {
	RESTARTED = sizeof(restarted) / sizeof(restarted[0]),
	NEVER = sizeof(never_restarted) / sizeof(never_restarted[0])
};

static void expect_eintr(int (**wait)(void), int number)
{
	thread_join(disturb(wait, 0));
	CHECK(handled > 0);
	if (result != -1 || error != EINTR)
		check_fail(__FILE__, __LINE__, error, "wait number %d gives %d, not EINTR", number,
			   result);
}

static void make(void)
{
	struct timeval t = {100, 0};
	struct epoll_event entry = {EPOLLIN, {NULL}};
	static char data[65536];

	CHECK(pipe(pipe_fds) == 0);
	CHECK(pipe(full) == 0);
	CHECK(fcntl(full[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(full[1], data, sizeof(data)) > 0)
		continue;
	CHECK(fcntl(full[1], F_SETFL, 0) == 0);
	unix_pair(SOCK_STREAM, quiet);
	unix_pair(SOCK_STREAM, timed);
	CHECK(setsockopt(timed[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	listener = tcp_listen(&at, 4);
	event = eventfd(0, 0);
	set = epoll_create1(0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, quiet[0], &entry) == 0);
	CHECK(sem_init(&sem, 0, 0) == 0);
	word = 0;
	CHECK(pipe(alive) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		/* Ends when killed, or with its parent. */
		close(alive[1]);
		_exit((int)read(alive[0], data, 1));
	}
}

static void drop(void)
{
	close_pair(pipe_fds);
	close_pair(full);
	close_pair(quiet);
	close_pair(timed);
	close_pair(alive);
	CHECK(close(listener) == 0 && close(event) == 0 && close(set) == 0);
	CHECK(sem_destroy(&sem) == 0);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void without_sa_restart_every_wait_ends_with_eintr(void)
{
	int (*last)(void) = wait_sem_timed;

	make();
	for (int i = 0; i < RESTARTED; i++) {
		catch_usr1(0);
		expect_eintr(&restarted[i], i);
	}
	for (int i = 0; i < NEVER; i++) {
		catch_usr1(0);
		expect_eintr(&never_restarted[i], 100 + i);
	}
	catch_usr1(0);
	expect_eintr(&last, 200);
	drop();
}

static void with_sa_restart_some_end_all_the_same(void)
{
	make();
	for (int i = 0; i < NEVER; i++) {
		catch_usr1(SA_RESTART);
		expect_eintr(&never_restarted[i], 100 + i);
	}
	drop();
}

static void with_sa_restart_the_others_go_on(void)
{
	for (int i = 0; i < RESTARTED; i++) {
		pthread_t thread;

		make();
		catch_usr1(SA_RESTART);
		thread = disturb(&restarted[i], 10);
		/* Handled while the call waited or before it: in no case an end. */
		CHECK(handled > 0);
		CHECK_EQ(__atomic_load_n(&ended, __ATOMIC_SEQ_CST), 0);
		satisfy();
		thread_join(thread);
		if (result != 1 && !(restarted[i] == wait_futex && error == EAGAIN))
			check_fail(__FILE__, __LINE__, error, "wait number %d gives %d", i, result);
		drop();
	}
}

static void not_there(int sig)
{
	(void)sig;
	CHECK(!"reached");
}

/* Signals that are ignored, or whose default is to be ignored, end nothing. */
static void what_is_ignored_ends_nothing(void)
{
	struct timespec t = timespec_ms(50);
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	pid_t pid;

	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	CHECK(signal(SIGUSR2, not_there) != SIG_ERR);
	CHECK((pid = fork()) >= 0);
	if (pid == 0) {
		for (int i = 0; i < 20; i++) {
			kill(getppid(), SIGUSR1);
			kill(getppid(), SIGWINCH);
			usleep(1000);
		}
		_exit(0);
	}
	CHECK(nanosleep(&t, NULL) == 0);
	CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 50000000);
	CHECK_EQ(poll(NULL, 0, 50), 0);
	CHECK_CHILD(pid);
}

static void *ignore_in_thread(void *arg)
{
	what_is_ignored_ends_nothing();
	return arg;
}

static void what_is_ignored_ends_nothing_in_a_thread(void)
{
	thread_join(thread_start(ignore_in_thread, NULL));
}

int main(void)
{
	check_begin();
	signal(SIGPIPE, SIG_IGN);
	RUN(without_sa_restart_every_wait_ends_with_eintr);
	RUN(with_sa_restart_some_end_all_the_same);
	RUN(with_sa_restart_the_others_go_on);
	RUN(what_is_ignored_ends_nothing);
	RUN(what_is_ignored_ends_nothing_in_a_thread);
	return check_done();
}
