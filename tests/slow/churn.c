/* churn.c -- threads, forks, programs, descriptors and modules come and go at random, and every content is checked
 *
 *	churn SEED ROUNDS WORKERS MODULE…
 *
 * Each worker has random numbers of its own, drawn from SEED and its number, so the same seed makes the same choices whatever
 * the timing. A MODULE is a shared object with a thread-local counter (churn.py compiles it).
 *
 * Modules come and go only where SEED is even, children of a fork make threads only where it is odd: with both, glibc 2.36
 * frees a thread's TLS twice in the child (a fork while the TLS of a thread is being given back).
 */
#include "check.h"
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define MODULES 8

extern char **environ;
static int modules;
static char *module_path[MODULES];
static char self[PATH_MAX];
static bool child_threads;	/* else modules */

struct worker {
	uint64_t random;
	int number, rounds;
	char dir[64];
};

static uint32_t pick(struct worker *w, uint32_t n)
{
	return random_next(&w->random) % n;
}

/* Bytes that depend on a key and their place alone. */
static unsigned char byte_at(uint32_t key, size_t i)
{
	return (unsigned char)((key + i * 31) >> (i % 3));
}

static void fill(unsigned char *p, size_t n, uint32_t key)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(key, i);
}

static void write_all(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		CHECK(done > 0 || errno == EINTR);
		if (done > 0) {
			p = (const char *)p + done;
			n -= (size_t)done;
		}
	}
}

static size_t read_all(int fd, void *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t done = read(fd, (char *)p + got, n - got);

		CHECK(done >= 0 || errno == EINTR);
		if (done == 0)
			break;
		if (done > 0)
			got += (size_t)done;
	}
	return got;
}

/* Threads. */
static void *double_it(void *arg)
{
	return (void *)((uintptr_t)arg * 2);
}

static void create_and_join(struct worker *w)
{
	pthread_t threads[8];
	uint32_t n = 1 + pick(w, 8), key = pick(w, 1000000);

	for (uint32_t i = 0; i < n; i++)
		threads[i] = thread_start(double_it, (void *)(uintptr_t)(key + i));
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ((uintptr_t)thread_join(threads[i]), 2 * (uintptr_t)(key + i));
}

static void *leave_early(void *arg)
{
	step_add(arg, 1);
	pthread_exit(NULL);
}

static void create_detached(struct worker *w)
{
	struct step done = STEP_INIT;
	int n = 1 + (int)pick(w, 6);

	for (int i = 0; i < n; i++)
		CHECK_OK(pthread_detach(thread_start(leave_early, &done)));
	step_wait(&done, n);
	CHECK_OK(pthread_mutex_lock(&done.lock));	/* the last one is past the broadcast, maybe not past its unlock */
	CHECK_OK(pthread_mutex_unlock(&done.lock));
}

static void *wait_for_cancel(void *arg)
{
	struct timespec t = {1000, 0};

	step_add(arg, 1);
	nanosleep(&t, NULL);
	return NULL;
}

static void create_and_cancel(struct worker *w)
{
	struct step begun = STEP_INIT;
	pthread_t thread = thread_start(wait_for_cancel, &begun);

	if (pick(w, 2))
		step_wait(&begun, 1);
	CHECK_OK(pthread_cancel(thread));
	CHECK(thread_join(thread) == PTHREAD_CANCELED);
}

/* Streams: one thread writes, the other reads, through whatever kind of pair. */
struct stream {
	int fd;
	uint32_t key, size, piece;
};

static void *stream_out(void *arg)
{
	struct stream s = *(struct stream *)arg;
	unsigned char *p = malloc(s.size);

	CHECK(p);
	fill(p, s.size, s.key);
	for (uint32_t at = 0; at < s.size; at += s.piece)
		write_all(s.fd, p + at, s.size - at < s.piece ? s.size - at : s.piece);
	CHECK_OK(close(s.fd));
	free(p);
	return NULL;
}

