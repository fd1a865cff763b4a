/* task.c -- <weft/task.h> and <weft/base.h>: tasks for those who ask for them
 *
 * A spawned task is a detached pthread: libc then refuses pthread_join and pthread_detach on it, as
 * the API has it. The price is that its end must be noted without pthread_join, and not before the
 * destructors of its thread-local variables and keys have run. So the end is the destructor of a
 * key of our own, which sets itself again until libc's last round of destructors. Keys of the
 * library are made early and have low numbers, so others that are new in that last round run after
 * it; nothing better is to be had from outside of libc. (A joinable pthread and a pthread_join
 * behind weft_join would let the program join it, too.)
 *
 * pthread_exit's value passes through libc's own memory only. It is interposed to take a copy on
 * the way.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* Another libc may load this library because of an inherited LD_PRELOAD: what only glibc has is weak. */
#pragma weak __pthread_register_cancel
#pragma weak __pthread_unregister_cancel
#pragma weak __pthread_unwind_next
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *) __attribute__((weak));
#include <unistd.h>

#include "start/activate.h"
#include "gate/gate.h"
#include "stat.h"
#include "weft.h"

#define STACK_SIZE	(256 * 1024)

struct weft_task {
	uint32_t refs;		/* atomic: the handles, and one of its own until it has ended */
	uint32_t ended;		/* atomic, a futex word; `result' stands once it is 1 */
	bool spawned;		/* by weft_spawn; else a pthread that asked for its handle */
	int rounds;		/* of key destructors; its own thread's */
	unsigned forks;		/* value of `forks' in its process */
	pthread_mutex_t lock;	/* its end waits for this: whoever holds it may use `thread' */
	pthread_t thread;
	void *(*fn)(void *);
	void *arg;
	void *result;
	char name[WEFT_NAME_MAX];	/* under lock */
};

static __thread struct weft_task *self __attribute__((tls_model("initial-exec")));
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;
static unsigned forks;		/* how many lie between the first process and this one */
static void (*libc_pthread_exit)(void *);

static void handle_put(struct weft_task *task)
{
	if (__atomic_sub_fetch(&task->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_destroy(&task->lock);
	free(task);
}

static void handle_end(struct weft_task *task)
{
	self = NULL;
	pthread_mutex_lock(&task->lock);
	__atomic_store_n(&task->ended, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&task->lock);
	syscall(SYS_futex, &task->ended, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	handle_put(task);
}

/* handle_destructor -- of our key: once in each of libc's rounds, the end in the last one. */
static void handle_destructor(void *p)
{
	struct weft_task *task = p;

	if (++task->rounds >= PTHREAD_DESTRUCTOR_ITERATIONS || pthread_setspecific(key, task))
		handle_end(task);
}

static void forked(void)
{
	forks++;
	if (!self)
		return;
	self->forks = forks;
	pthread_mutex_init(&self->lock, NULL);	/* a thread that is not here may have held it */
}

static void prepare(void)
{
	have_key = pthread_key_create(&key, handle_destructor) == 0 &&
		   (!__register_atfork || __register_atfork(NULL, NULL, forked, NULL) == 0);
}

static void __attribute__((constructor)) task_load(void)
{
	libc_pthread_exit = (void (*)(void *))dlsym(RTLD_NEXT, "pthread_exit");
	pthread_once(&once, prepare);
}

static struct weft_task *handle_new(uint32_t refs)
{
	struct weft_task *task = calloc(1, sizeof *task);

	pthread_once(&once, prepare);
	if (!task)
		return NULL;
	task->refs = refs;
	task->forks = forks;
	pthread_mutex_init(&task->lock, NULL);
	return task;
}

static void end_early(void *task)
{
	handle_end(task);
}

static void *task_main(void *p)
{
	struct weft_task *task = p;

	self = task;
	task->result = PTHREAD_CANCELED;
	if (pthread_setspecific(key, task) == 0) {
		task->result = task->fn(task->arg);
		return NULL;
	}

	/* No memory for the key's value: better an end before the destructors than none. */
	pthread_cleanup_push(end_early, task);
	task->result = task->fn(task->arg);
	pthread_cleanup_pop(1);
	return NULL;
}

WEFT_EXPORT void __attribute__((noreturn)) pthread_exit(void *value);
void pthread_exit(void *value)
{
	if (self && self->spawned)
		self->result = value;
	if (!libc_pthread_exit)
		task_load();
	libc_pthread_exit(value);
	__builtin_unreachable();
}

static int start(struct weft_task *task)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&task->thread, &attr, task_main, task);
	pthread_attr_destroy(&attr);
	if (r != EINVAL)
		return -r;

	/* Thread-local variables of more than 256 KiB live on the stack as well; libc's own size
	 * may do. */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&task->thread, &attr, task_main, task);
	pthread_attr_destroy(&attr);
	return -r;
}

