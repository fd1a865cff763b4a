/* signals_context.c -- where a handler finds the thread that it interrupted in a system call
 *
 * A call that will be made again stands before its instruction, with its number in rax; one that ends with EINTR, or with what it
 * has done so far, behind it, with its result. Libraries decide by that whether a call has had an effect: glibc's pthread_cancel
 * since 2.41.
 *
 * threads: 1
 */
#include "check.h"
#include <linux/futex.h>
#include <ucontext.h>

enum { LARGE = 1 << 20, TRIES = 200 };

long call_by_hand(long number, long a, long b, long c, long d);
extern const char by_hand_call[], by_hand_behind[];

__asm__(".text\n.globl call_by_hand, by_hand_call, by_hand_behind\n.type call_by_hand, @function\ncall_by_hand:\n"
	".cfi_startproc\nmov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\n"
	"by_hand_call: syscall\nby_hand_behind: ret\n.cfi_endproc\n.size call_by_hand, . - call_by_hand\n");

static int empty[2], full[2];
static uint32_t word;
static char large[LARGE];
static struct timespec hour = {3600, 0};
static long wanted;
static volatile sig_atomic_t again, behind;
static volatile long behind_rax;
static struct step done = STEP_INIT;

static const struct call {
	const char *name;
	long number, a, b, c, d;
	int repeated; /* with SA_RESTART */
	long result;  /* where it is not made again */
	int fd;	      /* -1, or the one that stands for `a' */
} calls[] = {
	{"read", SYS_read, 0, (long)large, 1, 0, 1, -EINTR, 0},
	{"futex", SYS_futex, (long)&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0, 1, -EINTR, -1},
	{"nanosleep", SYS_nanosleep, (long)&hour, 0, 0, 0, 0, -EINTR, -1},
	{"poll", SYS_poll, 0, 0, -1, 0, 0, -EINTR, -1},
	{"pause", SYS_pause, 0, 0, 0, 0, 0, -EINTR, -1},
	{"write", SYS_write, 0, (long)large, LARGE, 0, 0, 65536, 1},
};

static void note(int sig, siginfo_t *info, void *context)
{
	const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)sig;
	(void)info;
	if (r[REG_RIP] == (greg_t)by_hand_call && r[REG_RAX] == wanted) {
		again++;
	} else if (r[REG_RIP] == (greg_t)by_hand_behind) {
		behind_rax = r[REG_RAX];
		behind++;
	}
}

static void catch_it(int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = note;
	action.sa_flags = SA_SIGINFO | flags;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void *make_it(void *arg)
{
	const struct call *c = arg;
	long first = c->fd < 0 ? c->a : c->fd ? full[1] : empty[0], result;

	result = call_by_hand(c->number, first, c->b, c->c, c->d);
	step_add(&done, 1);
	return (void *)result;
}

static pthread_t begin(const struct call *c, int flags)
{
	again = behind = 0;
	behind_rax = 0;
	wanted = c->number;
	step_reset(&done);
	CHECK(pipe(empty) == 0 && pipe(full) == 0);
	catch_it(flags);
	return thread_start(make_it, (void *)(uintptr_t)c);
}

static void finish(void)
{
	for (int i = 0; i < 2; i++) {
		close(empty[i]);
		close(full[i]);
	}
}

/* It is behind its call once the call has ended, and with its result. */
static void end_it(const struct call *c, int flags)
{
	pthread_t thread = begin(c, flags);
	void *result;

	while (step_at(&done) == 0) {
		let_block();
		CHECK(thread_signal(thread, SIGUSR1) || step_at(&done));
	}
	CHECK_OK(pthread_join(thread, &result));
	if ((long)result != c->result || !behind || behind_rax != c->result)
		check_fail(__FILE__, __LINE__, 0, "%s: %ld; %d behind, with %ld", c->name, (long)result, (int)behind, behind_rax);
	finish();
}

static void wait_goes_on(const struct call *c)
{
	pthread_t thread = begin(c, SA_RESTART);
	char byte = 0;

	for (int i = 0; i < TRIES && !again; i++) {
		let_block();
		CHECK_OK(pthread_kill(thread, SIGUSR1));
	}
	let_block();
	CHECK_EQ(step_at(&done), 0);
	if (!again || behind)
		check_fail(__FILE__, __LINE__, 0, "%s: %d before it, %d behind, with %ld", c->name, (int)again, (int)behind, behind_rax);
	if (c->fd >= 0)
		CHECK(write(empty[1], &byte, 1) == 1);
	while (step_at(&done) == 0 && c->fd < 0)
		syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
	thread_join(thread);
	finish();
}

static void a_call_that_is_made_again_has_not_begun(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].repeated)
			wait_goes_on(&calls[i]);
}

static void a_call_that_has_ended_is_behind_itself(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		end_it(&calls[i], 0);
		if (!calls[i].repeated)
			end_it(&calls[i], SA_RESTART);
	}
}

int main(void)
{
	check_begin();
	RUN(a_call_that_is_made_again_has_not_begun);
	RUN(a_call_that_has_ended_is_behind_itself);
	return check_done();
}
