/* io_signalfd.c -- signals that are read from a descriptor, by several threads
 *
 * threads: 4
 */
#include "check.h"
#include <sys/signalfd.h>

enum { THREADS = 4, ROUNDS = 50 };

static int fd, taken[THREADS * ROUNDS];
static sigset_t set;
static struct step arrived = STEP_INIT, got = STEP_INIT;

static void *take_values(void *arg)
{
	struct signalfd_siginfo info;

	(void)arg;
	step_add(&arrived, 1);
	for (;;) {
		CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
		if (info.ssi_signo == (uint32_t)SIGRTMAX)
			return NULL;
		CHECK_EQ(info.ssi_signo, SIGRTMIN);
		CHECK_EQ(info.ssi_pid, getpid());
		__atomic_add_fetch(&taken[info.ssi_int], 1, __ATOMIC_SEQ_CST);
		step_add(&got, 1);
	}
}

static void queued_signals_are_each_read_once(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, take_values);
	step_wait(&arrived, THREADS);
	let_block();
	for (int i = 0; i < THREADS * ROUNDS; i++) {
		union sigval value;

		value.sival_int = i;
		CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
	}
	step_wait(&got, THREADS * ROUNDS);
	for (int i = 0; i < THREADS; i++)
		CHECK(kill(getpid(), SIGRTMAX) == 0);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS * ROUNDS; i++)
		CHECK_EQ(taken[i], 1);
}

static void *take_child(void *arg)
{
	struct signalfd_siginfo info;

	step_add(&arrived, 1);
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGCHLD);
	CHECK_EQ(info.ssi_status, 3);
	*(pid_t *)arg = (pid_t)info.ssi_pid;
	return NULL;
}

static void the_end_of_a_child_is_read(void)
{
	pid_t child, told = 0;
	pthread_t thread;

	step_reset(&arrived);
	thread = thread_start(take_child, &told);
	step_wait(&arrived, 1);
	CHECK((child = fork()) >= 0);
	if (child == 0)
		_exit(3);
	thread_join(thread);
	CHECK_EQ(told, child);
	CHECK_EQ(child_status(child), 3 << 8);
}

static void *send_to_self(void *arg)
{
	struct signalfd_siginfo info;

	CHECK_OK(pthread_kill(pthread_self(), SIGUSR2));
	CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR2);
	(void)arg;
	return NULL;
}

/* A signal sent to one thread is read by that thread. */
static void a_thread_reads_what_was_sent_to_it(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, send_to_self);
	threads_join(threads, THREADS);
}

static void nothing_there_is_told(void)
{
	struct signalfd_siginfo info;

	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(read(fd, &info, sizeof(info)), EAGAIN);
	CHECK_ERR(read(fd, &info, 4), EINVAL);
	CHECK(fcntl(fd, F_SETFL, 0) == 0);
}

int main(void)
{
	check_begin();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMAX);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR2);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	CHECK((fd = signalfd(-1, &set, SFD_CLOEXEC)) >= 0);
	RUN(queued_signals_are_each_read_once);
	RUN(the_end_of_a_child_is_read);
	RUN(a_thread_reads_what_was_sent_to_it);
	RUN(nothing_there_is_told);
	return check_done();
}
