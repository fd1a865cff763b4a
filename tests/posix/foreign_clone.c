/* foreign_clone.c -- a thread made by clone(2) itself, without libc's help, meets pthreads on
 * futexes
 *
 * threads: 2
 * kthreads: any
 * blocked: 100
 */
#include "check.h"
#include "foreign.h"

enum { ROUNDS = 200 };

static uint32_t word_a, word_b;
static int alive;
static char *stack;
static struct step arrived = STEP_INIT;

/* As raw_wait_for, with a syscall behind an instruction that names its operand by its distance, so that it can be repeated near to
 * it only, and is no load or address that could be said otherwise. Compilers make such ones by chance. */
static inline void raw_wait_near(uint32_t *word, uint32_t value)
{
	uint32_t now;

	CHECK(word == &word_b);
	while ((now = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != value) {
		long result = SYS_futex;

		__asm__ volatile("xor %%r10d,%%r10d\n\tlea %1,%%rdi\n\ttestb $0,%1\n\tsyscall"
				 : "+a"(result)
				 : "m"(word_b), "S"(FUTEX_WAIT | FUTEX_PRIVATE_FLAG), "d"((long)now)
				 : "rdi", "r10", "rcx", "r11", "memory");
	}
}

/* As raw_set_and_wake, with a syscall behind an address that is named by its distance, as compilers like to do. */
static inline void set_and_wake_near(uint32_t value)
{
	long result = SYS_futex;

	__atomic_store_n(&word_a, value, __ATOMIC_SEQ_CST);
	__asm__ volatile("xor %%r10d,%%r10d\n\tlea %1,%%rdi\n\tsyscall"
			 : "+a"(result)
			 : "m"(word_a), "S"(FUTEX_WAKE | FUTEX_PRIVATE_FLAG), "d"((long)INT_MAX)
			 : "rdi", "r10", "rcx", "r11", "memory");
}

static int unlock_once(void *arg)
{
	(void)arg;
	raw_set_and_wake(&word_a, 1);
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

static int play_ping_pong(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		raw_wait_for(&word_a, i);
		raw_set_and_wake(&word_b, i);
	}
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

static int wait_for_five(void *arg)
{
	(void)arg;
	raw_wait_for(&word_a, 5);
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

static void clone_join(void)
{
	int now;

	while ((now = __atomic_load_n(&alive, __ATOMIC_SEQ_CST)) != 0)
		CHECK(syscall(SYS_futex, &alive, FUTEX_WAIT, now, NULL) == 0 || errno == EAGAIN ||
		      errno == EINTR);
}

static void *wait_for_one(void *arg)
{
	step_add(&arrived, 1);
	raw_wait_for(&word_a, 1);
	(void)arg;
	return NULL;
}

static void it_wakes_a_waiting_pthread(void)
{
	for (int i = 0; i < 10; i++) {
		pthread_t threads[2];

		word_a = 0;
		step_reset(&arrived);
		threads_start(threads, 2, wait_for_one);
		step_wait(&arrived, 2);
		if (i == 0)
			let_block();
		foreign_start(unlock_once, stack, &alive);
		threads_join(threads, 2);
		clone_join();
	}
}

static void *answer(void *arg)
{
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		raw_set_and_wake(&word_a, i);
		raw_wait_for(&word_b, i);
	}
	return arg;
}

static void it_plays_ping_pong_with_a_pthread(void)
{
	word_a = word_b = 0;
	foreign_start(play_ping_pong, stack, &alive);
	thread_join(thread_start(answer, NULL));
	clone_join();
}

static void *answer_from_near(void *arg)
{
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		raw_set_and_wake(&word_a, i);
		raw_wait_near(&word_b, i);
	}
	return arg;
}

static void it_wakes_a_pthread_whose_call_cannot_be_moved(void)
{
	word_a = word_b = 0;
	foreign_start(play_ping_pong, stack, &alive);
	thread_join(thread_start(answer_from_near, NULL));
	clone_join();
}

static void *wait_with_it(void *arg)
{
	step_add(&arrived, 1);
	raw_wait_for(&word_a, 5);
	(void)arg;
	return NULL;
}

static void one_wake_reaches_both_kinds_of_waiters(void)
{
	for (int i = 0; i < 10; i++) {
		pthread_t threads[2];

		word_a = 0;
		step_reset(&arrived);
		foreign_start(wait_for_five, stack, &alive);
		threads_start(threads, 2, wait_with_it);
		step_wait(&arrived, 2);
		if (i == 0)
			let_block();
		set_and_wake_near(5);
		threads_join(threads, 2);
		clone_join();
	}
}

int main(void)
{
	check_begin();
	stack = foreign_stacks(1);
	RUN(it_wakes_a_waiting_pthread);
	RUN(it_plays_ping_pong_with_a_pthread);
	RUN(it_wakes_a_pthread_whose_call_cannot_be_moved);
	RUN(one_wake_reaches_both_kinds_of_waiters);
	return check_done();
}
