/* fd_full_first.c -- the first thread is made when no descriptor number is free below the soft limit
 *
 * threads: 4
 */
#include "check.h"
#include "net.h"
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { LIMIT = 64, THREADS = 4, ROUNDS = 200 };

static int fds[2], last;

static void *add_up(void *arg)
{
	intptr_t sum = 0;
	char c;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(read(fds[0], &c, 1), 1);
		sum += c;
	}
	return (void *)sum;
}

static void they_run_and_no_number_is_missing(void)
{
	pthread_t threads[THREADS];
	intptr_t sum = 0;
	char one = 1;

	threads_start(threads, THREADS, add_up);
	for (int i = 0; i < THREADS * ROUNDS; i++)
		CHECK_EQ(write(fds[1], &one, 1), 1);
	for (int i = 0; i < THREADS; i++)
		sum += (intptr_t)thread_join(threads[i]);
	CHECK_EQ(sum, THREADS * ROUNDS);
	CHECK_ERR(dup(0), EMFILE);
	CHECK(close(last) == 0);
	CHECK_EQ(dup(0), last);
	CHECK_ERR(dup(0), EMFILE);
}

static void the_limit_is_as_it_was_set(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK_EQ(limit.rlim_cur, LIMIT);
	CHECK(limit.rlim_max > LIMIT);
}

int main(void)
{
	struct rlimit limit;

	check_begin();
	CHECK(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = LIMIT;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(pipe(fds) == 0);
	for (int fd; (fd = eventfd(0, 0)) >= 0;)
		last = fd;
	CHECK_EQ(last, LIMIT - 1);
	RUN(they_run_and_no_number_is_missing);
	RUN(the_limit_is_as_it_was_set);
	return check_done();
}