static void stream_through(struct worker *w)
{
	int ends[2];
	struct stream s = {-1, pick(w, 1u << 30), 1 + pick(w, 200000), 1 + pick(w, 70000)};

	if (pick(w, 2))
		CHECK(pipe2(ends, O_CLOEXEC) == 0);
	else
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	s.fd = ends[1];
	pthread_t thread = thread_start(stream_out, &s);
	unsigned char *p = malloc(s.size + 1);

	CHECK(p);
	CHECK_EQ(read_all(ends[0], p, s.size + 1), s.size);
	for (uint32_t i = 0; i < s.size; i++)
		CHECK_EQ(p[i], byte_at(s.key, i));
	CHECK(thread_join(thread) == NULL);
	CHECK_OK(close(ends[0]));
	free(p);
}

/* Numbers of descriptors come and go under what they stand for. */
static void copy_and_close(struct worker *w)
{
	int ends[2], fd = eventfd(0, EFD_CLOEXEC);
	char c = (char)pick(w, 256), got = (char)~c;

	CHECK(fd >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQ(dup3(ends[0], fd, O_CLOEXEC), fd);
	CHECK_OK(close(ends[0]));
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, (int)pick(w, 200));

	CHECK(copy >= 0);
	CHECK_EQ(write(ends[1], &c, 1), 1);
	CHECK_OK(close(fd));
	CHECK_EQ(read(copy, &got, 1), 1);
	CHECK_EQ(got, c);
	CHECK_OK(close(ends[1]));
	CHECK_EQ(read(copy, &got, 1), 0);
	CHECK_OK(close(copy));
}

static void write_and_read_file(struct worker *w)
{
	char path[128];
	unsigned char buf[5000], back[5000];
	uint32_t key = pick(w, 1u << 30), n = 1 + pick(w, sizeof(buf));

	snprintf(path, sizeof(path), "%s/%d", w->dir, w->number);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	fill(buf, n, key);
	write_all(fd, buf, n);
	if (pick(w, 8) == 0)
		CHECK_OK(fdatasync(fd));
	CHECK_EQ(pread(fd, back, sizeof(back), 0), n);
	CHECK(memcmp(buf, back, n) == 0);
	CHECK_OK(close(fd));
}

/* Processes. */
static void fork_a_child(struct worker *w)
{
	int to[2], from[2];
	uint32_t key = pick(w, 1000000), answer = 0;
	bool with_thread = pick(w, 2) && child_threads;

	CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		if (read_all(to[0], &answer, sizeof(answer)) != sizeof(answer))
			_exit(2);
		if (with_thread) {
			pthread_t t;
			void *r;

			if (pthread_create(&t, NULL, double_it, (void *)(uintptr_t)answer) || pthread_join(t, &r))
				_exit(3);
			answer = (uint32_t)(uintptr_t)r;
		}
		write_all(from[1], &answer, sizeof(answer));
		_exit((int)(key & 63));
	}
	CHECK_OK(close(to[0]) | close(from[1]));
	write_all(to[1], &key, sizeof(key));
	CHECK_EQ(read_all(from[0], &answer, sizeof(answer)), sizeof(answer));
	CHECK_EQ(answer, with_thread ? 2 * key : key);
	int status = child_status(child);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), key & 63);
	CHECK_OK(close(to[1]) | close(from[0]));
}

static pid_t start_program(struct worker *w, char **argv, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t child;

	switch (pick(w, 3)) {
	case 0:
		CHECK_OK(posix_spawn_file_actions_init(&actions));
		CHECK_OK(posix_spawn_file_actions_adddup2(&actions, out, 1));
		CHECK_OK(posix_spawn(&child, self, &actions, NULL, argv, environ));
		CHECK_OK(posix_spawn_file_actions_destroy(&actions));
		return child;
	case 1:
		child = fork();
		break;
	default:
		child = vfork();
		break;
	}
	CHECK(child >= 0);
	if (child == 0) {
		dup2(out, 1);
		execv(self, argv);
		_exit(127);
	}
	return child;
}

static void run_a_program(struct worker *w)
{
	char number[16], kind[8], line[64] = "", wanted[64];
	char *argv[] = {"churn", kind, number, NULL};
	int ends[2];
	uint32_t key = pick(w, 1000000);

	strcpy(kind, pick(w, 2) ? "thread" : "plain");
	snprintf(number, sizeof(number), "%u", key);
	snprintf(wanted, sizeof(wanted), "%s %u\n", kind, 2 * key);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	pid_t child = start_program(w, argv, ends[1]);

	CHECK_OK(close(ends[1]));
	CHECK_EQ(read_all(ends[0], line, sizeof(line) - 1), strlen(wanted));
	CHECK(strcmp(line, wanted) == 0);
	CHECK_CHILD(child);
	CHECK_OK(close(ends[0]));
}

