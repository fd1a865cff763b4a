/* dlopen_tls.c -- thread-local variables of objects that are loaded and unloaded while threads run
 *
 * Needs dlopen_tls.so and dlopen_tls_static.so beside the program, made from the sources of these
 * names.
 *
 * libs: -ldl
 * threads: 8
 */
#include "check.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

enum { THREADS = 8, ROUNDS = 20 };

struct module {
	void *handle;
	int *(*dynamic)(void), *(*in_static)(void), *(*exported)(void);
	char *(*block)(void);
	int size;
};

static char path[PATH_MAX + 32], static_path[PATH_MAX + 32];
static struct module *shared_module;
static struct step arrived = STEP_INIT, told = STEP_INIT;

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	CHECK(found);
	return found;
}

static void module_load(struct module *m, const char *file)
{
	int (*size)(void);

	m->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!m->handle)
		check_fail(__FILE__, __LINE__, 0, "%s", dlerror());
	*(void **)&m->dynamic = symbol(m->handle, "dynamic_address");
	*(void **)&m->in_static = symbol(m->handle, "static_address");
	*(void **)&m->exported = symbol(m->handle, "exported_address");
	*(void **)&m->block = symbol(m->handle, "block_address");
	*(void **)&size = symbol(m->handle, "block_size");
	m->size = size();
}

static void check_fresh(struct module *m)
{
	CHECK_EQ(*m->dynamic(), 11);
	CHECK_EQ(*m->in_static(), 22);
	CHECK_EQ(*m->exported(), 33);
	for (int i = 0; i < m->size; i += 50)
		CHECK_EQ(m->block()[i], 0);
}

static void set(struct module *m, int n)
{
	*m->dynamic() = n;
	*m->in_static() = n + 1;
	*m->exported() = n + 2;
	memset(m->block(), n, m->size);
}

static void check_set(struct module *m, int n)
{
	CHECK_EQ(*m->dynamic(), n);
	CHECK_EQ(*m->in_static(), n + 1);
	CHECK_EQ(*m->exported(), n + 2);
	CHECK_EQ(*(int *)symbol(m->handle, "exported"), n + 2);
	for (int i = 0; i < m->size; i += 50)
		CHECK_EQ(m->block()[i], n);
}

/* Threads older than the module, and younger ones, have their own values of it. */
static void *use_module(void *arg)
{
	int n = (int)(intptr_t)arg + 40;
	struct timespec t = timespec_ms(1);

	step_add(&arrived, 1);
	step_wait(&told, 1);
	check_fresh(shared_module);
	set(shared_module, n);
	for (int i = 0; i < 5; i++) {
		nanosleep(&t, NULL);
		sched_yield();
		check_set(shared_module, n);
	}
	return NULL;
}

static void share(const char *file)
{
	pthread_t threads[THREADS], young[THREADS];
	struct module module;

	step_reset(&arrived);
	step_reset(&told);
	threads_start(threads, THREADS, use_module);
	step_wait(&arrived, THREADS);
	module_load(&module, file);
	shared_module = &module;
	check_fresh(&module);
	set(&module, 100);
	step_add(&told, 1);
	threads_start(young, THREADS, use_module);
	threads_join(threads, THREADS);
	threads_join(young, THREADS);
	check_set(&module, 100);
	CHECK(dlclose(module.handle) == 0);
}

static void old_and_new_threads_have_their_own_values(void)
{
	share(path);
	share(path);
}

static void the_same_with_static_tls(void)
{
	share(static_path);
	share(static_path);
}

static void copy(const char *to)
{
	char data[65536];
	int in = open(path, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, data, sizeof(data))) > 0)
		CHECK_EQ(write(out, data, n), n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* Each thread has a copy of its own, loads and unloads it; the others' variables move or come anew
 * meanwhile. */
static void *load_and_unload(void *arg)
{
	char own[64];

	snprintf(own, sizeof(own), "/tmp/dlopen_tls.%d.%d", (int)getpid(), (int)(intptr_t)arg);
	copy(own);
	for (int i = 0; i < ROUNDS; i++) {
		struct module m;

		module_load(&m, own);
		check_fresh(&m);
		set(&m, i);
		sched_yield();
		check_set(&m, i);
		CHECK(dlclose(m.handle) == 0);
	}
	CHECK(unlink(own) == 0);
	return NULL;
}

static void modules_come_and_go_in_threads(void)
{
	pthread_t threads[4];

	threads_start(threads, 4, load_and_unload);
	threads_join(threads, 4);
}

static void *fail_to_load(void *arg)
{
	char name[64];

	for (int i = 0; i < 50; i++) {
		const char *error;

		snprintf(name, sizeof(name), "/nonexistent/object-%d.so",
			 (int)(intptr_t)arg * 100 + i);
		CHECK(dlopen(name, RTLD_NOW) == NULL);
		sched_yield();
		error = dlerror();
		CHECK(error && strstr(error, name));
		CHECK(dlerror() == NULL);
	}
	return NULL;
}

static void each_thread_has_its_own_dlerror(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, fail_to_load);
	threads_join(threads, THREADS);
}

int main(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	check_begin();
	CHECK(n > 0);
	self[n] = 0;
	dirname(self);
	snprintf(path, sizeof(path), "%s/dlopen_tls.so", self);
	snprintf(static_path, sizeof(static_path), "%s/dlopen_tls_static.so", self);
	RUN(old_and_new_threads_have_their_own_values);
	RUN(the_same_with_static_tls);
	RUN(modules_come_and_go_in_threads);
	RUN(each_thread_has_its_own_dlerror);
	return check_done();
}
