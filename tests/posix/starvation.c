/* starvation.c -- threads that never wait do not hold up one that sleeps, whatever calls they make
 *
 * A sleeper of a millisecond measures by how much it comes late beside two threads that make one
 * kind of call for ever. On a busy machine other processes hold it up as well: for how long each of
 * our kernel threads has waited for a CPU, the kernel tells, and the longest such time does not
 * count.
 *
 * Some of the calls, even with bad arguments, are for one kernel thread alone (setfsuid): each of the
 * two threads that make them may own one from then on.
 *
 * threads: 2
 * timeout: 120
 * kthreads: 8
 */
#define CHECK_LIMIT_S 120
#include "check.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { HOGS = 2, ROUNDS = 3, LATE_MS = 20, KERNEL_THREADS = 64 };

static int stop;
static void (*kind)(int hog);
static int pair[HOGS][2], fifo[HOGS][2], set, event;
static long number;

static void compute(int hog)
{
	for (volatile int i = 0; i < 10000; i++)
		continue;
	(void)hog;
}

static void read_the_clock(int hog)
{
	clock_ns(CLOCK_MONOTONIC);
	(void)hog;
}

static void read_its_cpu_clock(int hog)
{
	clock_ns(CLOCK_THREAD_CPUTIME_ID);
	(void)hog;
}

static void ask_epoll(int hog)
{
	struct epoll_event e;

	CHECK_EQ(epoll_wait(set, &e, 1, 0), 0);
	(void)hog;
}

static void ask_for_its_id(int hog)
{
	syscall(SYS_gettid);
	(void)hog;
}

static void write_and_read_a_socket(int hog)
{
	char bytes[64] = {0};

	CHECK_EQ(write(pair[hog][1], bytes, sizeof(bytes)), sizeof(bytes));
	CHECK_EQ(read(pair[hog][0], bytes, sizeof(bytes)), sizeof(bytes));
}

static void write_and_read_a_pipe(int hog)
{
	char bytes[4096] = {0};

	CHECK_EQ(write(fifo[hog][1], bytes, sizeof(bytes)), sizeof(bytes));
	CHECK_EQ(read(fifo[hog][0], bytes, sizeof(bytes)), sizeof(bytes));
}

static void open_and_close(int hog)
{
	CHECK_OK(close(open("/dev/null", O_RDONLY)));
	(void)hog;
}

static void poll_for_nothing(int hog)
{
	struct pollfd p = {pair[hog][0], POLLIN, 0};

	CHECK_EQ(poll(&p, 1, 0), 0);
}

static void poll_what_is_ready(int hog)
{
	struct pollfd p = {pair[hog][1], POLLOUT, 0};

	CHECK_EQ(poll(&p, 1, 1000), 1);
}

static void receive_nothing(int hog)
{
	char bytes[64];

	CHECK_ERR(recv(pair[hog][0], bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
}

static void ask_for_its_mask(int hog)
{
	sigset_t old;

	CHECK_OK(pthread_sigmask(SIG_BLOCK, NULL, &old));
	(void)hog;
}

static void map_and_unmap(int hog)
{
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK_OK(munmap(p, 65536));
	(void)hog;
}

static void wake_nobody(int hog)
{
	static int word;

	CHECK_EQ(syscall(SYS_futex, &word, 129 /* WAKE, PRIVATE */, 1, NULL, NULL, 0), 0);
	(void)hog;
}

static void *nothing(void *arg)
{
	return arg;
}

static void create_and_join(int hog)
{
	thread_join(thread_start(nothing, NULL));
	(void)hog;
}

static void ask_for_its_parent(int hog)
{
	getppid();
	(void)hog;
}

static void ask_for_a_file(int hog)
{
	struct stat st;

	CHECK_OK(stat("/dev/null", &st));
	(void)hog;
}

static void count_an_event(int hog)
{
	CHECK_OK(eventfd_write(event, 1));
	if (hog == 0)
		CHECK(read(event, &(uint64_t){0}, 8) == 8 || errno == EAGAIN);
}

static void read_zeroes(int hog)
{
	static char bytes[HOGS][1 << 20];
	static int zero = -1;

	if (zero < 0)
		zero = open("/dev/zero", O_RDONLY);
	CHECK_EQ(read(zero, bytes[hog], sizeof(bytes[hog])), sizeof(bytes[hog]));
}

/* Computes for most of a time slice and then waits for a moment: whoever follows must not have to
 * wait for many of these. */
static void compute_and_wait(int hog)
{
	int64_t end = clock_ns(CLOCK_MONOTONIC) + 2500000;

	while (clock_ns(CLOCK_MONOTONIC) < end)
		continue;
	sched_yield();
	(void)hog;
}

static void call_with_bad_arguments(int hog)
{
	syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
	(void)hog;
}

static void *hog_main(void *arg)
{
	int64_t end = now_ms() + 3000; /* starved of its stop as well, it ends by itself */

	for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		kind((int)(intptr_t)arg);
		if (i % 64 == 0 && now_ms() > end)
			break;
	}
	return NULL;
}

/* Sleeps a millisecond at a time for this long. Returns by how much it was late at most. */
static int64_t sleep_for(int ms)
{
	int64_t worst = 0, end = clock_ns(CLOCK_MONOTONIC) + ms * 1000000LL, from, late;

	while ((from = clock_ns(CLOCK_MONOTONIC)) < end) {
		struct timespec t = timespec_ms(1);

		CHECK(nanosleep(&t, NULL) == 0);
		late = clock_ns(CLOCK_MONOTONIC) - from - 1000000;
		if (late > worst)
			worst = late;
	}
	return worst;
}

/* How long each kernel thread of the process has waited for a CPU so far: the second figure of its
 * schedstat. */
struct waited {
	int count;
	long tid[KERNEL_THREADS];
	long long ns[KERNEL_THREADS];
};

static void waited_read(struct waited *w)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;

	CHECK(tasks != NULL);
	w->count = 0;
	while ((entry = readdir(tasks)) && w->count < KERNEL_THREADS) {
		char path[64], text[64] = "";
		long tid = atol(entry->d_name);
		long long ran, waited;
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", tid);
		fd = tid ? open(path, O_RDONLY) : -1;
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text) - 1) > 0 &&
		    sscanf(text, "%lld %lld", &ran, &waited) == 2) {
			w->tid[w->count] = tid;
			w->ns[w->count++] = waited;
		}
		close(fd);
	}
	CHECK_OK(closedir(tasks));
}

