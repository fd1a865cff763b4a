#!/usr/bin/python3
"""test_bad_cases -- programs that go to the edge, each with the outcome that it must have

    close_range(3, ~0)             every number is free, as natively (EBADF); tasks wait and wake
    dup2 over every number         the same
    static and musl children       run as natively, however they are started; nobody complains
    a second preload (jemalloc)    both work, in either order
    a task that never blocks       the others get their turns
    a task that spins by yielding  the same
    stack overflow in a task       SIGSEGV, or the handler on the alternate stack
    fork while others hold locks   the child can allocate and print; latency ≤ native + 20 µs
    SIGKILL at any time            the statistics can be read
"""
import random
import time

from app import *
import stats

needs("gcc", "musl-gcc", "libjemalloc.so.2", PYTHON)
JEMALLOC = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
FORK_SLOWER = 20            # µs more than natively

# Two threads hand a byte to each other through pipes; what close_range and dup2 find is printed.
CLOSING = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HIGHEST 2000

static int there[2], back[2], rounds;

static void *echo(void *arg)
{
	char c;

	while (read(there[0], &c, 1) == 1 && c != '.')
		if (write(back[1], &c, 1) != 1)
			break;
	return NULL;
}

static void exchange(const char *when)
{
	pthread_t id;
	char c;

	rounds = 0;
	if (pipe(there) || pipe(back) || pthread_create(&id, NULL, echo, NULL))
		exit(2);
	for (int i = 0; i < 200; i++) {
		if (i % 20 == 0)
			usleep(1000);
		if (write(there[1], "x", 1) == 1 && read(back[0], &c, 1) == 1 && c == 'x')
			rounds++;
	}
	if (write(there[1], ".", 1) != 1)
		exit(2);
	pthread_join(id, NULL);
	printf("%s: pipes at %d %d %d %d, %d rounds\n", when, there[0], there[1], back[0], back[1],
	       rounds);
}

static int number_open(int from)
{
	int n = 0;

	for (int fd = from; fd < HIGHEST; fd++)
		n += fcntl(fd, F_GETFD) != -1 || errno != EBADF;
	return n;
}

static int number_closable(int from)
{
	int n = 0;

	for (int fd = from; fd < HIGHEST; fd++)
		n += !close(fd) || errno != EBADF;
	return n;
}

int main(void)
{
	int n, fd;
	char c;

	exchange("begin");
	n = close_range(3, ~0u, 0);
	printf("close_range %d, then open %d\n", n, number_open(3));
	exchange("after close_range");
	printf("open above the pipes %d\n", number_open(back[1] + 1));
	for (fd = back[1] + 1, n = 0; fd < HIGHEST; fd++)
		n += dup2(there[1], fd) == fd;
	printf("dup2 took %d\n", n);
	for (fd = back[1] + 1, n = 0; fd < HIGHEST; fd++)
		n += write(fd, "y", 1) == 1 && read(there[0], &c, 1) == 1 && c == 'y';
	printf("written through %d\n", n);
	n = number_closable(back[1] + 1);
	printf("closed %d, then %d\n", n, number_closable(back[1] + 1));
	exchange("at the end");
	return 0;
}
"""

HELLO = r"""
#include <stdio.h>
int main(int argc, char **argv)
{
	printf("hello from %s\n", argv[1]);
	return 7;
}
"""

# Starts each program in every way that Python has, from a thread.
CHILDREN = r"""
import os, subprocess, sys, threading

def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def run(program):
    name = os.path.basename(program)
    done = subprocess.run([program, name + " by vfork"])
    print(done.returncode, flush=True)
    done = subprocess.run([program, name + " by fork"], preexec_fn=lambda: None)
    print(done.returncode, flush=True)
    print(wait(os.posix_spawn(program, [name, name + " by posix_spawn"], os.environ)), flush=True)
    pid = os.fork()
    if pid == 0:
        os.execv(program, [name, name + " by fork and execv"])
    print(wait(pid), flush=True)
    status = os.system("exec %s '%s by system'" % (program, name))
    print(os.waitstatus_to_exitcode(status), flush=True)
    with os.popen("%s '%s by popen'" % (program, name)) as pipe:
        print(pipe.read(), end="", flush=True)
    shells = "sh -c \"%s '%s by two shells'\"; exit $?" % (program, name)
    print(subprocess.run(["sh", "-c", shells]).returncode, flush=True)

