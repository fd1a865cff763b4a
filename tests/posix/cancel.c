/* cancel.c -- pthread_cancel: ends a thread where it waits, after its cleanup handlers have run
 *
 * Whether the thread waits already when it is cancelled cannot be known, and makes no difference.
 *
 * threads: 2
 */
#include "check.h"
#include "net.h"
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int pipe_fds[2], full[2], quiet[2], listener, set;
static struct sockaddr_in at;
static struct step arrived = STEP_INIT, told = STEP_INIT;
static int cleaned;
static pthread_t sleeper;

static void wait_read(void)
{
	char c;

	(void)!read(pipe_fds[0], &c, 1);
}

static void wait_readv(void)
{
	char c;
	struct iovec part = {&c, 1};

	(void)!readv(pipe_fds[0], &part, 1);
}

static void wait_write(void)
{
	static char data[1 << 20];

	/* The first may end with what it has written, and is not cancelled then; the second finds no room. */
	while (write(full[1], data, sizeof(data)) > 0)
		;
}

static void wait_recv(void)
{
	char c;

	recv(quiet[0], &c, 1, 0);
}

static void wait_accept(void)
{
	accept(listener, NULL, NULL);
}

static void wait_poll(void)
{
	struct pollfd p = {pipe_fds[0], POLLIN, 0};

	poll(&p, 1, -1);
}

static void wait_select(void)
{
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(pipe_fds[0], &fds);
	select(pipe_fds[0] + 1, &fds, NULL, NULL, NULL);
}

static void wait_epoll(void)
{
	struct epoll_event event;

	epoll_wait(set, &event, 1, -1);
}

static void wait_sleep(void)
{
	sleep(100);
}

static void wait_clock_nanosleep(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 100000);

	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
}

static void wait_pause(void)
{
	pause();
}

static void wait_sem(void)
{
	sem_wait(&sem);
}

static void wait_sem_timed(void)
{
	struct timespec until = deadline(CLOCK_REALTIME, 100000);

	sem_timedwait(&sem, &until);
}

static void wait_join(void)
{
	pthread_join(sleeper, NULL);
}

static void wait_for_test(void)
{
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
}

static void wait_sigwait(void)
{
	sigset_t none;
	int sig;

	sigemptyset(&none);
	sigaddset(&none, SIGUSR2);
	sigwait(&none, &sig);
}

static void (*const waits[])(void) = {
	wait_read,   wait_readv,  wait_write, wait_recv,      wait_accept,
	wait_poll,   wait_select, wait_epoll, wait_sleep,     wait_clock_nanosleep,
	wait_pause,  wait_sem,	  wait_join,  wait_sem_timed, wait_for_test,
	wait_sigwait};
enum { WAITS = sizeof(waits) / sizeof(waits[0]) };

static void clean(void *arg)
{
	*(int *)arg += 1;
	sched_yield();
}

static void *wait_in(void *arg)
{
	int type;

	CHECK_OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type));
	CHECK_EQ(type, PTHREAD_CANCEL_DEFERRED);
	pthread_cleanup_push(clean, &cleaned);
	step_add(&arrived, 1);
	waits[(intptr_t)arg]();
	pthread_cleanup_pop(0);
	return NULL;
}

static void a_thread_is_cancelled_wherever_it_waits(void)
{
	for (intptr_t i = 0; i < WAITS * 2; i++) {
		pthread_t thread;

		cleaned = 0;
		step_reset(&arrived);
		thread = thread_start(wait_in, (void *)(i % WAITS));
		step_wait(&arrived, 1);
		if (i < WAITS)
			let_block();
		CHECK_OK(pthread_cancel(thread));
		if (thread_join(thread) != PTHREAD_CANCELED)
			check_fail(__FILE__, __LINE__, 0, "wait number %d was not cancelled",
				   (int)i);
		CHECK_EQ(cleaned, 1);
	}
}

static void unlock(void *arg)
{
	CHECK_OK(pthread_mutex_unlock(&mutex));
	*(int *)arg += 1;
}

static void *wait_in_cond(void *arg)
{
	struct timespec until = deadline(CLOCK_REALTIME, 100000);

	CHECK_OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlock, &cleaned);
	step_add(&arrived, 1);
	for (;;) {
		if (arg)
			pthread_cond_wait(&cond, &mutex);
		else
			pthread_cond_timedwait(&cond, &mutex, &until);
	}
	pthread_cleanup_pop(0);
}

/* A cancelled wait for a condition has its mutex again when the handlers run. */
static void a_cancelled_cond_wait_holds_the_mutex(void)
{
	for (intptr_t i = 0; i < 10; i++) {
		pthread_t thread;

		cleaned = 0;
		step_reset(&arrived);
		thread = thread_start(wait_in_cond, (void *)(i % 2));
		step_wait(&arrived, 1);
		if (i < 2)
			let_block();
		CHECK_OK(pthread_mutex_lock(&mutex));
		CHECK_OK(pthread_cancel(thread));
		CHECK_OK(pthread_mutex_unlock(&mutex));
		CHECK(thread_join(thread) == PTHREAD_CANCELED);
		CHECK_EQ(cleaned, 1);
		CHECK_OK(pthread_mutex_trylock(&mutex));
		CHECK_OK(pthread_mutex_unlock(&mutex));
	}
}

static void *disable_for_a_while(void *arg)
{
	struct timespec t = timespec_ms(5);
	int state;

	CHECK_OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state));
	CHECK_EQ(state, PTHREAD_CANCEL_ENABLE);
	step_add(&arrived, 1);
	step_wait(&told, 1);
	CHECK(nanosleep(&t, NULL) == 0);
	pthread_testcancel();
	cleaned++;
	CHECK_OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	pthread_testcancel();
	CHECK(!"reached");
	return arg;
}

static void disabled_it_is_held_back(void)
{
	pthread_t thread;

	cleaned = 0;
	step_reset(&arrived);
	step_reset(&told);
	thread = thread_start(disable_for_a_while, NULL);
	step_wait(&arrived, 1);
	CHECK_OK(pthread_cancel(thread));
	step_add(&told, 1);
	CHECK(thread_join(thread) == PTHREAD_CANCELED);
	CHECK_EQ(cleaned, 1);
}

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(void)
{
	sigset_t usr2;
	struct epoll_event event = {EPOLLIN, {NULL}};

	check_begin();
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &usr2, NULL));
	CHECK(pipe(pipe_fds) == 0);
	unix_pair(SOCK_STREAM, full);
	unix_pair(SOCK_STREAM, quiet);
	listener = tcp_listen(&at, 4);
	set = epoll_create1(0);
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipe_fds[0], &event) == 0);
	CHECK(sem_init(&sem, 0, 0) == 0);
	sleeper = thread_start(sleep_on, NULL);
	RUN(a_thread_is_cancelled_wherever_it_waits);
	RUN(a_cancelled_cond_wait_holds_the_mutex);
	RUN(disabled_it_is_held_back);
	CHECK_OK(pthread_cancel(sleeper));
	CHECK(thread_join(sleeper) == PTHREAD_CANCELED);
	return check_done();
}