/* The longest that one of them has waited in between. */
static int64_t waited_since(const struct waited *before)
{
	struct waited now;
	int64_t most = 0;

	waited_read(&now);
	for (int i = 0; i < now.count; i++) {
		int64_t ns = now.ns[i];

		for (int k = 0; k < before->count; k++)
			if (before->tid[k] == now.tid[i])
				ns -= before->ns[k];
		most = ns > most ? ns : most;
	}
	return most;
}

static int64_t lateness(int ms)
{
	pthread_t hogs[HOGS];
	struct waited before;
	int64_t worst, machine;

	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	threads_start(hogs, HOGS, hog_main);
	waited_read(&before);
	worst = sleep_for(ms);
	machine = waited_since(&before);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	threads_join(hogs, HOGS);
	return worst > machine ? worst - machine : 0;
}

/* The middle one of three. */
static int64_t usual_lateness(int ms)
{
	int64_t late[ROUNDS], swap;

	for (int i = 0; i < ROUNDS; i++) {
		late[i] = lateness(ms);
		for (int k = i; k > 0 && late[k] < late[k - 1]; k--) {
			swap = late[k];
			late[k] = late[k - 1];
			late[k - 1] = swap;
		}
	}
	return late[ROUNDS / 2];
}

static void check_kind(void (*what)(int), const char *name)
{
	int64_t late;

	kind = what;
	late = usual_lateness(100);
	if (getenv("CHECK_PRINT"))
		printf("%-26s %6.1f ms\n", name, (double)late / 1e6);
	if (late > LATE_MS * 1000000LL)
		check_fail(__FILE__, __LINE__, 0, "%s holds up a sleeper for %lld us", name,
			   (long long)(late / 1000));
}

static void no_kind_of_loop_holds_up_a_sleeper(void)
{
#define KIND(what) check_kind(what, #what)
	KIND(compute);
	KIND(read_the_clock);
	KIND(read_its_cpu_clock);
	KIND(ask_epoll);
	KIND(ask_for_its_id);
	KIND(write_and_read_a_socket);
	KIND(write_and_read_a_pipe);
	KIND(open_and_close);
	KIND(poll_for_nothing);
	KIND(poll_what_is_ready);
	KIND(receive_nothing);
	KIND(ask_for_its_mask);
	KIND(map_and_unmap);
	KIND(wake_nobody);
	KIND(create_and_join);
	KIND(ask_for_its_parent);
	KIND(ask_for_a_file);
	KIND(count_an_event);
	KIND(read_zeroes);
	KIND(compute_and_wait);
}

/* With all arguments -1 most calls fail at once. These end the thread or the process, wait, or
 * change it for good. */
static int left_out(long n)
{
	static const long calls[] = {
		SYS_rt_sigreturn, SYS_pause,	       SYS_fork,	    SYS_vfork,
		SYS_clone,	  SYS_exit,	       SYS_exit_group,	    SYS_kill,
		SYS_vhangup,	  SYS_sync,	       SYS_set_tid_address, SYS_restart_syscall,
		SYS_close_range,  SYS_rt_sigsuspend,   SYS_alarm,	    SYS_umask,
		SYS_setsid,	  SYS_rt_sigtimedwait, SYS_munlockall,	    SYS_personality,
		SYS_unshare,	  SYS_dup,
	};

	if (n > SYS_statx && n < SYS_pidfd_send_signal) /* no calls but uretprobe, which raises SIGILL */
		return 1;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i] == n)
			return 1;
	return 0;
}

static void no_call_holds_up_a_sleeper(void)
{
	for (number = 0; number < 470; number++) {
		int64_t late = 0;

		kind = call_with_bad_arguments;
		if (left_out(number))
			continue;
		/* One bad round may be anybody's doing. */
		for (int i = 0; i < ROUNDS && (i == 0 || late > LATE_MS * 1000000LL); i++)
			late = lateness(15);
		if (late > LATE_MS * 1000000LL)
			check_fail(__FILE__, __LINE__, 0, "call %ld holds up a sleeper for %lld us",
				   number, (long long)(late / 1000));
	}
}

int main(void)
{
	check_begin();
	for (int i = 0; i < HOGS; i++) {
		CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]));
		CHECK_OK(pipe(fifo[i]));
	}
	CHECK((set = epoll_create1(0)) >= 0);
	CHECK((event = eventfd(0, EFD_NONBLOCK)) >= 0);
	RUN(no_kind_of_loop_holds_up_a_sleeper);
	RUN(no_call_holds_up_a_sleeper);
	return check_done();
}
