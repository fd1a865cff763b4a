/* call_vectors.c -- vector registers that code in sight of a system call keeps values in are kept:
 * by a caller of a local function, and when the call follows a wait that only the kernel sees
 *
 * threads: 4
 */
#include "check.h"
#include "registers.h"
#include <sys/ipc.h>
#include <sys/sem.h>

enum { THREADS = 4, ROUNDS = 20 };

__asm__(SITE("site_vector", "movaps %xmm0, %xmm0\n mov $24, %eax\n syscall\n ret"));
void site_vector(void);

/* A function that is seen to leave vector registers alone: its caller may keep values there. */
static __attribute__((noinline)) long sleep_leaving_vectors(const struct timespec *t)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(SYS_nanosleep), "D"(t), "S"(0)
			 : "rcx", "r11", "memory");
	return r;
}

static void *keep_value(void *arg)
{
	struct timespec t = {0, 500000};
	intptr_t n = (intptr_t)arg;

	for (int i = 0; i < 100; i++) {
		double value = (double)n * 1.5 + i;

		__asm__ volatile("" : "+x"(value));
		CHECK_EQ(sleep_leaving_vectors(&t), 0);
		__asm__ volatile("" : "+x"(value), "+r"(n));
		CHECK(value == (double)n * 1.5 + i);
	}
	return NULL;
}

static void callers_keep_vector_registers_over_a_local_function(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, keep_value);
	threads_join(threads, THREADS);
}

/* Waits in the kernel for 8 ms by way of System V, then yields by a site with all registers set. */
static void *wait_then_yield(void *arg)
{
	int semaphore = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf take = {0, -1, 0};
	struct timespec t = timespec_ms(8);
	uint64_t random = 77 + (uint64_t)(intptr_t)arg;
	struct registers before, after;

	CHECK(semaphore >= 0);
	for (int i = 0; i < ROUNDS; i++) {
		registers_random(&before, &random);
		CHECK_ERR(semtimedop(semaphore, &take, 1, &t), EAGAIN);
		registers_call(&before, &after, site_vector);
		CHECK_EQ(after.general[RAX], 0);
		registers_same(&before, &after, GENERAL | FLAGS | RED_ZONE | CONTROL | VECTOR,
			       "sched_yield after a wait in the kernel");
	}
	CHECK(semctl(semaphore, 0, IPC_RMID) == 0);
	return NULL;
}

static int finished;

static void *compute(void *arg)
{
	uint64_t random = 4101842887655102017u;
	struct registers before, after;

	while (!__atomic_load_n(&finished, __ATOMIC_RELAXED)) {
		registers_random(&before, &random);
		before.general[RCX] = 1000000;
		registers_call(&before, &after, registers_spin);
		registers_same(&before, &after,
			       GENERAL | WITH_RAX | FLAGS | RED_ZONE | CONTROL | VECTOR,
			       "computing");
	}
	return arg;
}

static void calls_after_a_wait_in_the_kernel_keep_registers(void)
{
	pthread_t threads[THREADS], computing = thread_start(compute, NULL);

	threads_start(threads, THREADS, wait_then_yield);
	threads_join(threads, THREADS);
	__atomic_store_n(&finished, 1, __ATOMIC_RELAXED);
	thread_join(computing);
}

int main(void)
{
	check_begin();
	RUN(calls_after_a_wait_in_the_kernel_keep_registers);
	RUN(callers_keep_vector_registers_over_a_local_function);
	return check_done();
}
