/* signals_frame.c -- what a handler finds in its context, and what it may change there: floating
 * point state, registers, flags, mask
 *
 * Each is asked of both ways into a handler: behind a call that waits, and out of computing.
 *
 * threads: 1
 * libs: -lm
 * blocked: 100
 */
#include "check.h"
#include <fenv.h>
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile int caught, magic_first, magic_last, ss, cs, xstate;
static volatile unsigned mxcsr, flags;
static sigset_t was;

static void look(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const char *fp = (const char *)uc->uc_mcontext.fpregs;
	uint32_t size = *(const uint32_t *)(fp + 468);

	(void)sig;
	(void)info;
	magic_first = *(const int *)(fp + 464) == 0x46505853;
	magic_last = magic_first && *(const int *)(fp + size - 4) == 0x46505845;
	xstate = (int)(uc->uc_flags & 1);
	mxcsr = ((const struct _libc_fpstate *)fp)->mxcsr;
	flags = (unsigned)uc->uc_mcontext.gregs[REG_EFL];
	cs = (int)(uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff);
	ss = (int)(uc->uc_mcontext.gregs[REG_CSGSFS] >> 48 & 0xffff);
	memcpy(&was, &uc->uc_sigmask, 8);
	caught++;
}

static void on(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO;
	CHECK(sigaction(sig, &action, NULL) == 0);
	caught = 0;
}

static void alarm_soon(void)
{
	struct itimerval soon = {{0, 0}, {0, 20000}};

	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void by_call(void)
{
	CHECK(raise(SIGALRM) == 0);
}

static void by_wait(void)
{
	alarm_soon();
	pause();
}

static void by_computing(void)
{
	alarm_soon();
	while (!caught)
		;
}

static void (*const ways[])(void) = {by_call, by_wait, by_computing};
enum { WAYS = 3 };

static void the_context_is_whole(void)
{
	for (int i = 0; i < WAYS; i++) {
		on(SIGALRM, look);
		CHECK(fesetround(FE_UPWARD) == 0);
		ways[i]();
		CHECK(fegetround() == FE_UPWARD);
		CHECK(fesetround(FE_TONEAREST) == 0);
		CHECK_EQ(caught, 1);
		CHECK(magic_first == xstate && magic_last == xstate);
		CHECK_EQ(mxcsr & 0x7fc0, 0x5f80);
		CHECK_EQ(flags & 0x202, 0x202);
		CHECK_EQ(cs, 0x33);
		CHECK_EQ(ss, 0x2b);
		CHECK_EQ(sigismember(&was, SIGALRM), 0);
	}
}

static void change_rounding(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.fpregs->mxcsr |= 0x6000;
	caught++;
}

static void a_changed_floating_point_state_holds(void)
{
	for (int i = 0; i < WAYS; i++) {
		unsigned now = 0;

		on(SIGALRM, change_rounding);
		ways[i]();
		__asm__ volatile("stmxcsr %0" : "=m"(now));
		CHECK_EQ(now & 0x6000, 0x6000);
		CHECK(fesetround(FE_TONEAREST) == 0);
	}
}

static void block_another(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
	caught++;
}

static void a_changed_mask_holds(void)
{
	sigset_t none, now;

	sigemptyset(&none);
	for (int i = 0; i < WAYS; i++) {
		on(SIGALRM, block_another);
		ways[i]();
		CHECK_OK(pthread_sigmask(SIG_SETMASK, &none, &now));
		CHECK_EQ(sigismember(&now, SIGUSR2), 1);
		CHECK_EQ(sigismember(&now, SIGALRM), 0);
	}
}

static sigjmp_buf back;

__attribute__((noreturn)) static void come_back(void)
{
	siglongjmp(back, 1);
}

static void go_elsewhere(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_RSP] = ((uc->uc_mcontext.gregs[REG_RSP] - 512) & ~15) - 8;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)come_back;
	caught++;
}

static void a_changed_program_counter_holds(void)
{
	for (int i = 0; i < WAYS; i++) {
		on(SIGALRM, go_elsewhere);
		if (sigsetjmp(back, 1) == 0) {
			ways[i]();
			CHECK(!"it does not come back");
		}
		CHECK_EQ(caught, 1);
	}
}

static void *noop(void *arg)
{
	return arg;
}

int main(void)
{
	check_begin();
	thread_join(thread_start(noop, NULL));
	RUN(the_context_is_whole);
	RUN(a_changed_floating_point_state_holds);
	RUN(a_changed_mask_holds);
	RUN(a_changed_program_counter_holds);
	return check_done();
}
