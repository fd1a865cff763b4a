#!/usr/bin/python3
"""test_bad_limits -- where Weft gets less than it wants, the program runs all the same

    text that cannot be written     natively; with WEFT_REQUIRE=1 it aborts with one line
    no new executable pages         the program runs, under Weft or natively
    ulimit -v 200 MB                16 threads of 8 MiB stacks, within the limit or natively
    ulimit -Sn, all of it in use    every number below it is the program's, and still under Weft
    ulimit -n, unprivileged         the same numbers; under Weft with fewer hubs, or natively
    threads made by a constructor   the program runs, under Weft or natively
    threads alive at activation     the same; futexes wake threads of both kinds
    a runtime that sets signals     natively, where its calls cannot be redirected (Go's)
"""
from app import *

needs("gcc", "prlimit", "setpriv")
OPEN = {"WEFT_REQUIRE": None}           # natively is an outcome as well

# Threads that lock, allocate, sleep and meet at a barrier; prints one line.
WORKERS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static int total, here, wanted;

static void *work(void *arg)
{
	for (int i = 0; i < 50; i++) {
		char *p = malloc(100 + 64 * i);

		memset(p, i, 100 + 64 * i);
		pthread_mutex_lock(&lock);
		total += p[99] == i;
		pthread_mutex_unlock(&lock);
		if (i % 10 == 0)
			usleep(1000);
		free(p);
	}
	pthread_mutex_lock(&lock);
	if (++here >= wanted)
		pthread_cond_broadcast(&all_here);
	while (here < wanted)
		pthread_cond_wait(&all_here, &lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

static int workers(int count)
{
	pthread_t id[64];

	wanted = count;
	for (int i = 0; i < count; i++) {
		int e = pthread_create(&id[i], NULL, work, NULL);

		if (e) {
			printf("thread %d: %s\n", i, strerror(e));
			return 1;
		}
	}
	for (int i = 0; i < count; i++)
		pthread_join(id[i], NULL);
	printf("threads %d total %d\n", count, total);
	return total != 50 * count;
}
"""

SEALED = WORKERS + r"""
#include <stddef.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define WHEN(nr, skip)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, skip)
#define ABOVE(n, skip)	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, n, 0, skip)
#define HAS(bit, skip)	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bit, 0, skip)
#define REFUSE		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NO_FILES(nr)	WHEN(nr, 4), LOAD(args[0]), ABOVE(2, 1), REFUSE, ALLOW
#define NO_EXEC(nr)	WHEN(nr, 4), LOAD(args[2]), HAS(PROT_EXEC, 1), REFUSE, ALLOW
#define NO_ANON_EXEC(nr) \
	WHEN(nr, 6), LOAD(args[2]), HAS(PROT_EXEC, 3), LOAD(args[3]), HAS(MAP_ANONYMOUS, 1), \
	REFUSE, ALLOW
#define NEVER(nr)	WHEN(nr, 1), REFUSE

/* No file is written, no page is moved: text stays as it is. */
static struct sock_filter no_text[] = {
	LOAD(nr), NO_FILES(SYS_write), NO_FILES(SYS_writev), NO_FILES(SYS_pwrite64),
	NO_FILES(SYS_pwritev), NO_FILES(SYS_pwritev2), NEVER(SYS_mremap),
	NEVER(SYS_process_vm_writev), NEVER(SYS_io_uring_setup), NEVER(SYS_memfd_create), ALLOW,
};

/* Files can be mapped executable (libraries are), other pages not. */
static struct sock_filter no_pages[] = {
	LOAD(nr), NO_ANON_EXEC(SYS_mmap), NO_EXEC(SYS_mprotect), NO_EXEC(SYS_pkey_mprotect),
	NEVER(SYS_memfd_create), ALLOW,
};

#define SEAL(f)	((struct sock_fprog){ sizeof f / sizeof f[0], f })

int main(int argc, char **argv)
{
	struct sock_fprog seal = strcmp(argv[1], "text") ? SEAL(no_pages) : SEAL(no_text);

	/* One that seals itself is never helped; so it is started once more, as others seal a program. */
	if (argc > 2)
		return workers(8);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &seal))
		return 2;
	execl("/proc/self/exe", argv[0], argv[1], "sealed", (char *)NULL);
	return 2;
}
"""

# As many threads as there is room for, at most 64; all end well.
CROWD = WORKERS + r"""
static void *sleeper(void *arg)
{
	pthread_mutex_lock(&lock);
	here++;
	while (!wanted)
		pthread_cond_wait(&all_here, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t id[64];
	int n = 0, e = 0;

	while (n < 64 && !(e = pthread_create(&id[n], NULL, sleeper, NULL)))
		n++;
	pthread_mutex_lock(&lock);
	wanted = 1;
	pthread_cond_broadcast(&all_here);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n; i++)
		pthread_join(id[i], NULL);
	printf("made %d end %s came %d\n", n, e ? strerror(e) : "limit", here);
	here = 0;
	return workers(8);
}
"""

# Opens descriptors to the limit and uses each of them between two tasks; with an argument, before
# there is any task.
DESCRIPTORS = WORKERS + r"""
#include <fcntl.h>
#include <sys/eventfd.h>
#include <stdint.h>

