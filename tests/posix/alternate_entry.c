/* alternate_entry.c -- code that is not on its thread's stack makes calls that wait: handlers on
 * alternate stacks, contexts handed from thread to thread, stacks switched by hand
 *
 * threads: 4
 */
#include "check.h"
#include <semaphore.h>
#include <setjmp.h>
#include <ucontext.h>

enum { THREADS = 4, ROUNDS = 10, STACK = 64 << 10 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct step arrived = STEP_INIT;
static int held;
static __thread int ran, pipe_own[2];
static __thread sigjmp_buf jump;

static uintptr_t stack_pointer(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

/* Contends for a mutex; the holder lets others run. */
static void contend(void)
{
	CHECK_OK(pthread_mutex_lock(&mutex));
	CHECK_EQ(held++, 0);
	sched_yield();
	CHECK_EQ(--held, 0);
	CHECK_OK(pthread_mutex_unlock(&mutex));
}

static void *answer(void *arg)
{
	const int *fds = (const int *)arg;
	char c;

	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(write(fds[1], &c, 1), 1);
	return NULL;
}

/* Waits in most of the ways there are, on whatever stack this is. */
static void wait_here(int n)
{
	struct timespec t = {0, 200000}, soon = deadline(CLOCK_REALTIME, 1);
	struct pollfd p = {pipe_own[0], POLLIN, 0};
	sem_t none;
	char c = (char)n, back = 0;
	int error = errno;

	CHECK_EQ(nanosleep(&t, NULL), 0);
	CHECK_EQ(poll(&p, 1, 1), 0);
	CHECK_EQ(sem_init(&none, 0, 0), 0);
	CHECK_ERR(sem_timedwait(&none, &soon), ETIMEDOUT);
	errno = error;
	contend();
	CHECK_EQ(write(pipe_own[1], &c, 1), 1);
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK_EQ(read(pipe_own[0], &back, 1), 1);
	CHECK_EQ(back, c);
	sched_yield();
	CHECK_EQ(errno, error);
}

/* Waits for another thread, which is made and joined from here. */
static void make_and_join_here(void)
{
	int there[2], back[2], fds[2];
	char c = 'q';

	CHECK(pipe(there) == 0 && pipe(back) == 0);
	fds[0] = there[0];
	fds[1] = back[1];
	pthread_t thread = thread_start(answer, fds);
	CHECK_EQ(write(there[1], &c, 1), 1);
	CHECK_EQ(read(back[0], &c, 1), 1);
	thread_join(thread);
	CHECK(close(there[0]) == 0 && close(there[1]) == 0);
	CHECK(close(back[0]) == 0 && close(back[1]) == 0);
}

/* The child has one thread: others may have held the mutex. */
static void fork_here(void)
{
	struct timespec t = {0, 200000};
	pid_t child = fork();
	char c = 'f';

	CHECK(child >= 0);
	if (child == 0) {
		CHECK_EQ(nanosleep(&t, NULL), 0);
		CHECK_EQ(write(pipe_own[1], &c, 1), 1);
		CHECK_EQ(read(pipe_own[0], &c, 1), 1);
		_exit(0);
	}
	CHECK_CHILD(child);
}

static stack_t alternate_make(void)
{
	stack_t s = {.ss_sp = malloc(STACK), .ss_size = STACK}, now;

	CHECK(s.ss_sp && sigaltstack(&s, NULL) == 0 && sigaltstack(NULL, &now) == 0);
	CHECK(now.ss_sp == s.ss_sp && now.ss_size == STACK && now.ss_flags == 0);
	return s;
}

static void alternate_drop(stack_t s)
{
	stack_t off = {.ss_flags = SS_DISABLE}, was;

	CHECK(sigaltstack(&off, &was) == 0);
	CHECK(was.ss_sp == s.ss_sp && was.ss_flags == 0);
	free(s.ss_sp);
}

static void check_on_alternate(void)
{
	stack_t now;

	CHECK(sigaltstack(NULL, &now) == 0);
	CHECK_EQ(now.ss_flags, SS_ONSTACK);
	CHECK(stack_pointer() - (uintptr_t)now.ss_sp < now.ss_size);
}

static void on_usr1(int signo)
{
	check_on_alternate();
	wait_here(signo);
	if (ran % 4 == 1)
		make_and_join_here();
	if (ran % 4 == 2)
		CHECK(raise(SIGUSR2) == 0);
	if (ran % 4 == 3)
		fork_here();
	check_on_alternate();
	ran++;
}

static void on_usr2(int signo)
{
	check_on_alternate();
	wait_here(signo);
}

static void on_jump(int signo)
{
	check_on_alternate();
	wait_here(signo);
	siglongjmp(jump, 1);
}

static void handlers_set(void)
{
	struct sigaction a = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK | SA_RESTART};

	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	a.sa_handler = on_usr2;
	CHECK(sigaction(SIGUSR2, &a, NULL) == 0);
	a.sa_handler = on_jump;
	CHECK(sigaction(SIGHUP, &a, NULL) == 0);
}

static void *handle_own(void *arg)
{
	stack_t s = alternate_make(), now;
	sigset_t mask;

	CHECK(pipe(pipe_own) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(raise(SIGUSR1) == 0);
		CHECK_EQ(ran, i + 1);
		wait_here(i);
	}
	for (volatile int i = 0; i < ROUNDS; i++) {
		if (!sigsetjmp(jump, 1)) {
			CHECK(raise(SIGHUP) == 0);
			CHECK(!"the handler returned");
		}
		CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0);
		CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
		CHECK_EQ(sigismember(&mask, SIGHUP), 0);
		wait_here(i);
	}
	CHECK(close(pipe_own[0]) == 0 && close(pipe_own[1]) == 0);
	alternate_drop(s);
	ran = 0;
	return arg;
}