for program in sys.argv[1:]:
    t = threading.Thread(target=run, args=(program,))
    t.start()
    t.join()
"""

MALLOC = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *work(void *arg)
{
	long wrong = 0;

	for (int i = 1; i < 2000; i++) {
		size_t size = 16 + 37 * i % 5000;
		char *p = malloc(size);

		memset(p, i, size);
		if (i % 500 == 0)
			usleep(1000);
		p = realloc(p, 2 * size);
		wrong += p[size - 1] != (char)i;
		free(p);
	}
	return (void *)wrong;
}

int main(void)
{
	pthread_t id[50];
	long wrong = 0;
	void *w;

	for (int i = 0; i < 50; i++)
		pthread_create(&id[i], NULL, work, NULL);
	for (int i = 0; i < 50; i++) {
		pthread_join(id[i], &w);
		wrong += (long)w;
	}
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int seen = 0;

	while (fgets(line, sizeof line, maps))
		seen |= strstr(line, "libjemalloc") != NULL;
	printf("wrong %ld jemalloc %d\n", wrong, seen);
	return 0;
}
"""

# One thread never blocks, or only yields; five sleep and two exchange bytes for a second beside it.
SPIN = r"""
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int stop, yields, sleeps[5], answers, pair[2];
static volatile unsigned long turns;

static void *spin(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		turns++;
		if (yields)
			sched_yield();
	}
	return NULL;
}

static void *sleeper(void *arg)
{
	struct timespec t = { 0, 20 * 1000000 };

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		nanosleep(&t, NULL);
		++*(int *)arg;
	}
	return NULL;
}

static void *echo(void *arg)
{
	char c;

	while (read(pair[1], &c, 1) == 1)
		if (write(pair[1], &c, 1) != 1)
			break;
	return NULL;
}

static void *ask(void *arg)
{
	char c = 'x';

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (write(pair[0], &c, 1) != 1 || read(pair[0], &c, 1) != 1)
			break;
		answers++;
	}
	close(pair[0]);
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec second = { 1, 0 };
	pthread_t id[8];
	int n = 0;

	yields = !strcmp(argv[1], "yield");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 2;
	pthread_create(&id[n++], NULL, spin, NULL);
	for (int i = 0; i < 5; i++)
		pthread_create(&id[n++], NULL, sleeper, &sleeps[i]);
	pthread_create(&id[n++], NULL, echo, NULL);
	pthread_create(&id[n++], NULL, ask, NULL);
	nanosleep(&second, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < n; i++)
		pthread_join(id[i], NULL);
	for (int i = 0; i < 5; i++)
		printf("%d ", sleeps[i]);
	printf("%d %d\n", answers, turns > 0);
	return 0;
}
"""

OVERFLOW = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int depth;

static int deeper(int n)
{
	volatile char frame[512];

	frame[n % 512] = n;
	depth = n;
	return deeper(n + 1) + frame[n % 512];
}

static void handler(int signo, siginfo_t *info, void *context)
{
	char text[] = "caught SIGSEGV\n";

	if (info->si_addr)
		(void)!write(1, text, sizeof text - 1);
	_exit(depth > 50 ? 3 : 4);
}

