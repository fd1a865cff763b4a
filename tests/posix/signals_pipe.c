/* signals_pipe.c -- SIGPIPE belongs to the thread that wrote: its handler has run when the write
 * returns, and a thread that blocks it can eat it while others would die of it
 *
 * threads: 2
 */
#include "check.h"
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { ROUNDS = 50 };

static __thread volatile int runs;
static volatile int others; /* handlers that ran in a thread that had not written */
static __thread volatile int writes;

static void count(int sig, siginfo_t *info, void *context)
{
	(void)context;
	runs++;
	if (!writes || sig != SIGPIPE || info->si_signo != SIGPIPE || info->si_pid != getpid())
		others++;
}

static ssize_t write_pipe(int fd)
{
	return write(fd, "x", 1);
}

static ssize_t write_vector(int fd)
{
	struct iovec part = {"x", 1};

	return writev(fd, &part, 1);
}

static ssize_t write_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return write(fd, "x", 1);
}

static ssize_t send_bytes(int fd)
{
	return send(fd, "x", 1, 0);
}

static ssize_t send_file(int fd)
{
	static int file = -1;
	off_t at = 0;

	if (file < 0)
		file = open("/proc/self/exe", O_RDONLY);
	return sendfile(fd, file, &at, 100);
}

static const struct way {
	ssize_t (*write)(int fd);
	int is_socket;
} ways[] = {{write_pipe, 0},	    {write_vector, 0}, {write_nonblocking, 0}, {write_pipe, 1},
	    {write_nonblocking, 1}, {write_vector, 1}, {send_bytes, 1},	       {send_file, 1}};

static int broken(const struct way *way)
{
	int ends[2];

	CHECK((way->is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
	close(ends[0]);
	return ends[1];
}

/* Each way to write, again and again: `after' looks at what came of it. */
static void write_each(void (*after)(void))
{
	writes = 1;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		for (int n = 0; n < ROUNDS; n++) {
			int fd = broken(&ways[i]);

			CHECK_EQ(ways[i].write(fd), -1);
			CHECK_EQ(errno, EPIPE);
			after();
			close(fd);
		}
	writes = 0;
}

static void handler_has_run(void)
{
	static __thread int before;

	CHECK_EQ(runs, ++before);
}

static void *write_and_catch(void *unused)
{
	(void)unused;
	write_each(handler_has_run);
	return NULL;
}

static void *wait_for_it(void *stop)
{
	while (!*(volatile int *)stop)
		usleep(1000);
	return NULL;
}

static void block_pipe(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void eat_it(void)
{
	struct timespec now = {0, 0};
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE));
	CHECK_EQ(sigtimedwait(&set, NULL, &now), SIGPIPE);
	CHECK_EQ(sigtimedwait(&set, NULL, &now), -1);
}

static void *write_and_eat(void *unused)
{
	(void)unused;
	block_pipe(SIG_BLOCK);
	write_each(eat_it);
	block_pipe(SIG_UNBLOCK);
	return NULL;
}

static void set_action(int caught)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = count;
	action.sa_flags = SA_SIGINFO;
	if (!caught)
		action.sa_handler = SIG_DFL, action.sa_flags = 0;
	CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
}

static void two_beside_one_that_waits(void *(*write)(void *))
{
	volatile int stop = 0;
	pthread_t waits = thread_start(wait_for_it, (void *)&stop), threads[2];

	others = 0;
	threads_start(threads, 2, write);
	threads_join(threads, 2);
	stop = 1;
	thread_join(waits);
	CHECK_EQ(others, 0);
}

static void the_writer_runs_the_handler_before_its_call_returns(void)
{
	set_action(1);
	two_beside_one_that_waits(write_and_catch);
}

static void a_writer_that_blocks_it_eats_it(void)
{
	set_action(0);
	two_beside_one_that_waits(write_and_eat);
	set_action(1);
	two_beside_one_that_waits(write_and_eat);
}

static void *write_one(void *way)
{
	block_pipe(SIG_BLOCK);
	((const struct way *)way)->write(broken(way));
	block_pipe(SIG_UNBLOCK); /* it was pending */
	_exit(2);
}

static void *write_unblocked(void *way)
{
	((const struct way *)way)->write(broken(way));
	_exit(2);
}

static void check_death(void *(*write)(void *), const struct way *way, int from_a_thread)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		thread_start(wait_for_it, (void *)&others);
		if (from_a_thread)
			thread_join(thread_start(write, (void *)way));
		write((void *)way);
	}
	CHECK_EQ(child_status(child) & 0x7f, SIGPIPE);
}

static void by_default_it_ends_the_process(void)
{
	others = 0;
	set_action(0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		check_death(write_unblocked, &ways[i], 0);
		check_death(write_unblocked, &ways[i], 1);
		check_death(write_one, &ways[i], 1);
	}
}

static void from_another_process_it_is_the_process_s(void)
{
	struct timespec soon = {5, 0};
	sigset_t set;
	pid_t child, parent = getpid();

	set_action(0);
	block_pipe(SIG_BLOCK);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		kill(parent, SIGPIPE);
		_exit(0);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	CHECK_EQ(sigtimedwait(&set, NULL, &soon), SIGPIPE);
	CHECK_EQ(child_status(child), 0);
	block_pipe(SIG_UNBLOCK);

	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		thread_start(wait_for_it, (void *)&others);
		kill(getpid(), SIGPIPE);
		sleep(5);
		_exit(3);
	}
	CHECK_EQ(child_status(child) & 0x7f, SIGPIPE);
}

int main(void)
{
	check_begin();
	RUN(the_writer_runs_the_handler_before_its_call_returns);
	RUN(a_writer_that_blocks_it_eats_it);
	RUN(by_default_it_ends_the_process);
	RUN(from_another_process_it_is_the_process_s);
	return check_done();
}