/* What that program is. */
static int program(const char *kind, const char *number)
{
	uintptr_t n = strtoul(number, NULL, 10);

	if (strcmp(kind, "thread") == 0)
		n = (uintptr_t)thread_join(thread_start(double_it, (void *)n));
	else
		n *= 2;
	printf("%s %u\n", kind, (unsigned)n);
	return 0;
}

/* Modules: code that appears and disappears, with thread-local memory and system calls of its own. */
struct module {
	int (*count)(void);
	long (*echo)(int in, int out, char c);
};

static void *count_in_module(void *arg)
{
	struct module *m = arg;

	for (int i = 1; i <= 3; i++)
		CHECK_EQ(m->count(), i);
	return NULL;
}

static void load_a_module(struct worker *w)
{
	struct module m;
	int ends[2];
	char c = (char)pick(w, 256);

	if (child_threads)
		return;
	void *handle = dlopen(module_path[pick(w, (uint32_t)modules)], pick(w, 2) ? RTLD_NOW : RTLD_LAZY);

	if (!handle)
		check_fail(__FILE__, __LINE__, 0, "%s", dlerror());
	m.count = (int (*)(void))(uintptr_t)dlsym(handle, "module_count");
	m.echo = (long (*)(int, int, char))(uintptr_t)dlsym(handle, "module_echo");
	CHECK(m.count && m.echo);
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(count_in_module, &m);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQ(m.echo(ends[0], ends[1], c), (unsigned char)c);
	CHECK_OK(close(ends[0]) | close(ends[1]));
	threads_join(threads, 2);
	CHECK_OK(dlclose(handle));
}

/* Time, conditions and signals. */
static void wait_past_a_deadline(struct worker *w)
{
	struct step s = STEP_INIT;
	struct timespec t = deadline(CLOCK_REALTIME, (int)pick(w, 20) - 5);

	CHECK_OK(pthread_mutex_lock(&s.lock));
	CHECK_EQ(pthread_cond_timedwait(&s.moved, &s.lock, &t), ETIMEDOUT);
	CHECK(is_past(CLOCK_REALTIME, &t));
	CHECK_OK(pthread_mutex_unlock(&s.lock));
}

static _Thread_local volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals = signals + 1;
}

static void signal_itself(struct worker *w)
{
	int before = signals, n = 1 + (int)pick(w, 3);

	for (int i = 0; i < n; i++)
		CHECK_OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_EQ(signals, before + n);
}

static void (*const actions[])(struct worker *) = {
	create_and_join, create_and_join,     create_detached, create_and_cancel,    stream_through, stream_through, copy_and_close,
	copy_and_close,	 write_and_read_file, fork_a_child,    run_a_program,	     load_a_module,  signal_itself,  wait_past_a_deadline,
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < w->rounds; i++)
		actions[pick(w, sizeof(actions) / sizeof(*actions))](w);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return program(argv[1], argv[2]);
	if (argc < 5)
		return 2;
	check_begin();
	int n = atoi(argv[3]);
	struct worker *workers = calloc((size_t)n, sizeof(*workers));
	pthread_t *threads = calloc((size_t)n, sizeof(*threads));
	char dir[] = "/tmp/churn.XXXXXX", path[128];

	CHECK(workers && threads && mkdtemp(dir));
	child_threads = strtoull(argv[1], NULL, 10) & 1;
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (int i = 4; i < argc && modules < MODULES; i++)
		module_path[modules++] = argv[i];
	CHECK(signal(SIGUSR1, count_signal) != SIG_ERR);
	for (int i = 0; i < n; i++) {
		workers[i].random = strtoull(argv[1], NULL, 10) * 1000003 + (uint64_t)i + 1;
		workers[i].number = i;
		workers[i].rounds = atoi(argv[2]);
		strcpy(workers[i].dir, dir);
		threads[i] = thread_start(worker_main, &workers[i]);
	}
	threads_join(threads, n);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	CHECK_OK(rmdir(dir));
	return check_done();
}
