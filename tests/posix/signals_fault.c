/* signals_fault.c -- faults of a thread's own instructions: handled in that thread, also after its
 * stack ran over
 *
 * threads: 1
 */
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>

enum { THREADS = 6 };

static __thread sigjmp_buf back;
static __thread volatile int faults;
static __thread void *volatile fault_at;
static char *forbidden;

static void recover(int sig, siginfo_t *info, void *context)
{
	(void)context;
	faults++;
	fault_at = info->si_addr;
	siglongjmp(back, sig);
}

static void catch_fault(int sig, int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = recover;
	action.sa_flags = SA_SIGINFO | flags;
	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void *fault_and_recover(void *arg)
{
	volatile int zero = 0, n = (int)(intptr_t)arg;

	for (volatile int i = 0; i < 20; i++) {
		int sig = sigsetjmp(back, 1);

		if (sig == 0 && i % 3 == 0)
			forbidden[n] = 1;
		else if (sig == 0 && i % 3 == 1)
			n = n / zero;
		else if (sig == 0)
			__builtin_trap();
		CHECK_EQ(sig, i % 3 == 0 ? SIGSEGV : i % 3 == 1 ? SIGFPE : SIGILL);
		if (i % 3 == 0)
			CHECK(fault_at == forbidden + n);
		CHECK_EQ(faults, i + 1);
		sched_yield();
	}
	return NULL;
}

static void each_thread_recovers_from_its_own_faults(void)
{
	pthread_t threads[THREADS];

	catch_fault(SIGSEGV, 0);
	catch_fault(SIGFPE, 0);
	catch_fault(SIGILL, 0);
	threads_start(threads, THREADS, fault_and_recover);
	threads_join(threads, THREADS);
	CHECK_EQ(faults, 0);
}

/* The handler makes the page writable and the instruction is run again. */
static void open_page(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	faults++;
	CHECK(mprotect((void *)((uintptr_t)info->si_addr & ~4095UL), 4096,
		       PROT_READ | PROT_WRITE) == 0);
}

static void *write_own_page(void *arg)
{
	char *page = forbidden + (intptr_t)arg * 4096;

	for (int i = 1; i <= 20; i++) {
		*(volatile char *)page = (char)i;
		CHECK_EQ(*page, i);
		CHECK_EQ(faults, i);
		CHECK(mprotect(page, 4096, PROT_NONE) == 0);
		sched_yield();
		CHECK(mprotect(page, 4096, PROT_READ) == 0);
	}
	return NULL;
}

static void an_instruction_is_run_again_after_its_handler(void)
{
	pthread_t threads[THREADS];
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = open_page;
	action.sa_flags = SA_SIGINFO;
	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	threads_start(threads, THREADS, write_own_page);
	threads_join(threads, THREADS);
	signal(SIGSEGV, SIG_DFL);
}

__attribute__((noinline)) static int overflow(int n)
{
	volatile char frame[512];

	frame[0] = (char)n;
	return n == 0 ? frame[0] : overflow(n + 1) + frame[n % 512];
}

static void *run_over_and_recover(void *arg)
{
	stack_t stack;

	memset(&stack, 0, sizeof(stack));
	stack.ss_size = 64 << 10;
	stack.ss_sp = malloc(stack.ss_size);
	CHECK(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	for (volatile int i = 1; i <= 3; i++) {
		if (sigsetjmp(back, 1) == 0)
			CHECK(overflow(1) != 1);
		CHECK_EQ(faults, i);
		sched_yield();
	}
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0);
	free(stack.ss_sp);
	(void)arg;
	return NULL;
}

static void a_stack_that_ran_over_is_survived_on_the_alternate_one(void)
{
	pthread_t threads[THREADS];

	catch_fault(SIGSEGV, SA_ONSTACK);
	threads_start(threads, THREADS, run_over_and_recover);
	threads_join(threads, THREADS);
	signal(SIGSEGV, SIG_DFL);
}

static void *fault_uncaught(void *arg)
{
	*(volatile char *)arg = 1;
	return NULL;
}

static void an_uncaught_fault_ends_the_process(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		thread_join(thread_start(fault_uncaught, bad_address()));
		_exit(0);
	}
	CHECK_EQ(child_status(child) & 0x7f, SIGSEGV);
}

int main(void)
{
	check_begin();
	forbidden =
		(char *)mmap(NULL, THREADS * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(forbidden != MAP_FAILED);
	RUN(each_thread_recovers_from_its_own_faults);
	RUN(an_instruction_is_run_again_after_its_handler);
	RUN(a_stack_that_ran_over_is_survived_on_the_alternate_one);
	RUN(an_uncaught_fault_ends_the_process);
	return check_done();
}
