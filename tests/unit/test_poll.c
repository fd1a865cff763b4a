/* test_poll.c -- a hub sleeps until something comes: by its epoll set, without descriptors, and while it gives them back */
#define UNIT_FAIL
#define UNIT_FAIL_MEM
#include "unit.h"
#include "hub.c"
#include "poll.c"
#include <pthread.h>
#include <sys/eventfd.h>

#define HUB (&hubs[0])

static struct carrier carrier;
static struct pollfd waited[400];
static unsigned n_waited, n_told;
static uint64_t told[400];

static void visit(struct hub *h, poll_visit *fn)
{
	for (unsigned i = 0; i < n_waited; i++)
		if (waited[i].events)
			fn(h, waited[i].fd, (uint16_t)waited[i].events, 1000 + i);
}

/* As a waiter that was woken: it does not wait any more. */
static void tell(struct hub *h, const struct epoll_event *ev, unsigned n)
{
	uint64_t data = ev->data.u64;
	uint32_t events = ev->events;

	assert_ptr_equal(h, HUB);
	assert_int_equal(n, 1);
	if (data == HUB_OWN)
		return;
	assert_true(data >= 1000 && data < 1000 + n_waited);
	waited[data - 1000].events = 0;
	told[n_told++] = (uint64_t)events << 32 | (data - 1000);
}

static void on_kick(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == CARRIER_SIGNAL && (long)info->si_value.sival_ptr == CARRIER_KICK)
		poll_cut(HUB);
}

static int begin(void **state)
{
	struct sigaction act = {.sa_sigaction = on_kick, .sa_flags = SA_SIGINFO | SA_RESTART};

	(void)state;
	sigaction(CARRIER_SIGNAL, &act, NULL);
	hub_on_events = tell;
	poll_each = visit;
	n_waited = n_told = 0;
	carrier.tid = (int)sys_gettid();
	if (hub_init(0) < 0)
		return -1;
	HUB->carrier = &carrier;
	hubs_running = 1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	own_forget();
	return 0;
}

static void go_bare(void)
{
	own_take();
	give(0, 1 << 20);
	own_release();
}

static void wait_for_pipes(unsigned n)
{
	n_waited = n;
	for (unsigned i = 0; i < n; i++) {
		int fds[2];

		assert_int_equal(pipe(fds), 0);
		waited[i] = (struct pollfd){fds[0], POLLIN, 0};
		assert_int_equal(dup2(fds[1], 2000 + (int)i), 2000 + (int)i);
		close(fds[1]);
	}
}

static void close_pipes(void)
{
	for (unsigned i = 0; i < n_waited; i++) {
		close(waited[i].fd);
		close(2000 + (int)i);
	}
}

static void write_pipe(unsigned i)
{
	assert_int_equal(write(2000 + (int)i, "x", 1), 1);
}

static void a_list_tells_what_came_and_to_whom(void **state)
{
	(void)state;
	go_bare();
	wait_for_pipes(300);
	poll_hub(HUB, false);
	assert_int_equal(n_told, 0);
	write_pipe(7);
	write_pipe(299);
	poll_hub(HUB, true);
	assert_int_equal(n_told, 2);
	assert_true(told[0] == ((uint64_t)EPOLLIN << 32 | 7));
	assert_true(told[1] == ((uint64_t)EPOLLIN << 32 | 299));
	close(2000);			/* the other end */
	poll_hub(HUB, true);
	assert_true(told[2] == ((uint64_t)EPOLLHUP << 32 | 0));
	close(waited[1].fd);
	poll_hub(HUB, true);
	assert_true((uint32_t)told[3] == 1 && told[3] >> 32 & EPOLLERR);
	close_pipes();
}

static void what_cannot_be_listed_is_left_to_look_itself(void **state)
{
	(void)state;
	go_bare();
	wait_for_pipes(3);
	mem_put(lists[0], lists[0] ? bytes_of(lists[0]->room) : 0);
	lists[0] = NULL;
	fail_nr = FAIL_MEM;
	fail_at = 1;
	fail_calls = 0;
	poll_hub(HUB, true);
	assert_int_equal(n_told, 3);
	fail_at = 0;
	for (int i = 0; i < 3; i++)
		waited[i].events = POLLIN;
	fail_nr = __NR_ppoll;		/* as with a soft limit below their number */
	fail_errno = EINVAL;
	fail_at = 1;
	fail_calls = 0;
	poll_hub(HUB, true);
	assert_int_equal(n_told, 6);
	fail_at = 0;
	close_pipes();
}

