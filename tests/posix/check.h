/* check.h -- what the programs here share: checks, threads, handshakes, time and a time limit
 *
 * These programs are plain POSIX and know nothing of what may run below them. Each has functions
 * named after the outcome they assert, run in order by RUN from main, and ends with one line, "ok
 * NAME", and status 0; a check that fails prints where, what and errno, and ends the process with
 * status 1. CHECK_ONLY=TEXT in the environment runs only the functions whose name holds TEXT.
 *
 * The first comment of a program may hold lines that a test runner reads:
 *   flags:    for the compiler        libs: for the linker        args: one run with these
 * arguments (may repeat) threads:  made by the program and alive at once at some moment, main not
 * counted, children not counted
 *
 * Include it first: it asks the system's headers for everything they have.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range /* before glibc 2.34 and the headers of Linux 5.11 */
#define SYS_close_range 436
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#ifndef CHECK_LIMIT_S
#define CHECK_LIMIT_S 30
#endif

/* The name of the running test, in memory shared with the watchdog, so that a time-out can say
 * where. */
static const char *volatile *check_now;

static inline const char *check_name(void)
{
	return check_now && *check_now ? *check_now : "main";
}

__attribute__((noreturn, format(printf, 4, 5))) static inline void
check_fail(const char *file, int line, int error, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(2, "%s:%d: %s: failed: %s (errno %d, %s)\n", file, line, check_name(), text, error,
		strerror(error));
	_exit(1);
}

/* Holds; a failure shows errno. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			check_fail(__FILE__, __LINE__, errno, "%s", #condition);                   \
	} while (0)

/* Returns 0, as the pthread functions do when all is well. */
#define CHECK_OK(call) CHECK_EQ(call, 0)