static int first, last;

static void *reader(void *arg)
{
	uint64_t sum = 0, one;

	for (int fd = first; fd <= last; fd++)
		if (read(fd, &one, 8) == 8)
			sum += one;
	return (void *)sum;
}

int main(int argc, char **argv)
{
	pthread_t id;
	void *sum;
	int fd, bad = argc > 1 ? 0 : workers(8);

	first = last = eventfd(0, 0);
	while ((fd = eventfd(0, 0)) >= 0) {
		bad |= fd != last + 1;
		last = fd;
	}
	printf("first %d last %d: %s\n", first, last, strerror(errno));
	if (pthread_create(&id, NULL, reader, NULL))
		return 2;
	for (fd = first; fd <= last; fd++) {
		uint64_t one = 1;

		bad |= write(fd, &one, 8) != 8;
		if (fd % 8 == 0)
			usleep(1000);
	}
	pthread_join(id, &sum);
	total = here = 0;
	printf("read %d\n", (int)(uintptr_t)sum);
	return bad | workers(8);
}
"""

EARLY = r"""
#include <pthread.h>

static pthread_t id;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int wanted, answer;

static void *serve(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!wanted)
		pthread_cond_wait(&changed, &lock);
	answer = 42;
	pthread_mutex_unlock(&lock);
	return NULL;
}

__attribute__((constructor)) static void begin(void)
{
	pthread_create(&id, NULL, serve, NULL);
}

int early_answer(void)
{
	pthread_mutex_lock(&lock);
	wanted = 1;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(id, NULL);
	return answer;
}
"""

LATE = WORKERS + r"""
int early_answer(void);

int main(void)
{
	int bad = workers(8);

	printf("early thread: %d\n", early_answer());
	return bad;
}
"""

# A thread that no libc knows, made before the first pthread; it and main count in turns by futexes.
FOREIGN = WORKERS + r"""
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

#define ROUNDS 1000

static char stack[65536] __attribute__((aligned(16)));
static unsigned long tls[1024] __attribute__((aligned(64)));
static int turn;

static long raw(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* Waits until it is its turn (odd or even), then lets the other go on. */
static void play(int me)
{
	for (int i = 0; i < ROUNDS; i++) {
		int now;

		while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) % 2 != me)
			raw(SYS_futex, (long)&turn, FUTEX_WAIT_PRIVATE, now, 0);
		__atomic_store_n(&turn, now + 1, __ATOMIC_RELEASE);
		raw(SYS_futex, (long)&turn, FUTEX_WAKE_PRIVATE, 1, 0);
	}
}

__attribute__((used)) static void foreign(void)
{
	play(1);
	for (;;)
		raw(SYS_exit, 0, 0, 0, 0);
}

__attribute__((noinline)) static void start_foreign(void)
{
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		     CLONE_SYSVSEM | CLONE_SETTLS;
	register unsigned long *r8 __asm__("r8") = tls;
	register long r10 __asm__("r10") = 0;
	long result;

	tls[0] = tls[2] = (unsigned long)tls;
	__asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\tcall foreign\n1:"
			 : "=a"(result)
			 : "a"(SYS_clone), "D"(flags), "S"(stack + sizeof stack), "d"(0), "r"(r10),
			   "r"(r8)
			 : "rcx", "r11", "memory");
	if (result < 0)
		exit(3);
}

int main(void)
{
	int bad;

	start_foreign();
	bad = workers(8);
	play(0);
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) < 2 * ROUNDS)
		usleep(1000);
	printf("turns %d\n", turn);
	total = here = 0;
	return bad | workers(8);
}
"""

# Each thread sets its alternate stack by an instruction that stands in no function that is described, and takes a fault on it.
RUNTIME = WORKERS + r"""
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

__asm__(".text\n.globl own_sigaltstack\nown_sigaltstack:\n\tmov $131, %eax\n\tsyscall\n\tret\n");
long own_sigaltstack(const stack_t *set, stack_t *old);

static __thread sigjmp_buf back;
static __thread char *stack;
static int on_stack;

static void fault(int sig)
{
	char here;

	if ((unsigned long)(&here - stack) < 65536)
		__atomic_add_fetch(&on_stack, 1, __ATOMIC_RELAXED);
	siglongjmp(back, sig);
}

static void *run(void *arg)
{
	stack_t set = {0};

	stack = malloc(65536);
	set.ss_sp = stack;
	set.ss_size = 65536;
	if (own_sigaltstack(&set, NULL))
		return "failed";
	for (volatile int i = 0; i < 10; i++) {
		usleep(1000);
		if (!sigsetjmp(back, 1))
			*(volatile char *)arg = 1;
	}
	return NULL;
}