static void *work(void *arg)
{
	stack_t alternate = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	usleep(1000);
	if (arg) {
		sigaltstack(&alternate, NULL);
		sigaction(SIGSEGV, &action, NULL);
	}
	return (void *)(long)deeper(0);
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_create(&id, &attr, work, argc > 1 ? argv[1] : NULL);
	pthread_join(id, NULL);
	return 0;
}
"""

# Two threads hold the locks of malloc, of stdout and one of the program while a third one forks.
FORKS = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FORKS 200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stop;

static void *hold(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_mutex_lock(&lock);
		for (int i = 0; i < 20; i++)
			free(malloc(100 + i));
		usleep(200);
		pthread_mutex_unlock(&lock);
		usleep(100);
	}
	return NULL;
}

static void *print(void *arg)
{
	FILE *f = fopen("/dev/null", "w");

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		flockfile(f);
		fprintf(f, "%s\n", "held while another thread forks");
		usleep(200);
		funlockfile(f);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return *(long *)a < *(long *)b ? -1 : *(long *)a > *(long *)b;
}

static void *fork_often(void *arg)
{
	static long spent[FORKS];
	struct timespec a, b;
	int bad = 0, status;

	for (int i = 0; i < FORKS; i++) {
		usleep(300);
		clock_gettime(CLOCK_MONOTONIC, &a);
		pid_t pid = fork();

		if (pid == 0) {
			char *p = malloc(10000);
			FILE *f = fopen("/dev/null", "w");

			_exit(!p || !f || fprintf(f, "%p", p) < 0 || fclose(f));
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
		spent[i] = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
		bad += pid < 0 || waitpid(pid, &status, 0) != pid || status;
	}
	qsort(spent, FORKS, sizeof *spent, compare);
	printf("bad %d median %ld\n", bad, spent[FORKS / 2]);
	return NULL;
}

int main(void)
{
	pthread_t a, b, c;

	pthread_create(&a, NULL, hold, NULL);
	pthread_create(&b, NULL, print, NULL);
	pthread_create(&c, NULL, fork_often, NULL);
	pthread_join(c, NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return 0;
}
"""