static void handlers_on_alternate_stacks_wait(void)
{
	pthread_t threads[THREADS];

	handlers_set();
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(handle_own, NULL);
	handle_own(NULL);
	threads_join(threads, THREADS);
}

/* A thread that reads is sent signals; their handlers wait, and the read goes on. */
struct reader {
	int in, out, handled;
};

static __thread struct reader *me;

static void on_reader(int signo)
{
	check_on_alternate();
	wait_here(signo);
	__atomic_add_fetch(&me->handled, 1, __ATOMIC_RELEASE);
}

static void *read_through(void *arg)
{
	stack_t s = alternate_make();
	char c;

	me = (struct reader *)arg;
	CHECK(pipe(pipe_own) == 0);
	step_add(&arrived, 1);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(read(me->in, &c, 1), 1);
		CHECK_EQ(c, (char)i);
	}
	CHECK(close(pipe_own[0]) == 0 && close(pipe_own[1]) == 0);
	alternate_drop(s);
	return NULL;
}

static void handlers_wait_while_a_call_waits(void)
{
	struct sigaction a = {.sa_handler = on_reader, .sa_flags = SA_ONSTACK | SA_RESTART};
	struct reader readers[THREADS];
	pthread_t threads[THREADS];

	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	step_reset(&arrived);
	for (int i = 0; i < THREADS; i++) {
		int fds[2];

		CHECK(pipe(fds) == 0);
		readers[i] = (struct reader){fds[0], fds[1], 0};
		threads[i] = thread_start(read_through, &readers[i]);
	}
	step_wait(&arrived, THREADS);
	for (int n = 0; n < ROUNDS; n++) {
		for (int i = 0; i < THREADS; i++)
			CHECK_OK(pthread_kill(threads[i], SIGUSR1));
		for (int i = 0; i < THREADS; i++)
			while (__atomic_load_n(&readers[i].handled, __ATOMIC_ACQUIRE) <= n)
				usleep(300);
		for (int i = 0; i < THREADS; i++) {
			char c = (char)n;

			CHECK_EQ(write(readers[i].out, &c, 1), 1);
		}
	}
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS; i++)
		CHECK(close(readers[i].in) == 0 && close(readers[i].out) == 0);
}

/* Contexts that wait, and go on in whichever thread takes them next. */
struct context {
	ucontext_t self, *back;
	int turns, wait_fd[2];
	char stack[STACK];
};

static struct context *contexts[THREADS];

static __attribute__((noinline)) void context_wait(struct context *c)
{
	struct timespec t = {0, 100000};
	char byte = 'c';

	contend();
	CHECK_EQ(nanosleep(&t, NULL), 0);
	CHECK_EQ(write(c->wait_fd[1], &byte, 1), 1);
	CHECK_EQ(read(c->wait_fd[0], &byte, 1), 1);
}

