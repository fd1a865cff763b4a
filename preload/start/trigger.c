/* trigger.c -- what the loader sees of this library: its constructor and the names that trigger activation
 *
 * At load nothing is scanned or patched. The first of the interposed names that makes a thread activates. libc makes threads of
 * its own for some calls, by a way that no name can catch: these calls are triggers, too, or their threads would be there
 * already when the program makes its first.
 */
#include <dlfcn.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <threads.h>
#include "start/activate.h"
#include "conf.h"
#include "gate/confine.h"
#include "gate/user.h"
#include "start/launch.h"
#include "log.h"
#include "start/interposer.h"
#include "stat.h"

extern char **environ;

static bool started;

/* A backtrace of this thread, by libunwind, loaded only now. */
static void backtrace_unwind(void)
{
	void *frames[64], *lib = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	int (*walk)(void **, int) = lib ? (int (*)(void **, int))dlsym(lib, "unw_backtrace") : NULL;
	int n = walk ? walk(frames, 64) : 0;

	for (int i = 0; i < n; i++) {
		Dl_info info = {0};

		dladdr(frames[i], &info);
		log_always("  %s+0x%lx (%s)\n", info.dli_fname, (unsigned long)frames[i] - (unsigned long)info.dli_fbase,
			   info.dli_sname ? info.dli_sname : "?");
	}
}

/* Before the constructor another library's may have made a thread. */
static void start(void)
{
	if (started)
		return;
	started = true;
	int filtered = confine_look();

	conf_read(environ);
	base_backtrace = backtrace_unwind;
	/* These may be called by a child of a fork, which must not ask the loader: another thread may have held its lock. */
	launch_init(filtered);
	if (*conf.stats && confine_statistics())
		stat_open(conf.stats);
}

extern const char *gnu_get_libc_version(void) __attribute__((weak));

static bool activate_for_thread(void)
{
	if (!gnu_get_libc_version)
		return false;
	start();
	bool active = activate();

	if (!active)
		activate_require();
	return active;
}

/* Around a call of libc that makes a thread: its stack is asked for inside. */
static struct task *create_begin(void)
{
	struct task *t = activate_for_thread() ? task_self() : NULL;

	if (t)
		t->in_create = true;
	return t;
}

static void create_end(struct task *t)
{
	if (t)
		t->in_create = false;
}

STANDS_FOR(load_pthread_create, pthread_create, "GLIBC_2.2.5");
STANDS_FOR(load_thrd_create, thrd_create, "GLIBC_2.28");

int load_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int load_thrd_create(thrd_t *thread, thrd_start_t fn, void *arg);

STANDIN int load_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	struct task *t = create_begin();

	if (!real)
		real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))interposer_next("pthread_create", "GLIBC_2.2.5");
	int r = real(thread, attr, fn, arg);

	create_end(t);
	return r;
}

STANDIN int load_thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
	static int (*real)(thrd_t *, thrd_start_t, void *);
	struct task *t = create_begin();

	if (!real)
		real = (int (*)(thrd_t *, thrd_start_t, void *))interposer_next("thrd_create", "GLIBC_2.28");
	int r = real(thread, fn, arg);

	create_end(t);
	return r;
}

