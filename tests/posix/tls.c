/* tls.c -- __thread variables and errno belong to one thread, before and after it blocked
 *
 * threads: 50
 */
#include "check.h"

enum { THREADS = 50 };

struct big {
	char bytes[3000];
} __attribute__((aligned(64)));

static __thread int zeroed;
static __thread int started_at = 42;
static __thread struct big aligned_block;
static __thread int initial __attribute__((tls_model("initial-exec"))) = 1;
static __thread int local __attribute__((tls_model("local-exec"))) = 2;
static __thread int dynamic __attribute__((tls_model("global-dynamic"))) = 3;
static __thread int local_dynamic __attribute__((tls_model("local-dynamic"))) = 4;

static struct step arrived = STEP_INIT;
static void *addresses[THREADS];

/* Not inlined: an address of a thread's variable may be kept by the compiler across a call. */
__attribute__((noinline)) static void set_all(int n)
{
	zeroed = n;
	started_at = n + 1;
	initial = n + 2;
	local = n + 3;
	dynamic = n + 4;
	local_dynamic = n + 5;
	memset(&aligned_block, n, sizeof(aligned_block));
	errno = n;
}

__attribute__((noinline)) static void hold_all(int n)
{
	CHECK_EQ(errno, n);
	CHECK_EQ(zeroed, n);
	CHECK_EQ(started_at, n + 1);
	CHECK_EQ(initial, n + 2);
	CHECK_EQ(local, n + 3);
	CHECK_EQ(dynamic, n + 4);
	CHECK_EQ(local_dynamic, n + 5);
	for (size_t i = 0; i < sizeof(aligned_block.bytes); i++)
		CHECK_EQ((unsigned char)aligned_block.bytes[i], n);
}

static void check_fresh(void)
{
	CHECK_EQ(zeroed, 0);
	CHECK_EQ(started_at, 42);
	CHECK_EQ(initial, 1);
	CHECK_EQ(local, 2);
	CHECK_EQ(dynamic, 3);
	CHECK_EQ(local_dynamic, 4);
	CHECK_EQ((uintptr_t)&aligned_block % 64, 0);
	for (size_t i = 0; i < sizeof(aligned_block.bytes); i++)
		CHECK_EQ(aligned_block.bytes[i], 0);
}

static void *own_values(void *arg)
{
	int n = (int)(intptr_t)arg + 1;
	struct timespec t = timespec_ms(1);

	check_fresh();
	set_all(n);
	hold_all(n);
	addresses[n - 1] = &zeroed;
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	errno = n;
	hold_all(n);
	for (int i = 0; i < 5; i++) {
		sched_yield();
		hold_all(n);
		nanosleep(&t, NULL);
		hold_all(n);
	}
	return NULL;
}

static void every_thread_has_its_own_values(void)
{
	pthread_t threads[THREADS];

	set_all(99);
	threads_start(threads, THREADS, own_values);
	threads_join(threads, THREADS);
	errno = 99;
	hold_all(99);
	for (int i = 0; i < THREADS; i++)
		for (int k = 0; k < i; k++)
			CHECK(addresses[i] != addresses[k]);
}

/* Stacks are used again: the next thread's variables must start anew. */
static void a_later_thread_starts_with_the_initial_values(void)
{
	for (int i = 0; i < 30; i++) {
		pthread_t thread;

		step_reset(&arrived);
		step_add(&arrived, THREADS - 1);
		thread = thread_start(own_values, (void *)(intptr_t)(i % THREADS));
		CHECK(thread_join(thread) == NULL);
	}
}

static void *fail_in_many_ways(void *arg)
{
	for (int i = 0; i < 200; i++) {
		if ((intptr_t)arg % 2) {
			CHECK(close(-1) == -1);
			sched_yield();
			CHECK_EQ(errno, EBADF);
		} else {
			CHECK(open("/nonexistent/file", O_RDONLY) == -1);
			sched_yield();
			CHECK_EQ(errno, ENOENT);
		}
	}
	return NULL;
}

static void errno_is_not_mixed_up_between_threads(void)
{
	pthread_t threads[8];

	threads_start(threads, 8, fail_in_many_ways);
	threads_join(threads, 8);
}

int main(void)
{
	check_begin();
	RUN(every_thread_has_its_own_values);
	RUN(a_later_thread_starts_with_the_initial_values);
	RUN(errno_is_not_mixed_up_between_threads);
	return check_done();
}
