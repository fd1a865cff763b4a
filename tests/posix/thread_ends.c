/* thread_ends.c -- what a thread has told the kernel of its end: its id's address and its list of robust mutexes may be anything
 *
 * threads: 1
 */
#include "check.h"
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

enum { THREADS = 20 };

static void *keeps_its_address(void *arg)
{
	int *address = NULL;

	CHECK(prctl(PR_GET_TID_ADDRESS, &address) == 0);
	CHECK(address && *address);	/* the id, or what libc knows the thread's state by */
	CHECK(syscall(SYS_set_tid_address, NULL) == syscall(SYS_gettid));
	CHECK(syscall(SYS_set_tid_address, address) == syscall(SYS_gettid));
	CHECK(prctl(PR_GET_TID_ADDRESS, 8) == -1 && errno == EFAULT);
	return arg;
}

static void *leaves_a_bad_list(void *arg)
{
	static void *const bad[] = {(void *)8, (void *)0x7fffffff0000, (void *)0x1eaf00001b68, NULL};
	static _Thread_local struct robust_list_head mine;
	struct robust_list_head *was;
	size_t n;

	CHECK(syscall(SYS_get_robust_list, 0, &was, &n) == 0 && n == sizeof mine);
	CHECK(syscall(SYS_get_robust_list, 0, 8, &n) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_set_robust_list, &mine, 0) == -1 && errno == EINVAL);
	mine.list.next = (intptr_t)arg % 2 ? bad[(intptr_t)arg % 4] : &mine.list;
	mine.list_op_pending = (intptr_t)arg % 3 ? bad[(intptr_t)arg % 3] : NULL;
	CHECK(syscall(SYS_set_robust_list, (intptr_t)arg % 5 ? &mine : bad[(intptr_t)arg % 3], sizeof mine) == 0);
	return arg;
}

static int gone;

/* Detached: nobody waits at the address, and libc leaves the stack to the kernel's word. */
static void *forgets_its_address(void *arg)
{
	CHECK(syscall(SYS_set_tid_address, (intptr_t)arg % 2 ? (void *)8 : NULL) == syscall(SYS_gettid));
	__atomic_add_fetch(&gone, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_exit, 0);
	return NULL;
}

static int *last_word;	/* of a page behind which there is none */

static void *moves_its_address(void *arg)
{
	*last_word = (int)syscall(SYS_set_tid_address, last_word);
	syscall(SYS_exit, 0);
	return arg;
}

static void a_word_at_the_end_of_a_page_is_cleared(void)
{
	char *pages = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t t;

	CHECK(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
	last_word = (int *)(pages + 4092);
	*last_word = -1;
	CHECK(pthread_create(&t, NULL, moves_its_address, NULL) == 0);
	while (__atomic_load_n(last_word, __ATOMIC_SEQ_CST))
		CHECK(usleep(1000) == 0);
}

static void all_end(void *(*what)(void *))
{
	pthread_t t[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, what, (void *)i) == 0);
	for (intptr_t i = 0; i < THREADS; i++) {
		void *result;

		CHECK(pthread_join(t[i], &result) == 0 && (intptr_t)result == i);
	}
}

int main(void)
{
	pthread_t t;

	all_end(keeps_its_address);
	all_end(leaves_a_bad_list);
	a_word_at_the_end_of_a_page_is_cleared();
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t, NULL, forgets_its_address, (void *)i) == 0);
	while (__atomic_load_n(&gone, __ATOMIC_SEQ_CST) < THREADS)
		CHECK(usleep(1000) == 0);
	return 0;
}
