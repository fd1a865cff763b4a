/* registers_base.c -- the GS base of a thread and its rights by protection keys are its own
 *
 * threads: 8
 */
#include "check.h"

#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { THREADS = 8, ROUNDS = 1500 };

static long set_base(uintptr_t base)
{
	return syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

static uintptr_t base(void)
{
	unsigned long value = 0;

	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &value));
	return value;
}

static long read_through_base(void)
{
	long value;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(value));
	return value;
}

/* Waits, yields or computes, so that others run in between on every way there is. */
static void let_others_run(int i)
{
	struct timespec t = {0, 10000};

	if (i % 3 == 0)
		sched_yield();
	else if (i % 3 == 1)
		nanosleep(&t, NULL);
	else
		for (volatile int k = 0; k < 4000; k++)
			continue;
}

static void *keep_a_base(void *arg)
{
	long own[2] = {(intptr_t)arg + 1, 0};

	CHECK_OK(set_base((uintptr_t)own));
	for (int i = 0; i < ROUNDS; i++) {
		let_others_run(i);
		CHECK_EQ(read_through_base(), (intptr_t)arg + 1);
		CHECK_EQ(base(), own);
	}
	return NULL;
}

static void each_thread_keeps_the_base_that_it_sets(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, keep_a_base);
	threads_join(threads, THREADS);
	CHECK_EQ(base(), 0);
}

static void *write_a_base(void *arg)
{
	long own[2] = {(intptr_t)arg + 1, 0}, *seen;

	__asm__ volatile("wrgsbase %0" : : "r"(own));
	for (int i = 0; i < ROUNDS; i++) {
		let_others_run(i);
		__asm__ volatile("rdgsbase %0" : "=r"(seen));
		CHECK_EQ((uintptr_t)seen, (uintptr_t)own);
	}
	return NULL;
}

static void each_thread_keeps_the_base_that_it_writes_itself(void)
{
	pthread_t threads[THREADS];

	if (!(getauxval(AT_HWCAP2) & 2)) /* the kernel lets nobody execute wrgsbase */
		return;
	threads_start(threads, THREADS, write_a_base);
	threads_join(threads, THREADS);
}

static void *tell_base(void *arg)
{
	CHECK_EQ(base(), (uintptr_t)arg);
	return NULL;
}

static void *create_with_base(void *arg)
{
	CHECK_OK(set_base((uintptr_t)&arg));
	thread_join(thread_start(tell_base, &arg));
	return NULL;
}

static void a_new_thread_begins_with_its_creator_s_base(void)
{
	thread_join(thread_start(create_with_base, NULL));
}

static int key;
static struct step made = STEP_INIT;

static void *keep_rights(void *arg)
{
	int rights = (int)(intptr_t)arg % 4;

	step_add(&made, 1);
	step_wait(&made, THREADS + 1);
	CHECK_OK(pkey_set(key, (unsigned)rights));
	for (int i = 0; i < ROUNDS; i++) {
		let_others_run(i);
		CHECK_EQ(pkey_get(key), rights);
	}
	return NULL;
}

static void *tell_rights(void *arg)
{
	CHECK_EQ(pkey_get(key), (intptr_t)arg);
	return NULL;
}

static void each_thread_keeps_its_rights_by_keys(void)
{
	pthread_t threads[THREADS];

	step_reset(&made);
	threads_start(threads, THREADS, keep_rights); /* some of them before there is a key */
	step_wait(&made, THREADS);
	key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	if (key < 0)
		CHECK_ERR(key, errno == ENOSYS ? ENOSYS : errno == EINVAL ? EINVAL : ENOSPC);
	if (key < 0)
		_exit(0); /* the processor has none */
	CHECK_EQ(pkey_get(key), PKEY_DISABLE_WRITE);
	step_add(&made, 1);
	threads_join(threads, THREADS);
	CHECK_EQ(pkey_get(key), PKEY_DISABLE_WRITE);
	thread_join(thread_start(tell_rights, (void *)(intptr_t)PKEY_DISABLE_WRITE));
	CHECK_OK(pkey_free(key));
}

int main(void)
{
	check_begin();
	RUN(each_thread_keeps_the_base_that_it_sets);
	RUN(each_thread_keeps_the_base_that_it_writes_itself);
	RUN(a_new_thread_begins_with_its_creator_s_base);
	RUN(each_thread_keeps_its_rights_by_keys);
	return check_done();
}