/* A call for which libc may make a thread: if it does, activate first. */
#define TRIGGER(name, version, type, parameters, arguments, makes_thread)			\
	static type (*real_##name) parameters;						\
	type load_##name parameters;							\
	STANDIN type load_##name parameters						\
	{										\
		if (unlikely(!real_##name))						\
			real_##name = (type (*) parameters)interposer_next(#name, version);			\
		if (makes_thread)							\
			activate_for_thread();						\
		return real_##name arguments;						\
	}
#define TRIGGER_AIO(name)								\
	STANDS_FOR(load_##name, name, "GLIBC_2.2.5");					\
	TRIGGER(name, "GLIBC_2.2.5", int, (void *request), (request), true)
#define TRIGGER_LIO(name)								\
	STANDS_FOR(load_##name, name, "GLIBC_2.4");					\
	TRIGGER(name, "GLIBC_2.4", int, (int mode, void *list, int n, struct sigevent *event), (mode, list, n, event), n > 0)

static bool by_thread(const struct sigevent *event)
{
	return event && event->sigev_notify == SIGEV_THREAD;
}

/* Programs that call the kernel by number, or by a function that takes the kernel's flags. */
static bool clones_thread(long nr, long first)
{
	if (nr == __NR_clone)
		return first & CLONE_THREAD;
	const struct clone_args *a = (const void *)first;

	return nr == __NR_clone3 && user_readable(a, sizeof a->flags) && a->flags & CLONE_THREAD;
}

STANDS_FOR(load_timer_create, timer_create, "GLIBC_2.3.3");
TRIGGER(timer_create, "GLIBC_2.3.3", int, (clockid_t clock, struct sigevent *event, timer_t *id), (clock, event, id), by_thread(event))
STANDS_FOR(load_mq_notify, mq_notify, "GLIBC_2.3.4");
TRIGGER(mq_notify, "GLIBC_2.3.4", int, (int queue, const struct sigevent *event), (queue, event), by_thread(event))
STANDS_FOR(load_getaddrinfo_a, getaddrinfo_a, "GLIBC_2.2.5");
TRIGGER(getaddrinfo_a, "GLIBC_2.2.5", int, (int mode, void *list, int n, struct sigevent *event), (mode, list, n, event), n > 0)
TRIGGER_AIO(aio_read)
TRIGGER_AIO(aio_read64)
TRIGGER_AIO(aio_write)
TRIGGER_AIO(aio_write64)
STANDS_FOR(load_aio_fsync, aio_fsync, "GLIBC_2.2.5");
TRIGGER(aio_fsync, "GLIBC_2.2.5", int, (int kind, void *request), (kind, request), true)
STANDS_FOR(load_aio_fsync64, aio_fsync64, "GLIBC_2.2.5");
TRIGGER(aio_fsync64, "GLIBC_2.2.5", int, (int kind, void *request), (kind, request), true)
TRIGGER_LIO(lio_listio)
TRIGGER_LIO(lio_listio64)
STANDS_FOR_ONE(load_clone, clone, "GLIBC_2.2.5");
TRIGGER(clone, "GLIBC_2.2.5", int, (int (*fn)(void *), void *stack, int flags, void *arg, void *a, void *b, void *c),
	(fn, stack, flags, arg, a, b, c), flags & CLONE_THREAD)

/* Such a call sets a filter of system calls; one that the kernel refused sets none. */
static bool sets_filter(long nr, long a)
{
	return (nr == __NR_prctl && a == PR_SET_SECCOMP) ||
	       (nr == __NR_seccomp && (a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER));
}

/* What the counters need is done before: the filter may forbid it. */
static void filter_begin(void)
{
	if (*conf.stats && activate_untried() && !confine_stops(NULL))
		stat_forked();
}

static long (*real_syscall)(long nr, long a, long b, long c, long d, long e, long f);
static int (*real_prctl)(int option, long b, long c, long d, long e);

STANDS_FOR_ONE(load_syscall, syscall, "GLIBC_2.2.5");
STANDS_FOR_ONE(load_prctl, prctl, "GLIBC_2.2.5");

long load_syscall(long nr, long a, long b, long c, long d, long e, long f);
int load_prctl(int option, long b, long c, long d, long e);

/* One that may make the first thread, or set a filter. */
static __attribute__((noinline)) long watched_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	if (clones_thread(nr, a))
		activate_for_thread();
	bool sets = sets_filter(nr, a);

	if (sets)
		filter_begin();
	long r = real_syscall(nr, a, b, c, d, e, f);

	if (sets && r >= 0)
		confine_note();
	return r;
}

STANDIN long load_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	if (unlikely(!real_syscall))
		real_syscall = (__typeof__(real_syscall))interposer_next("syscall", NULL);
	if (unlikely(nr == __NR_clone || nr == __NR_clone3 || nr == __NR_prctl || nr == __NR_seccomp))
		return watched_syscall(nr, a, b, c, d, e, f);
	return real_syscall(nr, a, b, c, d, e, f);
}

STANDIN int load_prctl(int option, long b, long c, long d, long e)
{
	if (unlikely(!real_prctl))
		real_prctl = (__typeof__(real_prctl))interposer_next("prctl", NULL);
	if (unlikely(option == PR_SET_SECCOMP))
		filter_begin();
	int r = real_prctl(option, b, c, d, e);

	if (unlikely(option == PR_SET_SECCOMP) && r >= 0)
		confine_note();
	return r;
}

__attribute__((constructor)) static void load(void)
{
	if (!gnu_get_libc_version)
		return;		/* another libc, by an inherited LD_PRELOAD */
	start();
	real_clone = (__typeof__(real_clone))interposer_next("clone", NULL);
	real_syscall = (__typeof__(real_syscall))interposer_next("syscall", NULL);
	real_prctl = (__typeof__(real_prctl))interposer_next("prctl", NULL);
	if (conf.force && !activate())
		activate_require();
}