static void a_set_that_was_closed_by_others_is_done_without(void **state)
{
	(void)state;
	wait_for_pipes(1);
	close(HUB->epfd);
	close(HUB->evfd);
	write_pipe(0);
	poll_hub(HUB, true);
	assert_int_equal(n_told, 1);
	assert_int_equal(HUB->epfd, -1);
	assert_int_equal(HUB->evfd, -1);
	close_pipes();
}

enum { PUSHES = 20000, MOVES = 2000 };

static struct task pushed[PUSHES];

static void linger(int n)
{
	for (volatile int i = n; i; i--)
		;
}

/* The moments in which a kick may come too late, and a number may have become another's. */
static void make_moments_longer(long nr)
{
	static uint32_t calls;

	if (nr == __NR_ppoll || nr == __NR_epoll_pwait2 || nr == __NR_write)
		linger((int)(add_relaxed(&calls, 1) % 8 * 200));
}

static void *push(void *arg)
{
	(void)arg;
	for (int i = 0; i < PUSHES; i++) {
		hub_push(HUB, &pushed[i]);
		linger(i % 301);	/* now while it sleeps, now on its way there */
	}
	return NULL;
}

/* The calling thread is the hub's carrier until all that was pushed has come. */
static void take_all(void)
{
	fail_before = make_moments_longer;
	for (int got = 0; got < PUSHES;) {
		poll_hub(HUB, true);
		while (hub_dequeue(HUB))
			got++;
	}
	fail_before = NULL;
}

static void no_kick_is_lost(void **state)
{
	pthread_t id;

	(void)state;
	for (int bare = 0; bare < 2; bare++) {
		if (bare)
			go_bare();
		pthread_create(&id, NULL, push, NULL);
		take_all();
		pthread_join(id, NULL);
	}
}

/* Takes each number that was ours as soon as it is free, as a program does, and sees that nobody writes to it. */
static void *crowd(void *arg)
{
	int theirs = *(int *)arg;
	uint64_t n;

	for (int i = 0; i < MOVES; i++) {
		int *ours = i % 2 ? &HUB->epfd : &HUB->evfd, fd = load_relaxed(ours);

		own_take();
		move(fd, fd < 300 ? 400 : 100);
		own_release();
		if (dup2(theirs, fd) != fd || read(theirs, &n, sizeof n) >= 0 || close(fd) < 0)
			return "written to";
	}
	return NULL;
}

static void numbers_move_under_kicks_and_sleep(void **state)
{
	int theirs = eventfd(0, EFD_NONBLOCK);
	pthread_t id, mover;
	void *wrong;

	(void)state;
	pthread_create(&mover, NULL, crowd, &theirs);
	pthread_create(&id, NULL, push, NULL);
	take_all();
	pthread_join(id, NULL);
	pthread_join(mover, &wrong);
	assert_null(wrong);
	assert_true(HUB->epfd >= 0);
	close(theirs);
}

static void *give_when_some_have_come(void *arg)
{
	usleep(2000);
	go_bare();
	return arg;
}

static void a_hub_that_sleeps_gives_its_descriptors_back(void **state)
{
	pthread_t id, giver;

	for (int i = 0; i < 20; i++) {
		pthread_create(&giver, NULL, give_when_some_have_come, NULL);
		pthread_create(&id, NULL, push, NULL);
		take_all();
		pthread_join(id, NULL);
		if (i % 2)
			HUB->timer_first = clock_now() + 3000000;	/* there is nothing to end its wait but this and that */
		poll_hub(HUB, i % 2);
		pthread_join(giver, NULL);
		assert_int_equal(own_next(0), -1);
		assert_int_equal(HUB->epfd, -1);
		end(state);
		assert_int_equal(begin(state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_list_tells_what_came_and_to_whom, begin, end),
		cmocka_unit_test_setup_teardown(what_cannot_be_listed_is_left_to_look_itself, begin, end),
		cmocka_unit_test_setup_teardown(a_set_that_was_closed_by_others_is_done_without, begin, end),
		cmocka_unit_test_setup_teardown(no_kick_is_lost, begin, end),
		cmocka_unit_test_setup_teardown(numbers_move_under_kicks_and_sleep, begin, end),
		cmocka_unit_test_setup_teardown(a_hub_that_sleeps_gives_its_descriptors_back, begin, end),
	};

	return RUN_GROUP(tests);
}
