/* raw_futex.c -- the futex system call itself: wait, wake, bitset, requeue, wake_op, both clocks
 * and its errors
 *
 * A wake that returns 1, or a requeue that moves one, proves that somebody waited: so nothing here
 * needs to sleep first. raw_futex_shared.c is the same without FUTEX_PRIVATE_FLAG.
 *
 * threads: 8
 */
#include "check.h"
#include <limits.h>
#include <linux/futex.h>

#ifndef FLAG
#define FLAG FUTEX_PRIVATE_FLAG
#endif

enum { WAITERS = 8, ROUNDS = 2000 };

static uint32_t word_a, word_b;
static int woken, timed_out;
static struct step arrived = STEP_INIT;

static long futex(uint32_t *word, int op, uint32_t value, const void *time, uint32_t *word2,
		  uint32_t value3)
{
	return syscall(SYS_futex, word, op | FLAG, value, time, word2, value3);
}

static uint32_t get(uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void *pong(void *arg)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		while (get(&word_a) != i + 1)
			CHECK(futex(&word_a, FUTEX_WAIT, i, NULL, NULL, 0) == 0 || errno == EAGAIN);
		set(&word_b, i + 1);
		CHECK(futex(&word_b, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
	}
	return arg;
}

static void two_threads_play_ping_pong(void)
{
	pthread_t thread;

	set(&word_a, 0);
	set(&word_b, 0);
	thread = thread_start(pong, NULL);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		set(&word_a, i + 1);
		CHECK(futex(&word_a, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
		while (get(&word_b) != i + 1)
			CHECK(futex(&word_b, FUTEX_WAIT, i, NULL, NULL, 0) == 0 || errno == EAGAIN);
	}
	thread_join(thread);
}

static void *wait_a(void *arg)
{
	step_add(&arrived, 1);
	CHECK(futex(&word_a, FUTEX_WAIT, 7, NULL, NULL, 0) == 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	step_add(&arrived, 1);
	(void)arg;
	return NULL;
}

static void waiters_start(pthread_t *threads, void *(*main)(void *))
{
	set(&word_a, 7);
	set(&word_b, 8);
	woken = 0;
	step_reset(&arrived);
	threads_start(threads, WAITERS, main);
	step_wait(&arrived, WAITERS);
}

/* Wakes n, one call after the other until the calls have reported n. */
static void wake(uint32_t *word, int n)
{
	for (long sum = 0; sum < n; sched_yield()) {
		long one = futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);

		CHECK(one == 0 || one == 1);
		sum += one;
	}
}

static void a_wake_lets_as_many_go_as_it_says(void)
{
	pthread_t threads[WAITERS];
	long left;

	waiters_start(threads, wait_a);
	wake(&word_a, 3);
	step_wait(&arrived, WAITERS + 3);
	CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 3);
	for (left = WAITERS - 3; left > 0; sched_yield())
		left -= futex(&word_a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	CHECK_EQ(left, 0);
	threads_join(threads, WAITERS);
	CHECK_EQ(woken, WAITERS);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
}

/* Moves waiters from a to b until the calls have reported n. */
static void requeue(int n)
{
	while (n > 0) {
		long moved = futex(&word_a, FUTEX_CMP_REQUEUE, 0, (void *)(intptr_t)n, &word_b, 7);

		CHECK(moved >= 0 && moved <= n);
		n -= (int)moved;
		sched_yield();
	}
}

static void requeue_moves_waiters_to_another_word(void)
{
	pthread_t threads[WAITERS];

	waiters_start(threads, wait_a);
	requeue(WAITERS);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
	CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 0);
	CHECK_EQ(futex(&word_b, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word_b, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), WAITERS - 1);
	threads_join(threads, WAITERS);
}

static void cmp_requeue_wakes_some_and_moves_some(void)
{
	pthread_t threads[WAITERS];
	long moved;

	waiters_start(threads, wait_a);
	CHECK_ERR(futex(&word_a, FUTEX_CMP_REQUEUE, 1, (void *)1, &word_b, 6), EAGAIN);
	CHECK_ERR(futex(&word_a, FUTEX_CMP_REQUEUE, -1, (void *)1, &word_b, 7), EINVAL);
	requeue(WAITERS);
	/* All sit on b now: exact counts are possible from here. */
	moved = futex(&word_b, FUTEX_CMP_REQUEUE, 2, (void *)3, &word_a, 8);
	CHECK_EQ(moved, 5);
	CHECK_EQ(futex(&word_a, FUTEX_REQUEUE, 1, (void *)1, &word_b, 0), 2);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word_b, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), WAITERS - 4);
	threads_join(threads, WAITERS);
}

static void *wait_for_bit(void *arg)
{
	uint32_t bit = 1u << (intptr_t)arg;

	step_add(&arrived, 1);
	CHECK(futex(&word_a, FUTEX_WAIT_BITSET, 7, NULL, NULL, bit) == 0);
	__atomic_or_fetch(&woken, (int)bit, __ATOMIC_SEQ_CST);
	step_add(&arrived, 1);
	return NULL;
}

static void a_wake_with_a_bitset_wakes_only_who_waits_for_it(void)
{
	pthread_t threads[WAITERS];
	int sum = 0;

	waiters_start(threads, wait_for_bit);
	for (; sum < 1; sched_yield())
		sum += futex(&word_a, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 1 << 2);
	CHECK_EQ(sum, 1);
	step_wait(&arrived, WAITERS + 1);
	CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 1 << 2);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 1 << 30), 0);
	while (sum < 4)
		sum += futex(&word_a, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 0xe0);
	step_wait(&arrived, WAITERS + 4);
	CHECK_EQ(__atomic_load_n(&woken, __ATOMIC_SEQ_CST), 0xe4);
	wake(&word_a, WAITERS - 4);
	threads_join(threads, WAITERS);
	CHECK_ERR(futex(&word_a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT_BITSET, 7, NULL, NULL, 0), EINVAL);
}