int main(void)
{
	struct sigaction action = {.sa_handler = fault, .sa_flags = SA_ONSTACK};
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *bad = NULL;
	pthread_t id[4];

	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&id[i], NULL, run, page);
	for (int i = 0; i < 4 && !bad; i++)
		pthread_join(id[i], &bad);
	printf("%d handlers on their stacks\n", on_stack);
	return bad != NULL;
}
"""


def same_as_natively(argv, hubs, **options):
    """Runs it bare and in this way: status 0 and equal output; returns the Result."""
    native = run(argv, **{k: v for k, v in options.items() if k not in ("env", "threads")})
    result = run(argv, hubs, **options)
    check(result.out == native.out, "printed %r, natively %r" % (result.out, native.out))
    check(result.err == native.err, "complained: %r" % result.err)
    return result


def native_or_active(result):
    """What is not under Weft says why; prints which it was."""
    if result.hubs is not None and result.stats:
        stats = result.stats
        check(stats.active or stats.why, "native, and does not say why")
        state = "active, %d hubs" % stats.hubs if stats.active else "native: " + stats.why
        print("     " + state)


def sealed(hubs, what):
    result = same_as_natively([compile("sealed", SEALED, "-pthread"), what], hubs, env=OPEN)
    check(result.out == b"threads 8 total 400\n", result.out)
    native_or_active(result)
    return result


@each_way
def text_that_cannot_be_written_means_native(hubs):
    result = sealed(hubs, "text")
    check(not (result.stats and result.stats.active), "active, though no text can be written")


@each_way
def pages_that_cannot_be_made_executable_do_no_harm(hubs):
    sealed(hubs, "pages")


@each_hubs
def text_that_cannot_be_written_aborts_when_weft_is_required(hubs):
    program = compile("sealed", SEALED, "-pthread")
    result = run([program, "text"], hubs, rc=-signal.SIGABRT)
    check(result.out == b"" and result.err.count(b"\n") == 1, "not one line:", result.text())


@each_way
def sixteen_threads_go_into_two_hundred_megabytes(hubs):
    """Natively there are 22 or so, each with 8 MiB of addresses for its stack."""
    argv = ["prlimit", "--as=%d" % (200 << 20), "--stack=%d" % (8 << 20),
            compile("crowd", CROWD, "-pthread")]
    result = run(argv, hubs, env=OPEN)
    made = int(result.out.split()[1])
    check(b" came %d\n" % made in result.out and b"threads 8 total 400\n" in result.out, result.out)
    check(made >= 16, "only", made, "threads:", result.out)
    native_or_active(result)


@each_way
def every_descriptor_below_the_soft_limit_is_the_programs(hubs):
    argv = ["prlimit", "--nofile=64:4096", compile("descriptors", DESCRIPTORS, "-pthread")]
    result = same_as_natively(argv, hubs, threads=8)
    check(b"first 3 last 63: Too many open files\nread 61\n" in result.out, result.out)


def below_a_hard_limit(hubs, *args):
    if os.geteuid() != 0:
        return
    library = path("libweft.so")
    if hubs is not None:
        shutil.copy(harness.LIBRARY, library)       # where everybody may read it
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
            "prlimit", "--nofile=64:64", compile("descriptors", DESCRIPTORS, "-pthread"), *args]
    env = dict(OPEN, WEFT_STATS=None, LD_PRELOAD=library) if hubs is not None else None
    result = same_as_natively(argv, hubs, env=env)
    check(b"first 3 last 63: Too many open files\nread 61\n" in result.out, result.out)


@each_way
def every_descriptor_below_a_hard_limit_is_the_programs(hubs):
    below_a_hard_limit(hubs)


@each_way
def the_hard_limit_may_be_reached_before_the_first_thread(hubs):
    below_a_hard_limit(hubs, "first")


@each_way
def a_thread_made_by_a_constructor_does_no_harm(hubs):
    early = compile("libearly.so", EARLY, "-pthread", "-shared", "-fPIC")
    program = compile("late", LATE, "-pthread", early, "-Wl,-rpath," + SCRATCH)
    result = same_as_natively([program], hubs, env=OPEN)
    check(result.out == b"threads 8 total 400\nearly thread: 42\n", result.out)
    native_or_active(result)


@each_way
def a_foreign_thread_alive_at_activation_does_no_harm(hubs):
    result = same_as_natively([compile("foreign", FOREIGN, "-pthread")], hubs, env=OPEN)
    check(b"turns 2000\n" in result.out and result.out.count(b"total 400") == 2, result.out)
    native_or_active(result)


@each_way
def a_runtime_that_sets_signals_past_us_runs_natively(hubs):
    result = same_as_natively([compile("runtime", RUNTIME, "-pthread")], hubs, env=OPEN)
    check(result.out == b"40 handlers on their stacks\n", result.out)
    native_or_active(result)
    check(not (result.stats and result.stats.active), "active, though a call goes past the gate")


main()
