/* call_registers.c -- a system call leaves every register as it was but rax, rcx and r11: by sites of many
 * shapes, calls that return at once, wait, or are interrupted, and beside threads that compute
 *
 * threads: 6
 * kthreads: 9
 */
#include "check.h"
#include "registers.h"
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

enum { WORKERS = 4, ROUNDS = 6 };

/* Sites that take the number in rax and the fourth argument in rcx as well as in r10: what stands
 * before and behind the instruction differs. */
__asm__(SITE("site_before", "mov %rax, %rax\n mov %rcx, %r10\n syscall\n ret"));
__asm__(SITE("site_behind", "mov %rcx, %r10\n syscall\n mov %rbx, %rbx\n nop\n ret"));
__asm__(SITE("site_stack", "push %rbp\n mov %rsp, %rbp\n mov %rcx, %r10\n mov (%rsp), %rcx\n"
			   "mov %rax, %rax\n syscall\n mov (%rsp), %rbp\n lea 8(%rsp), %rsp\n"
			   "ret"));
__asm__(SITE("site_branch", "jmp 1f\n nop\n 1: mov %rcx, %r10\n mov %rax, %rax\n syscall\n ret"));
__asm__(SITE("site_vector", "movaps %xmm0, %xmm0\n mov %rcx, %r10\n mov %rax, %rax\n syscall\n"
			    "ret"));
__asm__(SITE("site_x87", "fldpi\n mov %rcx, %r10\n mov %rax, %rax\n syscall\n fldpi\n"
			 "fcomip %st(1), %st\n fstp %st(0)\n jne 1f\n ret\n 1: ud2"));
void site_before(void), site_behind(void), site_stack(void), site_branch(void), site_vector(void),
	site_x87(void);

/* Copies of what libc's own look like, with the number in an instruction. */
__asm__(SITE("site_nanosleep", "mov $35, %eax\n syscall\n ret"));
__asm__(SITE("site_yield", "mov $24, %eax\n syscall\n ret"));
__asm__(SITE("site_yield_memory", "mov site_number_yield(%rip), %eax\n syscall\n ret"));
__asm__(SITE("site_sleep_memory", "mov $35, %eax\n lea site_moment(%rip), %rdi\n syscall\n ret"));
__asm__(SITE("site_read", "xor %eax, %eax\n syscall\n cmp $-4096, %rax\n ja 1f\n ret\n"
			  "1: mov $-1, %rax\n ret"));
__asm__(SITE("site_loop", "1: mov $24, %eax\n syscall\n lea -1(%r15), %r15\n mov %r15, %rcx\n"
			  "jrcxz 2f\n jmp 1b\n 2: ret"));
__asm__(SITE("site_compare", "cmp %rbx, %r12\n mov $24, %eax\n syscall\n ret"));
__asm__(".section .rodata\n .balign 8\n site_number_yield: .long 24, 0\n"
	"site_moment: .quad 0, 300000\n .text");
void site_nanosleep(void), site_yield(void), site_yield_memory(void), site_sleep_memory(void),
	site_read(void), site_loop(void), site_compare(void);

struct site {
	const char *name;
	void (*function)(void);
	unsigned kept;
};

static const struct site sites[] = {
	{"before", site_before, GENERAL | FLAGS | RED_ZONE | CONTROL},
	{"behind", site_behind, GENERAL | FLAGS | RED_ZONE | CONTROL},
	{"stack", site_stack, GENERAL | FLAGS | CONTROL},
	{"branch", site_branch, GENERAL | FLAGS | RED_ZONE | CONTROL},
	{"vector", site_vector, GENERAL | FLAGS | RED_ZONE | CONTROL | VECTOR},
	{"x87", site_x87, GENERAL | RED_ZONE | CONTROL | VECTOR},
};
enum { SITES = sizeof(sites) / sizeof(*sites) };

/* What a thread makes its calls with. */
struct place {
	int n, pipe[2], full[2], epoll, quiet;
	uint32_t word;
	uint64_t random;
	char bytes[64];
	struct timespec moment;
	struct pollfd poll;
	struct epoll_event event;
	struct timeval interval;
};

static int requests[2];
static struct step arrived = STEP_INIT;