/* One row: what stands in b, the operation, what stands there afterwards, and whether waiters on b
 * are woken. */
static const struct {
	uint32_t before, op, oparg, cmp, cmparg, after;
	int wakes;
} ops[] = {
	{8, FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 8, 5, 1},
	{8, FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 5, 5, 0},
	{8, FUTEX_OP_ADD, 3, FUTEX_OP_CMP_NE, 9, 11, 1},
	{8, FUTEX_OP_ADD, 3, FUTEX_OP_CMP_NE, 8, 11, 0},
	{8, FUTEX_OP_OR, 3, FUTEX_OP_CMP_LT, 9, 11, 1},
	{8, FUTEX_OP_OR, 3, FUTEX_OP_CMP_LT, 8, 11, 0},
	{15, FUTEX_OP_ANDN, 3, FUTEX_OP_CMP_LE, 15, 12, 1},
	{15, FUTEX_OP_ANDN, 3, FUTEX_OP_CMP_LE, 14, 12, 0},
	{15, FUTEX_OP_XOR, 5, FUTEX_OP_CMP_GT, 14, 10, 1},
	{15, FUTEX_OP_XOR, 5, FUTEX_OP_CMP_GT, 15, 10, 0},
	{8, FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GE, 8, 24, 1},
	{8, FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GE, 9, 24, 0},
};

static void wake_op_changes_the_second_word_and_wakes_there_if_so(void)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		uint32_t op = FUTEX_OP(ops[i].op, ops[i].oparg, ops[i].cmp, ops[i].cmparg);
		pthread_t threads[WAITERS];
		long n;

		waiters_start(threads, wait_a);
		requeue(WAITERS);
		set(&word_b, ops[i].before);
		n = futex(&word_a, FUTEX_WAKE_OP, 1, (void *)2, &word_b, op);
		CHECK_EQ(n, ops[i].wakes ? 2 : 0);
		CHECK_EQ(get(&word_b), ops[i].after);
		CHECK_EQ(futex(&word_b, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), WAITERS - n);
		threads_join(threads, WAITERS);
	}
	CHECK_ERR(futex(&word_a, FUTEX_WAKE_OP, 1, (void *)1, &word_b, 0x7u << 28), ENOSYS);
}

static void time_out_on(clockid_t clock, int64_t ms)
{
	int real = clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0;
	struct timespec until = deadline(clock, ms), relative = timespec_ms(ms < 0 ? 0 : ms);

	CHECK_ERR(futex(&word_a, FUTEX_WAIT_BITSET | real, 7, &until, NULL, FUTEX_BITSET_MATCH_ANY),
		  ETIMEDOUT);
	CHECK(is_past(clock, &until));
	if (real)
		return;
	until = deadline(clock, ms);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 7, &relative, NULL, 0), ETIMEDOUT);
	CHECK(is_past(clock, &until));
}

static void a_wait_past_its_deadline_times_out(void)
{
	set(&word_a, 7);
	for (int64_t ms = -1000; ms <= 10; ms += 505) {
		time_out_on(CLOCK_MONOTONIC, ms);
		time_out_on(CLOCK_REALTIME, ms);
	}
}

static void *wait_a_moment(void *arg)
{
	struct timespec t = timespec_ms(40);

	step_add(&arrived, 1);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 7, &t, NULL, 0), ETIMEDOUT);
	__atomic_add_fetch(&timed_out, 1, __ATOMIC_SEQ_CST);
	(void)arg;
	return NULL;
}

static void a_waiter_that_was_moved_still_times_out(void)
{
	pthread_t threads[WAITERS];

	timed_out = 0;
	waiters_start(threads, wait_a_moment);
	CHECK(futex(&word_a, FUTEX_CMP_REQUEUE, 0, (void *)INT_MAX, &word_b, 7) >= 0);
	threads_join(threads, WAITERS);
	CHECK_EQ(timed_out, WAITERS);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word_b, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
}

static void *bad_calls(void *arg)
{
	struct timespec over = {0, 1000000000}, before = {-1, 0};
	uint32_t *crooked = (uint32_t *)((char *)&word_a + 1);

	set(&word_a, 7);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 6, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT_BITSET, 6, NULL, NULL, 1), EAGAIN);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 7, &over, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 7, &before, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT, 7, bad_address(), NULL, 0), EFAULT);
	CHECK_ERR(futex(crooked, FUTEX_WAIT, 7, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(crooked, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(bad_address(), FUTEX_WAIT, 7, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word_a, 77, 7, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(&word_a, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 7, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(&word_a, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
	CHECK_EQ(futex(&word_a, FUTEX_WAKE, 0, NULL, NULL, 0), 0);
	return arg;
}

static void mistakes_get_their_errno(void)
{
	bad_calls(NULL);
	thread_join(thread_start(bad_calls, NULL));
}

int main(void)
{
	check_begin();
	RUN(two_threads_play_ping_pong);
	RUN(a_wake_lets_as_many_go_as_it_says);
	RUN(requeue_moves_waiters_to_another_word);
	RUN(cmp_requeue_wakes_some_and_moves_some);
	RUN(a_wake_with_a_bitset_wakes_only_who_waits_for_it);
	RUN(wake_op_changes_the_second_word_and_wakes_there_if_so);
	RUN(a_wait_past_its_deadline_times_out);
	RUN(a_waiter_that_was_moved_still_times_out);
	RUN(mistakes_get_their_errno);
	return check_done();
}
