/* poll_kinds.c -- poll, ppoll, select, pselect and the epoll_waits, with a descriptor of every kind
 *
 * threads: 16
 */
#include "kinds.h"
#include <sys/select.h>

static const struct timespec *in_ms(struct timespec *t, int ms)
{
	*t = timespec_ms(ms);
	return ms < 0 ? NULL : t;
}

static int by_poll(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	int n = poll(&p, 1, ms);

	CHECK_EQ(p.revents, n == 1 ? POLLIN : 0);
	return n;
}

static int by_ppoll(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	struct timespec t;
	int n = ppoll(&p, 1, in_ms(&t, ms), NULL);

	CHECK_EQ(p.revents, n == 1 ? POLLIN : 0);
	return n;
}

static int by_select(int fd, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};
	fd_set set, error;
	int n;

	FD_ZERO(&set);
	FD_ZERO(&error);
	FD_SET(fd, &set);
	FD_SET(fd, &error);
	n = select(fd + 1, &set, NULL, &error, ms < 0 ? NULL : &t);
	CHECK_EQ(FD_ISSET(fd, &set) != 0, n == 1);
	CHECK(!FD_ISSET(fd, &error));
	return n;
}

static int by_pselect(int fd, int ms)
{
	struct timespec t;
	fd_set set;
	int n;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	n = pselect(fd + 1, &set, NULL, NULL, in_ms(&t, ms), NULL);
	CHECK_EQ(FD_ISSET(fd, &set) != 0, n == 1);
	return n;
}

static int by_any_epoll(int fd, int ms, int way)
{
	struct epoll_event event = {EPOLLIN, {NULL}}, got[2];
	int n, set = epoll_create1(EPOLL_CLOEXEC);
	struct timespec t;

	event.data.u64 = UINT64_C(0x1234567887654321);
	CHECK(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	if (way == 0)
		n = epoll_wait(set, got, 2, ms);
	else if (way == 1)
		n = epoll_pwait(set, got, 2, ms, NULL);
	else
		n = (int)syscall(SYS_epoll_pwait2, set, got, 2, in_ms(&t, ms), NULL, 8);
	if (n == 1) {
		CHECK_EQ(got[0].events, EPOLLIN);
		CHECK(got[0].data.u64 == event.data.u64);
	}
	CHECK(close(set) == 0);
	return n;
}

static int by_epoll_wait(int fd, int ms)
{
	return by_any_epoll(fd, ms, 0);
}

static int by_epoll_pwait(int fd, int ms)
{
	return by_any_epoll(fd, ms, 1);
}

static int by_epoll_pwait2(int fd, int ms)
{
	return by_any_epoll(fd, ms, 2);
}

static int (*const ways[])(int fd, int ms) = {
	by_poll, by_ppoll, by_select, by_pselect, by_epoll_wait, by_epoll_pwait, by_epoll_pwait2};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static struct source sources[KINDS];
static struct step arrived = STEP_INIT;
static int current, way;

static void sources_make(void)
{
	for (int i = 0; i < KINDS; i++)
		source_make(&sources[i], i);
}

static void sources_drop(void)
{
	for (int i = 0; i < KINDS; i++)
		sources[i].kind->drop(&sources[i]);
}

static void nothing_is_ready_at_first_and_waits_time_out(void)
{
	for (int i = 0; i < KINDS; i++)
		for (int w = 0; w < WAYS; w++) {
			int64_t start = clock_ns(CLOCK_MONOTONIC);

			CHECK_EQ(ways[w](sources[i].fd, 0), 0);
			CHECK_EQ(ways[w](sources[i].fd, 2), 0);
			CHECK(clock_ns(CLOCK_MONOTONIC) - start >= 2000000);
		}
}

static void *wait_and_drain(void *arg)
{
	step_add(&arrived, 1);
	CHECK_EQ(ways[way](sources[current].fd, arg ? 60000 : -1), 1);
	sources[current].kind->drain(&sources[current]);
	CHECK_EQ(ways[way](sources[current].fd, 0), 0);
	return NULL;
}

static void a_waiter_is_told_when_it_becomes_ready(void)
{
	for (current = 0; current < KINDS; current++)
		for (way = 0; way < WAYS; way++) {
			pthread_t thread;

			step_reset(&arrived);
			thread = thread_start(wait_and_drain, (void *)(intptr_t)(way % 2));
			step_wait(&arrived, 1);
			if (way == current % WAYS)
				let_block();
			sources[current].kind->fire(&sources[current]);
			thread_join(thread);
		}
}

static void *wait_for_one(void *arg)
{
	struct source *s = &sources[(intptr_t)arg];

	for (int w = 0; w < WAYS; w++) {
		step_add(&arrived, 1);
		CHECK_EQ(ways[w](s->fd, -1), 1);
		s->kind->drain(s);
	}
	return NULL;
}

static void one_thread_a_kind_at_the_same_time(void)
{
	pthread_t threads[KINDS];

	step_reset(&arrived);
	threads_start(threads, KINDS, wait_for_one);
	for (int w = 0; w < WAYS; w++) {
		step_wait(&arrived, KINDS * (w + 1));
		for (int i = KINDS - 1; i >= 0; i--)
			sources[i].kind->fire(&sources[i]);
	}
	threads_join(threads, KINDS);
}

static void what_is_ready_already_is_told_at_once(void)
{
	for (int i = 0; i < KINDS; i++) {
		sources[i].kind->fire(&sources[i]);
		for (int w = 0; w < WAYS; w++)
			CHECK_EQ(ways[w](sources[i].fd, -1), 1);
		sources[i].kind->drain(&sources[i]);
	}
}

/* One thread waits for all kinds at once; whichever fires, that one is named. */
static void *name_the_ready(void *arg)
{
	struct pollfd all[KINDS];

	for (int i = 0; i < KINDS; i++) {
		all[i].fd = sources[i].fd;
		all[i].events = POLLIN;
	}
	for (int round = 0; round < KINDS; round++) {
		step_add(&arrived, 1);
		CHECK_EQ(poll(all, KINDS, -1), 1);
		for (int i = 0; i < KINDS; i++)
			CHECK_EQ(all[i].revents, i == (round * 7 + 3) % KINDS ? POLLIN : 0);
		current = (round * 7 + 3) % KINDS;
		sources[current].kind->drain(&sources[current]);
	}
	return arg;
}

static void a_wait_for_all_kinds_names_the_one(void)
{
	pthread_t thread;

	step_reset(&arrived);
	thread = thread_start(name_the_ready, NULL);
	for (int round = 0; round < KINDS; round++) {
		struct source *s = &sources[(round * 7 + 3) % KINDS];

		step_wait(&arrived, round + 1);
		s->kind->fire(s);
	}
	thread_join(thread);
}

static void *same_from_a_thread(void *arg)
{
	nothing_is_ready_at_first_and_waits_time_out();
	what_is_ready_already_is_told_at_once();
	return arg;
}

static void the_same_holds_in_a_thread(void)
{
	thread_join(thread_start(same_from_a_thread, NULL));
}

int main(void)
{
	check_begin();
	kinds_begin();
	sources_make();
	RUN(nothing_is_ready_at_first_and_waits_time_out);
	RUN(a_waiter_is_told_when_it_becomes_ready);
	RUN(one_thread_a_kind_at_the_same_time);
	RUN(what_is_ready_already_is_told_at_once);
	RUN(a_wait_for_all_kinds_names_the_one);
	RUN(the_same_holds_in_a_thread);
	sources_drop();
	return check_done();
}