static void place_make(struct place *p, int n)
{
	memset(p, 0, sizeof(*p));
	p->n = n;
	p->random = 88172645463325252u + 977u * (unsigned)n;
	p->moment = (struct timespec){0, 200000};
	CHECK(pipe(p->pipe) == 0 && pipe(p->full) == 0);
	CHECK(write(p->full[1], "full of bytes", 13) == 13);
	CHECK((p->epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
	CHECK(epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->pipe[0], &p->event) == 0);
}

static void place_drop(struct place *p)
{
	CHECK(close(p->pipe[0]) == 0 && close(p->pipe[1]) == 0 && close(p->epoll) == 0);
	CHECK(close(p->full[0]) == 0 && close(p->full[1]) == 0);
}

/* A call: its arguments go into p's registers, and it has to give this result. `wants' asks the
 * thread that fills pipes for a byte. */
struct call {
	const char *name;
	long number, result;
	int wants;
	void (*arguments)(struct place *p, uint64_t a[6]);
};

static void no_arguments(struct place *p, uint64_t a[6])
{
	(void)p, (void)a;
}

static void of_sleep(struct place *p, uint64_t a[6])
{
	a[0] = (uintptr_t)&p->moment;
	a[1] = 0;
}

static void of_clock_sleep(struct place *p, uint64_t a[6])
{
	a[0] = CLOCK_MONOTONIC;
	a[1] = 0;
	a[2] = (uintptr_t)&p->moment;
	a[3] = 0;
}

static void of_futex(struct place *p, uint64_t a[6])
{
	a[0] = (uintptr_t)&p->word;
	a[1] = FUTEX_WAIT_PRIVATE;
	a[2] = 0;
	a[3] = (uintptr_t)&p->moment;
}

static void of_futex_other(struct place *p, uint64_t a[6])
{
	of_futex(p, a);
	a[2] = 1;
}

static void of_futex_wake(struct place *p, uint64_t a[6])
{
	of_futex(p, a);
	a[1] = FUTEX_WAKE_PRIVATE;
	a[2] = 1;
}

static void of_read(struct place *p, uint64_t a[6])
{
	a[0] = (uint64_t)p->pipe[0];
	a[1] = (uintptr_t)p->bytes;
	a[2] = 1;
}

static void of_read_full(struct place *p, uint64_t a[6])
{
	of_read(p, a);
	a[0] = (uint64_t)p->full[0];
}

static void of_write_full(struct place *p, uint64_t a[6])
{
	of_read(p, a);
	a[0] = (uint64_t)p->full[1];
}

static void of_read_bad(struct place *p, uint64_t a[6])
{
	of_read(p, a);
	a[0] = (uint64_t)-1;
}

static void of_poll(struct place *p, uint64_t a[6])
{
	p->poll = (struct pollfd){p->pipe[0], POLLIN, 0};
	a[0] = (uintptr_t)&p->poll;
	a[1] = 1;
	a[2] = 1;
}

static void of_select(struct place *p, uint64_t a[6])
{
	p->interval = (struct timeval){0, 500};
	a[0] = a[1] = a[2] = a[3] = 0;
	a[4] = (uintptr_t)&p->interval;
}

static void of_epoll_wait(struct place *p, uint64_t a[6])
{
	a[0] = (uint64_t)p->epoll;
	a[1] = (uintptr_t)&p->event;
	a[2] = 1;
	a[3] = 1;
	a[4] = 0;
	a[5] = 8;
}

static void of_lseek(struct place *p, uint64_t a[6])
{
	a[0] = (uint64_t)p->full[0];
	a[1] = 0;
	a[2] = 0;
}

static void of_fcntl(struct place *p, uint64_t a[6])
{
	a[0] = (uint64_t)p->full[0];
	a[1] = F_GETFD;
}

static const struct call calls[] = {
	{"sched_yield", SYS_sched_yield, 0, 0, no_arguments},
	{"no such call", 1500, -ENOSYS, 0, no_arguments},
	{"a large number", 0xfffffff0, -ENOSYS, 0, no_arguments},
	{"lseek", SYS_lseek, -ESPIPE, 0, of_lseek},
	{"fcntl", SYS_fcntl, 0, 0, of_fcntl},
	{"read a byte that is there", SYS_read, 1, 0, of_read_full},
	{"write", SYS_write, 1, 0, of_write_full},
	{"read a bad descriptor", SYS_read, -EBADF, 0, of_read_bad},
	{"futex with another value", SYS_futex, -EAGAIN, 0, of_futex_other},
	{"futex wake", SYS_futex, 0, 0, of_futex_wake},
	{"nanosleep", SYS_nanosleep, 0, 0, of_sleep},
	{"clock_nanosleep", SYS_clock_nanosleep, 0, 0, of_clock_sleep},
	{"futex with a time-out", SYS_futex, -ETIMEDOUT, 0, of_futex},
	{"poll", SYS_poll, 0, 0, of_poll},
	{"select", SYS_select, 0, 0, of_select},
	{"epoll_wait", SYS_epoll_wait, 0, 0, of_epoll_wait},
	{"epoll_pwait", SYS_epoll_pwait, 0, 0, of_epoll_wait},
	{"read a byte that comes later", SYS_read, 1, 1, of_read},
};
enum { CALLS = sizeof(calls) / sizeof(*calls) };

/* Puts arguments into registers; rcx has the fourth one as well, for the sites move it to r10. */
static void arguments_set(struct registers *r, const uint64_t a[6])
{
	r->general[RDI] = a[0];
	r->general[RSI] = a[1];
	r->general[RDX] = a[2];
	r->general[R10] = r->general[RCX] = a[3];
	r->general[R8] = a[4];
	r->general[R9] = a[5];
}

static void arguments_get(const struct registers *r, uint64_t a[6])
{
	static const int order[] = {RDI, RSI, RDX, R10, R8, R9};

	for (int i = 0; i < 6; i++)
		a[i] = r->general[order[i]];
}

static void call_by_site(struct place *p, const struct call *c, const struct site *s)
{
	struct registers before, after;
	uint64_t a[6];
	char what[100];
	char n = (char)p->n;

	snprintf(what, sizeof(what), "%s by site %s", c->name, s->name);
	registers_random(&before, &p->random);
	arguments_get(&before, a);
	c->arguments(p, a);
	arguments_set(&before, a);
	before.general[RAX] = (uint64_t)c->number;
	if (c->wants)
		CHECK(write(requests[1], &n, 1) == 1);
	registers_call(&before, &after, s->function);
	registers_same(&before, &after, s->kept, what);
	if ((long)after.general[RAX] != c->result)
		check_fail(__FILE__, __LINE__, 0, "%s: result %ld, not %ld", what,
			   (long)after.general[RAX], c->result);
}

static void every_call_by_every_site(struct place *p)
{
	for (int c = 0; c < CALLS; c++)
		for (int s = 0; s < SITES; s++)
			if (!calls[c].wants || p->n >= 0)
				call_by_site(p, &calls[c], &sites[s]);
}

/* One call by one function, with these arguments; rax is checked by the caller. */
static uint64_t one_call(struct place *p, void (*function)(void), unsigned kept, const char *what,
			 void (*arguments)(struct place *p, uint64_t a[6]))
{
	struct registers before, after;
	uint64_t a[6];

	registers_random(&before, &p->random);
	arguments_get(&before, a);
	arguments(p, a);
	arguments_set(&before, a);
	registers_call(&before, &after, function);
	registers_same(&before, &after, kept, what);
	return after.general[RAX];
}

static void calls_with_constant_numbers(struct place *p)
{
	const unsigned all = GENERAL | FLAGS | RED_ZONE | CONTROL;
	struct registers before, after;

	CHECK_EQ(one_call(p, site_nanosleep, all, "site_nanosleep", of_sleep), 0);
	CHECK_EQ(one_call(p, site_yield, all, "site_yield", no_arguments), 0);
	CHECK_EQ(one_call(p, site_yield_memory, all, "site_yield_memory", no_arguments), 0);
	CHECK_EQ(one_call(p, site_read, all & ~FLAGS, "site_read", of_read_full), 1);
	CHECK_EQ(one_call(p, site_read, all & ~FLAGS, "site_read", of_read_bad), -1);
	/* The loop counts r15 down; an address comes from beside the code. */
	registers_random(&before, &p->random);
	before.general[R15] = 3;
	registers_call(&before, &after, site_loop);
	CHECK_EQ(after.general[R15], 0);
	after.general[R15] = 3;
	registers_same(&before, &after, all, "site_loop");
	before.general[RSI] = 0;
	registers_call(&before, &after, site_sleep_memory);
	before.general[RDI] = after.general[RDI];
	registers_same(&before, &after, all, "site_sleep_memory");
	/* Equal values: zero and parity are set, and what was set before is gone. */
	before.general[R12] = before.general[RBX];
	registers_call(&before, &after, site_compare);
	CHECK_EQ(after.flags & FLAG_BITS, 0x44);
	before.flags = after.flags;
	registers_same(&before, &after, all, "site_compare");
}

/* libc's syscall(): its arguments move down by one register; a function may change the flags and
 * the vector registers. */
static void calls_by_syscall(struct place *p)
{
	struct registers before, after;
	uint64_t a[6];
	char n = (char)p->n;

	for (int i = 0; i < CALLS; i++) {
		const struct call *c = &calls[i];

		if (c->wants && p->n < 0)
			continue;
		registers_random(&before, &p->random);
		memset(a, 0, sizeof(a));
		c->arguments(p, a);
		before.general[RDI] = (uint64_t)c->number;
		before.general[RSI] = a[0];
		before.general[RDX] = a[1];
		before.general[RCX] = a[2];
		before.general[R8] = a[3];
		before.general[R9] = a[4];
		if (c->wants)
			CHECK(write(requests[1], &n, 1) == 1);
		registers_call(&before, &after, (void (*)(void))syscall);
		if ((long)after.general[RAX] != (c->result < 0 ? -1 : c->result))
			check_fail(__FILE__, __LINE__, errno, "%s by syscall(): result %ld",
				   c->name, (long)after.general[RAX]);
		if (c->result < 0)
			CHECK_EQ(errno, -c->result);
		registers_same(&before, &after, CALLEE | CONTROL, c->name);
	}
}

/* libc's functions for the same: what they must keep is what any function must. */
static void by_function(struct place *p, const char *name, void (*function)(void), long result,
			uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct registers before, after;

	registers_random(&before, &p->random);
	before.general[RDI] = a0;
	before.general[RSI] = a1;
	before.general[RDX] = a2;
	before.general[RCX] = a3;
	before.general[R8] = before.general[R9] = 0;
	registers_call(&before, &after, function);
	registers_same(&before, &after, CALLEE | CONTROL, name);
	if ((int)after.general[RAX] != (int)result)
		check_fail(__FILE__, __LINE__, errno, "%s: result %d, not %ld", name,
			   (int)after.general[RAX], result);
}

#define BY(name, result, a0, a1, a2, a3)                                                           \
	by_function(p, #name, (void (*)(void))name, result, (uint64_t)(a0), (uint64_t)(a1),        \
		    (uint64_t)(a2), (uint64_t)(a3))

static void calls_by_functions(struct place *p)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec soon = deadline(CLOCK_REALTIME, 1);
	struct pollfd nothing = {p->pipe[0], POLLIN, 0};
	char n = (char)p->n;

	BY(sched_yield, 0, 0, 0, 0, 0);
	BY(nanosleep, 0, &p->moment, NULL, 0, 0);
	BY(clock_nanosleep, 0, CLOCK_MONOTONIC, 0, &p->moment, NULL);
	BY(usleep, 0, 200, 0, 0, 0);
	BY(read, 1, p->full[0], p->bytes, 1, 0);
	BY(write, 1, p->full[1], p->bytes, 1, 0);
	BY(poll, 0, &nothing, 1, 1, 0);
	BY(epoll_wait, 0, p->epoll, &p->event, 1, 1);
	BY(pthread_mutex_lock, 0, &mutex, 0, 0, 0);
	BY(pthread_cond_timedwait, ETIMEDOUT, &cond, &mutex, &soon, 0);
	BY(pthread_mutex_timedlock, ETIMEDOUT, &mutex, &soon, 0, 0);
	BY(pthread_mutex_unlock, 0, &mutex, 0, 0, 0);
	if (p->n >= 0) {
		CHECK(write(requests[1], &n, 1) == 1);
		BY(read, 1, p->pipe[0], p->bytes, 1, 0);
	}
}