# Creates, joins, locks, sleeps and writes without end.
CHURN = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *child(void *arg)
{
	pthread_mutex_lock(&lock);
	++*(int *)arg;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *churn(void *arg)
{
	for (int n = 0;; n++) {
		pthread_t id;

		if (!pthread_create(&id, NULL, child, &n))
			pthread_join(id, NULL);
		if (n % 50 == 0)
			usleep(100);
	}
	return arg;
}

int main(void)
{
	pthread_t id[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&id[i], NULL, churn, NULL);
	puts("going");
	fflush(stdout);
	pthread_join(id[0], NULL);
	return 0;
}
"""


@each_way
def tasks_survive_close_range_and_dup2(hubs):
    program = compile("closing", CLOSING, "-pthread")
    native, result = run([program]), run([program], hubs, threads=1, timeout=20)
    check(result.out == native.out, "printed\n%s\nnatively\n%s" % (
        result.out.decode(), native.out.decode()))
    for line in (b"begin: pipes at 3 4 5 6, 200 rounds", b"close_range 0, then open 0",
                 b"after close_range: pipes at 3 4 5 6, 200 rounds", b"dup2 took 1993",
                 b"written through 1993", b"closed 1993, then 0"):
        check(line in result.out, "no line", line, "in", result.out)


@each_way
def static_and_musl_children_run_as_natively(hubs):
    programs = [compile("static", HELLO, "-static"), compile("musl", HELLO, cc="musl-gcc"),
                compile("musl-static", HELLO, "-static", cc="musl-gcc"), compile("plain", HELLO)]
    argv = [PYTHON, write("children.py", CHILDREN), *programs]
    native, result = run(argv), run(argv, hubs, threads=1)
    check(native.out.count(b"hello") == 28, native.out)
    check(result.out == native.out, "printed\n%s\nnatively\n%s" % (
        result.out.decode(), native.out.decode()))
    check(result.err == native.err, "complained:", result.err.decode())


@each_way
def jemalloc_works_beside(hubs):
    program = compile("malloc", MALLOC, "-pthread")
    result = run([program], hubs, threads=1, preload=JEMALLOC)
    check(result.out == b"wrong 0 jemalloc 1\n", result.out)


@each_hubs
def jemalloc_works_before(hubs):
    program = compile("malloc", MALLOC, "-pthread")
    both = "%s:%s" % (JEMALLOC, harness.LIBRARY)
    result = run([program], hubs, threads=1, env={"LD_PRELOAD": both})
    check(result.out == b"wrong 0 jemalloc 1\n", result.out)


def spin(hubs, how):
    """The spinner and the others share as many CPUs as hubs; 50 rounds of 20 ms make a second."""
    program = compile("spin", SPIN, "-pthread")
    result = run([program, how], hubs, threads=8, cpus=server_cpus(hubs), timeout=20)
    *sleeps, answers, turned = map(int, result.out.split())
    print("     rounds %s, %d answers" % (sleeps, answers))
    check(min(sleeps) >= 25, "a sleeper made only", min(sleeps), "of 50 rounds")
    check(answers >= 30 and turned, "answers:", answers, "spinner ran:", turned)
    return result


@each_way
def a_task_that_never_blocks_leaves_the_others_their_turns(hubs):
    result = spin(hubs, "spin")
    if hubs == 1:
        check(result.stats["preemptions"] > 0, "it was never preempted:", result.stats.text())


@each_way
def a_task_that_spins_with_sched_yield_leaves_the_others_their_turns(hubs):
    spin(hubs, "yield")


@each_way
def a_stack_overflow_is_a_segmentation_fault(hubs):
    program = compile("overflow", OVERFLOW, "-pthread")
    run([program], hubs, rc=-signal.SIGSEGV, threads=1)


@each_way
def a_stack_overflow_reaches_its_handler_on_the_alternate_stack(hubs):
    program = compile("overflow", OVERFLOW, "-pthread")
    result = run([program, "handler"], hubs, rc=3, threads=1)
    check(result.out == b"caught SIGSEGV\n", result.out)


def fork_median(hubs, cpus):
    result = run([compile("forks", FORKS, "-pthread")], hubs, threads=3, cpus=cpus, timeout=20)
    word = result.out.split()
    check(word[:2] == [b"bad", b"0"], "a child failed:", result.out)
    return int(word[3]) / 1e3


@each_hubs
def forking_while_others_hold_locks_takes_at_most_20_us_more(hubs):
    cpus = server_cpus(hubs)
    native, weft, _ = harness.pairs(PAIRS, lambda: fork_median(None, cpus),
                                    lambda: fork_median(hubs, cpus))
    more = harness.median([b - a for a, b in zip(native, weft)])
    print("     fork: native %.0f µs, %s %.0f µs, %+.0f µs" % (
        harness.median(native), harness.way_name(hubs), harness.median(weft), more))
    check(more <= FORK_SLOWER, "%.0f µs more: native %s, Weft %s" % (
        more, ["%.0f" % v for v in native], ["%.0f" % v for v in weft]))


@each_hubs
def statistics_can_be_read_after_sigkill_at_any_time(hubs):
    program, choice = compile("churn", CHURN, "-pthread"), random.Random(harness.SEED)
    weft = os.path.join(harness.BUILD, "weft")
    for number in range(20):
        file = path("killed.%d.%d" % (hubs, number))
        with start([program], hubs, env={"WEFT_STATS": file}) as process:
            process.wait_output("going")
            time.sleep(choice.random() * 0.05)      # the time is the subject
            process.stop(signal.SIGKILL, rc=-signal.SIGKILL)
        left = stats.read(file)
        check(left and left.active and left.hubs == hubs, "statistics:", left and left.text())
        check(left["tasks_created"] + 4 >= left["tasks_ended"] > 0, "counters:", left.text())
        check(1 <= left.alive <= left.alive_max, "alive:", left.text())
        shown = run([weft, "stats", file])
        check(b"tasks_created" in shown.out, "weft stats prints", shown.out)


main()
