/* load.c -- what the loader sees of this library: its constructor and the names that trigger activation
 *
 * At load nothing is scanned or patched. The first of the interposed names that makes a thread activates.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <threads.h>
#include "activate.h"
#include "conf.h"
#include "gate.h"
#include "log.h"
#include "stat.h"

extern char **environ;

static bool started;

static void *next(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	INVARIANT(p != NULL);
	return p;
}

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
	conf_read(environ);
	base_backtrace = backtrace_unwind;
	if (*conf.stats)
		stat_open(conf.stats);
}

extern const char *gnu_get_libc_version(void) __attribute__((weak));

__attribute__((constructor)) static void load(void)
{
	if (!gnu_get_libc_version)
		return;		/* another libc, by an inherited LD_PRELOAD */
	start();
	if (conf.force && !activate())
		activate_require();
}

/* Around a call of libc that makes a thread: its stack is asked for inside. */
static struct task *create_begin(void)
{
	if (!gnu_get_libc_version)
		return NULL;
	start();
	if (!activate()) {
		activate_require();
		return NULL;
	}
	struct task *t = task_self();

	if (t)
		t->in_create = true;
	return t;
}

static void create_end(struct task *t)
{
	if (t)
		t->in_create = false;
}

/* A name of libc in both versions that programs refer to: before and since libpthread became part of libc. */
#define STANDS_FOR(ours, name, old)							\
	__asm__(".globl " #ours "_old\n.set " #ours "_old, " #ours "\n"		\
		".symver " #ours "_old, " #name "@" old "\n"				\
		".symver " #ours ", " #name "@@GLIBC_2.34")

STANDS_FOR(load_pthread_create, pthread_create, "GLIBC_2.2.5");
STANDS_FOR(load_thrd_create, thrd_create, "GLIBC_2.28");

int load_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int load_thrd_create(thrd_t *thread, thrd_start_t fn, void *arg);

__attribute__((visibility("default"))) int load_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
							       void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	struct task *t = create_begin();

	if (!real)
		real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))next("pthread_create");
	int r = real(thread, attr, fn, arg);

	create_end(t);
	return r;
}

__attribute__((visibility("default"))) int load_thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
	static int (*real)(thrd_t *, thrd_start_t, void *);
	struct task *t = create_begin();

	if (!real)
		real = (int (*)(thrd_t *, thrd_start_t, void *))next("thrd_create");
	int r = real(thread, fn, arg);

	create_end(t);
	return r;
}