/* fork by a site, with everything in registers: both processes have them. */
static void fork_keeps_registers(struct place *p)
{
	struct registers before, after;

	registers_random(&before, &p->random);
	before.general[RAX] = SYS_fork;
	before.general[RCX] = before.general[R10];
	registers_call(&before, &after, site_vector);
	if (after.general[RAX] == 0) {
		registers_same(&before, &after, sites[4].kept, "fork, in the child");
		_exit(0);
	}
	registers_same(&before, &after, sites[4].kept, "fork, in the parent");
	CHECK_CHILD((pid_t)after.general[RAX]);
}

/* A byte into the pipe of whoever asks, a little later. */
static struct place places[WORKERS];

static void *fill(void *arg)
{
	char n;

	step_add(&arrived, 1);
	while (read(requests[0], &n, 1) == 1 && n >= 0) {
		usleep(100);
		CHECK(write(places[(int)n].pipe[1], "x", 1) == 1);
	}
	return arg;
}

static int finished;

static void *compute(void *arg)
{
	uint64_t random = 4101842887655102017u;
	struct registers before, after;

	step_add(&arrived, 1);
	while (!__atomic_load_n(&finished, __ATOMIC_RELAXED)) {
		registers_random(&before, &random);
		before.general[RCX] = 10000000;
		registers_call(&before, &after, registers_spin);
		registers_same(&before, &after,
			       GENERAL | WITH_RAX | FLAGS | RED_ZONE | CONTROL | VECTOR,
			       "computing");
	}
	return arg;
}

