/* signals_nested.c -- every thread but one blocks all; that one computes and handles signals, in
 * whose handlers the mask changes in one way or another: none of the later signals is lost
 *
 * threads: 1
 * blocked: 100
 */
#include "check.h"
#include <setjmp.h>
#include <ucontext.h>

enum { SIGNALS_SENT = 10 };

static volatile int handled;
static sigjmp_buf back;
static volatile int jump;

static void *block_and_sleep(void *arg)
{
	for (;;)
		let_block();
	return arg;
}

static void *noop(void *arg)
{
	return arg;
}

static void block_in_handler(int sig, siginfo_t *info, void *context)
{
	sigset_t x;

	(void)sig;
	(void)info;
	(void)context;
	sigemptyset(&x);
	sigaddset(&x, SIGUSR2);
	CHECK_OK(pthread_sigmask(SIG_BLOCK, &x, NULL));
	handled++;
}

static void make_a_thread(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	thread_join(thread_start(noop, NULL));
	handled++;
}

static void raise_another(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (sig == SIGUSR1)
		raise(SIGUSR2);
	else
		handled++;
}

static void block_behind_handler(int sig, siginfo_t *info, void *context)
{
	static volatile int times;

	(void)sig;
	(void)info;
	if (times++ % 2)
		sigdelset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
	else
		sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
	handled++;
}

static void jump_out(int sig, siginfo_t *info, void *context)
{
	block_in_handler(sig, info, context);
	if (jump)
		siglongjmp(back, 1);
}

static void catch_signals(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = flags | SA_SIGINFO;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
}

/* One signal after the other has been handled: signals of a kind are not counted. */
static pid_t send_to_parent(int to)
{
	pid_t parent = getpid(), child = fork();
	char c;

	CHECK(child >= 0);
	if (child)
		return child;
	for (int i = 0; i < SIGNALS_SENT; i++) {
		usleep(15000);
		kill(parent, SIGUSR1);
		if (read(to, &c, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static void all_come(void (*handler)(int, siginfo_t *, void *), int flags)
{
	volatile int told = 0;
	int go[2];

	CHECK(pipe(go) == 0);
	handled = 0;
	catch_signals(handler, flags);
	pid_t child = send_to_parent(go[0]);
	int64_t limit = now_ms() + 8000;

	sigsetjmp(back, 1);
	while (handled < SIGNALS_SENT && now_ms() < limit) {
		for (volatile int i = 0; i < 10000000 && handled == told; i++)
			;
		if (told < handled) {
			CHECK(write(go[1], "x", 1) == 1);
			told++;
		}
	}
	CHECK_EQ(handled, SIGNALS_SENT);
	CHECK(write(go[1], "xxxxxxxxxx", SIGNALS_SENT) == SIGNALS_SENT);
	CHECK_CHILD(child);
	close(go[0]);
	close(go[1]);
}

static void signals_come_behind_a_change_of_the_mask(void)
{
	all_come(block_in_handler, 0);
}

static void signals_come_behind_a_new_thread(void)
{
	all_come(make_a_thread, 0);
}

static void signals_come_behind_a_nested_handler(void)
{
	all_come(raise_another, 0);
}

static void signals_come_behind_a_change_of_the_context(void)
{
	all_come(block_behind_handler, 0);
}

static void signals_come_with_nodefer(void)
{
	all_come(block_in_handler, SA_NODEFER);
}

static void signals_come_behind_a_jump(void)
{
	jump = 1;
	all_come(jump_out, 0);
	jump = 0;
}

/* While the handler runs its signal is blocked by all: one that comes then, whose action is the
 * default, waits as well. */
static void terminate_waits(int sig, siginfo_t *info, void *context)
{
	sigset_t pending;

	(void)sig;
	(void)info;
	(void)context;
	CHECK(kill(getpid(), SIGTERM) == 0);
	for (volatile int i = 0; i < 30000000; i++)
		;
	CHECK(sigpending(&pending) == 0);
	CHECK_EQ(sigismember(&pending, SIGTERM), 1);
	handled = 1;
}

static void a_default_action_waits_for_the_end_of_the_handler(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct sigaction action;
		sigset_t all, none;

		sigfillset(&all);
		sigemptyset(&none);
		CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
		thread_start(block_and_sleep, NULL);
		CHECK_OK(pthread_sigmask(SIG_SETMASK, &none, NULL));
		memset(&action, 0, sizeof(action));
		action.sa_sigaction = terminate_waits;
		action.sa_flags = SA_SIGINFO;
		sigaddset(&action.sa_mask, SIGTERM);
		CHECK(sigaction(SIGALRM, &action, NULL) == 0);
		ualarm(20000, 0);
		int64_t limit = now_ms() + 5000;

		while (now_ms() < limit)
			;
		_exit(1);
	}
	int status = child_status(child);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void)
{
	sigset_t all;

	check_begin();
	sigfillset(&all);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
	thread_start(block_and_sleep, NULL);
	sigemptyset(&all);
	CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
	RUN(signals_come_behind_a_change_of_the_mask);
	RUN(signals_come_behind_a_new_thread);
	RUN(signals_come_behind_a_nested_handler);
	RUN(signals_come_behind_a_change_of_the_context);
	RUN(signals_come_with_nodefer);
	RUN(signals_come_behind_a_jump);
	RUN(a_default_action_waits_for_the_end_of_the_handler);
	return check_done();
}
