/* check.h -- what the tests of <weft.h> share: checks, tasks that wait to be let go, and main
 *
 * A program includes this, writes its tests, lists them in TESTS(...) and so has a main that runs
 * all of them, or those whose names it is given. A failed check names its line and ends the program
 * with 1.
 */
#ifndef API_CHECK_H
#define API_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#ifndef CHECK_LIMIT_S
#define CHECK_LIMIT_S	60	/* for everything */
#endif

#define check(cond)								\
	((cond) ? (void)0 :							\
	 (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond), _exit(1)))

static inline void join(struct weft_task *task, void *expected)
{
	void *result = NULL;

	check(weft_join(task, &result, WEFT_FOREVER) == 0);
	check(result == expected);
}

static inline struct weft_task *spawn(void *(*fn)(void *), void *arg)
{
	struct weft_task *task = NULL;

	check(weft_spawn(&task, fn, arg) == 0);
	check(task);
	return task;
}

/* A task that says that it runs, then waits until it is let go. */
struct gate {
	sem_t running, go;
	pthread_t thread;
	int outcome, signals;		/* atomic */
};

static inline void gate_init(struct gate *g)
{
	memset(g, 0, sizeof *g);
	sem_init(&g->running, 0, 0);
	sem_init(&g->go, 0, 0);
}

static inline void sem_take(sem_t *sem)
{
	while (sem_wait(sem))
		check(errno == EINTR);
}

static inline void *wait_at_gate(void *p)
{
	struct gate *g = p;

	g->thread = pthread_self();
	sem_post(&g->running);
	sem_take(&g->go);
	return p;
}

static inline void *identity(void *p)
{
	return p;
}

/* on_signal -- counts the signals that `interrupted' had. */
static struct gate *interrupted;

static inline void on_signal(int signal)
{
	__atomic_add_fetch(&interrupted->signals, 1, __ATOMIC_SEQ_CST);
}

static inline void catch_signal(struct gate *g)
{
	struct sigaction action = {.sa_handler = on_signal};

	interrupted = g;
	check(sigaction(SIGUSR1, &action, NULL) == 0);
}

struct test {
	const char *name;
	void (*run)(void);
};

static inline bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

static inline int run_tests(const struct test *tests, char **names)
{
	int passed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(CHECK_LIMIT_S);
	for (; tests->name; tests++) {
		if (!wanted(tests->name, names))
			continue;
		printf("%s\n", tests->name);
		tests->run();
		passed++;
	}
	printf("%d passed\n", passed);
	return 0;
}

#define TEST(name)	{#name, name}
#define TESTS(...)								\
	int main(int argc, char **argv)						\
	{									\
		const struct test tests[] = {__VA_ARGS__, {NULL, NULL}};	\
										\
		return run_tests(tests, argv + 1);				\
	}

#endif