static void *work(void *arg)
{
	struct place *p = &places[(int)(intptr_t)arg];

	step_add(&arrived, 1);
	step_wait(&arrived, WORKERS + 2);
	for (int i = 0; i < ROUNDS; i++) {
		every_call_by_every_site(p);
		calls_with_constant_numbers(p);
		calls_by_syscall(p);
		calls_by_functions(p);
		fork_keeps_registers(p);
	}
	return NULL;
}

static void alone(void)
{
	struct place p;

	place_make(&p, 0);
	p.n = -1;
	every_call_by_every_site(&p);
	calls_with_constant_numbers(&p);
	calls_by_syscall(&p);
	calls_by_functions(&p);
	fork_keeps_registers(&p);
	place_drop(&p);
}

static void one_thread_keeps_its_registers(void)
{
	alone();
}

static void threads_keep_their_registers(void)
{
	pthread_t workers[WORKERS], filler, computing;
	char end = -1;

	CHECK(pipe(requests) == 0);
	for (int i = 0; i < WORKERS; i++)
		place_make(&places[i], i);
	filler = thread_start(fill, NULL);
	computing = thread_start(compute, NULL);
	threads_start(workers, WORKERS, work);
	threads_join(workers, WORKERS);
	__atomic_store_n(&finished, 1, __ATOMIC_RELAXED);
	CHECK(write(requests[1], &end, 1) == 1);
	thread_join(computing);
	thread_join(filler);
	for (int i = 0; i < WORKERS; i++)
		place_drop(&places[i]);
}