/* Two integers are equal; the left one is often an error number. */
#define CHECK_EQ(left, right)                                                                      \
	do {                                                                                       \
		long long check_l = (long long)(left), check_r = (long long)(right);               \
		if (check_l != check_r)                                                            \
			check_fail(__FILE__, __LINE__, errno,                                      \
				   "%s is %lld (0x%llx), not %s (%lld)", #left, check_l, check_l,  \
				   #right, check_r);                                               \
	} while (0)

/* Returns -1 with this errno, as system calls do. */
#define CHECK_ERR(call, error)                                                                     \
	do {                                                                                       \
		errno = 0;                                                                         \
		long long check_l = (long long)(call);                                             \
		if (check_l != -1 || errno != (error))                                             \
			check_fail(__FILE__, __LINE__, errno, "%s gives %lld, not -1 with %s",     \
				   #call, check_l, #error);                                        \
	} while (0)

/* Time. */
static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	CHECK(clock_gettime(clock, &t) == 0);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline int64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static inline struct timespec timespec_ms(int64_t ms)
{
	struct timespec t;

	t.tv_sec = ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000;
	return t;
}

/* An absolute time `ms` from now (before now, when negative) on this clock. */
static inline struct timespec deadline(clockid_t clock, int64_t ms)
{
	int64_t ns = clock_ns(clock) + ms * 1000000;
	struct timespec t;

	t.tv_sec = ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	return t;
}

static inline int is_past(clockid_t clock, const struct timespec *t)
{
	return clock_ns(clock) >= t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

/* Gives another thread that said "I am about to block" time to do it. No assertion may depend on
 * whether it has. */
static inline void let_block(void)
{
	struct timespec t = timespec_ms(30);

	while (nanosleep(&t, &t) < 0)
		CHECK(errno == EINTR);
}

/* Threads. */
static inline pthread_t thread_start(void *(*main)(void *), void *arg)
{
	pthread_t thread;

	CHECK_OK(pthread_create(&thread, NULL, main, arg));
	return thread;
}

static inline void *thread_join(pthread_t thread)
{
	void *result = NULL;

	CHECK_OK(pthread_join(thread, &result));
	return result;
}

static inline void threads_start(pthread_t *threads, int n, void *(*main)(void *))
{
	for (int i = 0; i < n; i++)
		threads[i] = thread_start(main, (void *)(intptr_t)i);
}

static inline void threads_join(pthread_t *threads, int n)
{
	for (int i = 0; i < n; i++)
		CHECK(thread_join(threads[i]) == NULL);
}

/* A count that threads raise and wait for: the handshake of these tests. */
struct step {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	int at;
};
#define STEP_INIT                                                                                  \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                             \
	}

static inline void step_add(struct step *s, int n)
{
	CHECK_OK(pthread_mutex_lock(&s->lock));
	s->at += n;
	CHECK_OK(pthread_cond_broadcast(&s->moved));
	CHECK_OK(pthread_mutex_unlock(&s->lock));
}

static inline int step_at(struct step *s)
{
	CHECK_OK(pthread_mutex_lock(&s->lock));
	int at = s->at;
	CHECK_OK(pthread_mutex_unlock(&s->lock));
	return at;
}

/* Waits until the count is n or more. */
static inline void step_wait(struct step *s, int n)
{
	CHECK_OK(pthread_mutex_lock(&s->lock));
	while (s->at < n)
		CHECK_OK(pthread_cond_wait(&s->moved, &s->lock));
	CHECK_OK(pthread_mutex_unlock(&s->lock));
}

static inline void step_reset(struct step *s)
{
	CHECK_OK(pthread_mutex_lock(&s->lock));
	s->at = 0;
	CHECK_OK(pthread_mutex_unlock(&s->lock));
}

/* An address where nothing is mapped, hidden from the compiler. */
static inline void *bad_address(void)
{
	void *volatile address = (void *)8;

	return address;
}

static inline void check_interrupted(int sig)
{
	(void)sig;
}

/* SIGUSR1 interrupts calls from here on; flags are sigaction's. */
static inline void interrupts_begin(int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = check_interrupted;
	action.sa_flags = flags;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

/* Signals a thread that was not joined. 0 when it has ended, where libc says so: glibc did before 2.34. */
static inline int thread_signal(pthread_t thread, int sig)
{
	int error = pthread_kill(thread, sig);

	if (error != ESRCH)
		CHECK_OK(error);
	return error == 0;
}

/* Signals a thread until it says that it is done, as it may not wait yet when it is said to; then
 * joins it. */
static inline void thread_interrupt(pthread_t thread, struct step *done)
{
	while (step_at(done) == 0) {
		let_block();
		CHECK(thread_signal(thread, SIGUSR1) || step_at(done));
	}
	thread_join(thread);
}

/* Small random numbers, the same for the same seed (xorshift64*). */
static inline uint32_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* Waits for a child and hands back its status as wait(2) has it. */
static inline int child_status(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) != child)
		CHECK(errno == EINTR);
	return status;
}

#define CHECK_CHILD(child)                                                                         \
	do {                                                                                       \
		int check_s = child_status(child);                                                 \
		if (check_s != 0)                                                                  \
			check_fail(__FILE__, __LINE__, 0, "child ended with status 0x%x",          \
				   check_s);                                                       \
	} while (0)

/* The time limit: an orphan of its own, which holds nothing of the test's but stderr, waits for the
 * test's end by pidfd and kills it when it takes too long. So the test has no child, timer, signal,
 * thread or descriptor that it did not make. */
__attribute__((noreturn)) static inline void check_watch(int pidfd)
{
	struct pollfd end = {3, POLLIN, 0};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (pidfd != 3 && dup2(pidfd, 3) < 0)
		_exit(2);
	close(0);
	close(1);
	syscall(SYS_close_range, 4, ~0U, 0);
	if (poll(&end, 1, CHECK_LIMIT_S * 1000) == 0) {
		dprintf(2, "%s: over its time limit of %d s in %s\n", program_invocation_short_name,
			CHECK_LIMIT_S, check_name());
		syscall(SYS_pidfd_send_signal, 3, SIGKILL, NULL, 0);
	}
	_exit(0);
}

static inline void check_begin(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid_t child;

	CHECK(pidfd >= 0);
	check_now = (const char *volatile *)mmap(NULL, sizeof(*check_now), PROT_READ | PROT_WRITE,
						 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK((void *)check_now != MAP_FAILED);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		child = fork();
		if (child == 0)
			check_watch(pidfd);
		_exit(child < 0);
	}
	CHECK_CHILD(child);
	close(pidfd);
}

static inline void check_run(const char *name, void (*test)(void))
{
	const char *only = getenv("CHECK_ONLY");

	if (only && !strstr(name, only))
		return;
	*check_now = name;
	test();
	*check_now = NULL;
}

#define RUN(test) check_run(#test, test)

static inline int check_done(void)
{
	printf("ok %s\n", program_invocation_short_name);
	return 0;
}

#endif
