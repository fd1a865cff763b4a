/* dlopen_futex.c -- threads wait in an object that was loaded when there were threads already
 *
 * Needs dlopen_futex.so beside the program.
 *
 * libs: -ldl
 * threads: 5
 * blocked: 100
 * kthreads: any
 */
#include "check.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <linux/futex.h>

enum { WAITERS = 4 };

static uint32_t *(*word)(void);
static void (*wait_while)(uint32_t);
static struct step arrived = STEP_INIT, told = STEP_INIT;

static void load(void)
{
	char self[PATH_MAX], file[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	CHECK(n > 0);
	self[n] = 0;
	snprintf(file, sizeof file, "%s/dlopen_futex.so", dirname(self));
	void *object = dlopen(file, RTLD_NOW);

	if (!object)
		check_fail(__FILE__, __LINE__, 0, "%s", dlerror());
	*(void **)&word = dlsym(object, "futex_word");
	*(void **)&wait_while = dlsym(object, "futex_wait_while");
	CHECK(word && wait_while);
}

static void *wait_there(void *arg)
{
	step_add(&arrived, 1);
	wait_while(0);
	(void)arg;
	return NULL;
}

static void *stand_by(void *arg)
{
	step_wait(&told, 1);
	return arg;
}

static void waiters_in_a_later_object_are_woken(void)
{
	pthread_t first = thread_start(stand_by, NULL), threads[WAITERS];

	load();
	threads_start(threads, WAITERS, wait_there);
	step_wait(&arrived, WAITERS);
	let_block();
	__atomic_store_n(word(), 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(syscall(SYS_futex, word(), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX), WAITERS);
	threads_join(threads, WAITERS);
	step_add(&told, 1);
	thread_join(first);
}

int main(void)
{
	check_begin();
	RUN(waiters_in_a_later_object_are_woken);
	return check_done();
}