static void one_thread_keeps_its_registers_afterwards(void)
{
	alone();
}

/* Signals end waits; their handler leaves other values in what it may change. */
static void handle(int signo)
{
	uint32_t mxcsr = 0x1f80 | 0x6000;

	__asm__ volatile("ldmxcsr %0\n pcmpeqb %%xmm0, %%xmm0\n movaps %%xmm0, %%xmm5\n"
			 "movaps %%xmm0, %%xmm15"
			 :
			 : "m"(mxcsr)
			 : "xmm0", "xmm5", "xmm15");
	(void)signo;
}

enum { INTERRUPTIONS = 50 };

static void *be_interrupted(void *arg)
{
	static const struct site *const by[] = {&sites[0], &sites[4], &sites[5]};
	struct place *p = &places[(int)(intptr_t)arg];
	struct registers before, after;
	uint64_t a[6];
	struct call c = {"interrupted nanosleep", SYS_nanosleep, -EINTR, 0, of_sleep};

	p->moment = (struct timespec){100, 0};
	step_add(&arrived, 1);
	for (int i = 0; i < INTERRUPTIONS; i++)
		call_by_site(p, &c, by[i % 3]);
	/* A read starts again behind the handler, and computing goes on. */
	for (int i = 0; i < 3; i++) {
		char n = (char)p->n;

		memset(a, 0, sizeof(a));
		c = (struct call){"read that is started again", SYS_read, 1, 0, of_read};
		CHECK(write(requests[1], &n, 1) == 1);
		call_by_site(p, &c, by[i]);
		registers_random(&before, &p->random);
		before.general[RCX] = 5000000;
		registers_call(&before, &after, registers_spin);
		registers_same(&before, &after,
			       GENERAL | WITH_RAX | FLAGS | RED_ZONE | CONTROL | VECTOR,
			       "computing");
	}
	__atomic_store_n(&p->quiet, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void interrupted_calls_keep_registers(void)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	pthread_t threads[2], filler;
	char end = -1;
	int running = 2;

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(pipe(requests) == 0);
	place_make(&places[0], 0);
	place_make(&places[1], 1);
	filler = thread_start(fill, NULL);
	threads_start(threads, 2, be_interrupted);
	while (running) {
		running = 0;
		for (int i = 0; i < 2; i++)
			if (!__atomic_load_n(&places[i].quiet, __ATOMIC_ACQUIRE)) {
				CHECK(thread_signal(threads[i], SIGUSR1) || __atomic_load_n(&places[i].quiet, __ATOMIC_ACQUIRE));
				running++;
			}
		usleep(500);
	}
	threads_join(threads, 2);
	CHECK(write(requests[1], &end, 1) == 1);
	thread_join(filler);
	place_drop(&places[0]);
	place_drop(&places[1]);
}

int main(void)
{
	check_begin();
	RUN(one_thread_keeps_its_registers);
	RUN(threads_keep_their_registers);
	RUN(one_thread_keeps_its_registers_afterwards);
	RUN(interrupted_calls_keep_registers);
	return check_done();
}