int weft_spawn(struct weft_task **to, void *(*fn)(void *), void *arg)
{
	struct weft_task *task;
	int r;

	if (!fn)
		return -EINVAL;
	if (!activate())
		return -ENOTSUP;
	task = handle_new(to ? 2 : 1);
	if (!task)
		return -ENOMEM;
	task->spawned = true;
	task->fn = fn;
	task->arg = arg;
	r = have_key ? start(task) : -EAGAIN;
	if (r) {
		task->refs = 1;
		handle_put(task);
		return r;
	}
	if (to)
		*to = task;
	return 0;
}

static bool has_ended(const struct weft_task *task)
{
	return __atomic_load_n(&task->ended, __ATOMIC_ACQUIRE);
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NSEC, .tv_nsec = ns % NSEC};
}

/* wait_end -- wait for the word to change; may return early. Returns false when the deadline has
 * passed. */
static bool wait_end(const struct weft_task *task, int64_t deadline)
{
	struct timespec at = timespec_of(deadline);

	if (deadline <= 0)
		return false;
	return syscall(SYS_futex, &task->ended, FUTEX_WAIT_BITSET_PRIVATE, 0,
		       deadline == WEFT_FOREVER ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY) == 0 ||
	       errno != ETIMEDOUT;
}

int weft_join(struct weft_task *task, void **result, int64_t deadline)
{
	if (!task || !task->spawned)
		return -EINVAL;
	if (task == self)
		return -EDEADLK;
	while (!has_ended(task)) {
		if (task->forks != forks)
			return -ESRCH;
		if (!wait_end(task, deadline) && !has_ended(task))
			return -ETIMEDOUT;
	}
	if (result)
		*result = task->result;
	return 0;
}

void weft_put(struct weft_task *task)
{
	if (task)
		handle_put(task);
}

void weft_yield(void)
{
	sched_yield();
}

int64_t weft_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

int weft_sleep(int64_t ns)
{
	int64_t now;

	if (ns < 0)
		return -EINVAL;
	if (ns == 0) {
		weft_yield();
		return 0;
	}
	now = weft_now();
	return weft_sleep_until(ns > WEFT_FOREVER - now ? WEFT_FOREVER : now + ns);
}

int weft_sleep_until(int64_t deadline)
{
	struct timespec at = timespec_of(deadline);

	return deadline <= 0 ? 0 : -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

struct weft_task *weft_self(void)
{
	struct weft_task *task;

	/* Before activation every thread may still become a task; afterwards some did not. */
	if (activate_done() && !weft_on_task())
		return NULL;
	if (self)
		return self;
	task = handle_new(1);
	if (!task)
		return NULL;
	task->thread = pthread_self();
	if (!have_key || pthread_setspecific(key, task)) {
		handle_put(task);
		return NULL;
	}
	self = task;
	return task;
}

int weft_name(struct weft_task *task, const char *name)
{
	char visible[16] = "";		/* what the kernel keeps of it */
	int r = 0;

	if (!task || !name)
		return -EINVAL;
	if (strlen(name) >= sizeof task->name)
		return -ENAMETOOLONG;
	strncpy(visible, name, sizeof visible - 1);
	if (task->forks != forks)
		return -ESRCH;
	pthread_mutex_lock(&task->lock);
	if (has_ended(task)) {
		r = -ESRCH;
	} else {
		strcpy(task->name, name);
		pthread_setname_np(task->thread, visible);
	}
	pthread_mutex_unlock(&task->lock);
	return r;
}

const char *weft_version(void)
{
	return WEFT_VERSION;
}