static void context_main(int n)
{
	struct context *c = contexts[n];

	for (;;) {
		context_wait(c);
		c->turns++;
		CHECK(swapcontext(&c->self, c->back) == 0);
	}
}

static void *take_turns(void *arg)
{
	int first = (int)(intptr_t)arg;
	ucontext_t here;

	step_add(&arrived, 1);
	for (int i = 0; i < ROUNDS; i++) {
		struct context *c = contexts[(first + i) % THREADS];

		/* One thread at a time has it: in round i each has another one. */
		step_wait(&arrived, (i + 1) * THREADS);
		c->back = &here;
		CHECK(swapcontext(&here, &c->self) == 0);
		step_add(&arrived, 1);
	}
	return NULL;
}

static void contexts_wait_in_several_threads(void)
{
	pthread_t threads[THREADS];

	step_reset(&arrived);
	for (int i = 0; i < THREADS; i++) {
		struct context *c = contexts[i] = (struct context *)calloc(1, sizeof(*c));

		CHECK(c && pipe(c->wait_fd) == 0 && getcontext(&c->self) == 0);
		c->self.uc_stack.ss_sp = c->stack;
		c->self.uc_stack.ss_size = STACK;
		makecontext(&c->self, (void (*)(void))context_main, 1, i);
	}
	threads_start(threads, THREADS, take_turns);
	threads_join(threads, THREADS);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(contexts[i]->turns, ROUNDS);
		CHECK(close(contexts[i]->wait_fd[0]) == 0 && close(contexts[i]->wait_fd[1]) == 0);
		free(contexts[i]);
	}
}

/* Calls fn(n) with the stack pointer at top. */
void call_on(void *top, void (*fn)(int), int n);

__asm__(".text\n .globl call_on\n .type call_on, @function\n call_on:\n .cfi_startproc\n"
	"push %rbp\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbp, 0\n"
	"mov %rsp, %rbp\n .cfi_def_cfa_register rbp\n"
	"mov %rdi, %rsp\n and $-16, %rsp\n mov %edx, %edi\n call *%rsi\n"
	"leave\n .cfi_def_cfa rsp, 8\n .cfi_restore rbp\n ret\n .cfi_endproc\n"
	".size call_on, . - call_on\n");

static char areas[THREADS][STACK] __attribute__((aligned(16)));
static char *lent[THREADS];

static void wait_and_spin(int n)
{
	volatile unsigned long sum = 0;

	wait_here(n);
	for (unsigned long i = 0; i < 3000000; i++)
		sum += i;
	CHECK_EQ(sum, 3000000ul * 2999999 / 2);
	contend();
}

static void on_another(int n)
{
	char *mine = (char *)malloc(STACK);

	CHECK(mine);
	wait_here(n);
	call_on(mine + STACK, wait_and_spin, n);
	free(mine);
	make_and_join_here();
}

static void *switch_by_hand(void *arg)
{
	int n = (int)(intptr_t)arg;
	char own[STACK / 2], *mapped;

	CHECK(pipe(pipe_own) == 0);
	lent[n] = own;
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < 4; i++) {
		call_on(areas[n] + STACK, on_another, i);
		/* Each has a part of the next one's stack, and maps one at a place that others had. */
		call_on(lent[(n + 1) % THREADS] + STACK / 2, wait_and_spin, i);
		mapped = (char *)mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(mapped != MAP_FAILED);
		call_on(mapped + STACK, on_another, i);
		CHECK(munmap(mapped, STACK) == 0);
	}
	CHECK(close(pipe_own[0]) == 0 && close(pipe_own[1]) == 0);
	step_add(&arrived, 1);
	step_wait(&arrived, 2 * THREADS);
	return NULL;
}

static void stacks_are_switched_by_hand(void)
{
	pthread_t threads[THREADS];

	step_reset(&arrived);
	threads_start(threads, THREADS, switch_by_hand);
	threads_join(threads, THREADS);
}

int main(void)
{
	check_begin();
	RUN(handlers_on_alternate_stacks_wait);
	RUN(handlers_wait_while_a_call_waits);
	RUN(contexts_wait_in_several_threads);
	RUN(stacks_are_switched_by_hand);
	return check_done();
}
