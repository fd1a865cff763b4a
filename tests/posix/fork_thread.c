/* fork_thread.c -- fork, vfork and exec in threads, while others compute, allocate and hold locks
 *
 * threads: 5
 */
#include "check.h"

enum { FORKERS = 4, BUSY = 4, ROUNDS = 10 };

static __thread int own;
static int over;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct step arrived = STEP_INIT;

static void *say_own(void *arg)
{
	CHECK_EQ(own, 0);
	own = 5;
	sched_yield();
	return arg;
}

/* What a child can do after all: threads, memory, streams, pipes, sleep. */
static void live(int n, pid_t parent, pthread_t self)
{
	struct timespec t = timespec_ms(1);
	pthread_t threads[3];
	int fds[2];
	char text[8];

	CHECK_EQ(own, n);
	CHECK(pthread_equal(self, pthread_self()));
	CHECK_EQ(getppid(), parent);
	CHECK_EQ(getpid(), syscall(SYS_gettid));
	free(malloc(100000));
	CHECK(pipe(fds) == 0);
	CHECK_EQ(write(fds[1], "hello", 6), 6);
	CHECK_EQ(read(fds[0], text, 8), 6);
	nanosleep(&t, NULL);
	for (int i = 0; i < 3; i++)
		threads[i] = thread_start(say_own, NULL);
	threads_join(threads, 3);
	CHECK_EQ(own, n);
	_exit(n);
}

static void *fork_children(void *arg)
{
	pid_t parent = getpid(), children[ROUNDS];
	pthread_t self = pthread_self();

	own = (int)(intptr_t)arg + 10;
	for (int i = 0; i < ROUNDS; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (children[i] == 0)
			live(own, parent, self);
	}
	for (int i = 0; i < ROUNDS; i++)
		CHECK_EQ(child_status(children[i]), own << 8);
	CHECK_EQ(own, (intptr_t)arg + 10);
	return NULL;
}

static void *be_busy(void *arg)
{
	FILE *null = fopen("/dev/null", "we");

	CHECK(null);
	step_add(&arrived, 1);
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		char *data = (char *)malloc(50 + rand() % 5000);

		CHECK(data);
		CHECK_OK(pthread_mutex_lock(&mutex));
		fprintf(null, "%p\n", (void *)data);
		CHECK_OK(pthread_mutex_unlock(&mutex));
		free(data);
		sched_yield();
	}
	fclose(null);
	(void)arg;
	return NULL;
}

static void children_of_threads_live_whatever_others_hold(void)
{
	pthread_t forkers[FORKERS], busy[BUSY];

	threads_start(busy, BUSY, be_busy);
	step_wait(&arrived, BUSY);
	threads_start(forkers, FORKERS, fork_children);
	threads_join(forkers, FORKERS);
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	threads_join(busy, BUSY);
}

static void *exec_children(void *arg)
{
	char *const args[] = {(char *)"sh", (char *)"-c", (char *)"read x; exit $x", NULL};

	for (int i = 0; i < ROUNDS; i++) {
		int fds[2];
		pid_t child;
		volatile int out, in;

		CHECK(pipe2(fds, O_CLOEXEC) == 0);
		in = fds[0];
		out = fds[1];
		child = i % 2 ? vfork() : fork();
		CHECK(child >= 0);
		if (child == 0) {
			dup2(in, 0);
			execv("/bin/sh", args);
			_exit(99);
		}
		close(in);
		CHECK_EQ(dprintf(out, "%d\n", (int)(intptr_t)arg + i),
			 (intptr_t)arg + i < 10 ? 2 : 3);
		close(out);
		CHECK_EQ(child_status(child), ((int)(intptr_t)arg + i) << 8);
	}
	return NULL;
}

static void threads_exec_by_fork_and_vfork(void)
{
	pthread_t threads[FORKERS];

	threads_start(threads, FORKERS, exec_children);
	threads_join(threads, FORKERS);
}

static void *exec_self_away(void *arg)
{
	execl("/bin/sh", "sh", "-c", "exit 17", (char *)NULL);
	return arg;
}

static void *sleep_on(void *arg)
{
	step_add(&arrived, 1);
	for (;;)
		pause();
	return arg;
}

/* exec in one thread ends all others and leaves the process's id. */
static void exec_in_a_thread_replaces_the_process(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		pthread_t threads[4];

		step_reset(&arrived);
		threads_start(threads, 4, sleep_on);
		step_wait(&arrived, 4);
		thread_start(exec_self_away, NULL);
		sleep_on(NULL);
	}
	CHECK_EQ(child_status(child), 17 << 8);
}

static void *fork_generation(void *arg)
{
	intptr_t left = (intptr_t)arg;
	pid_t child;

	if (left == 0)
		return NULL;
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		thread_join(thread_start(fork_generation, (void *)(left - 1)));
		_exit(0);
	}
	CHECK_CHILD(child);
	return NULL;
}

static void threads_of_children_fork_again(void)
{
	thread_join(thread_start(fork_generation, (void *)5));
}

int main(void)
{
	check_begin();
	RUN(children_of_threads_live_whatever_others_hold);
	RUN(threads_exec_by_fork_and_vfork);
	RUN(exec_in_a_thread_replaces_the_process);
	RUN(threads_of_children_fork_again);
	return check_done();
}
