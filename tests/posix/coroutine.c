/* coroutine.c -- ucontext coroutines inside threads, which read, sleep, lock, allocate and compute
 * on their own stacks
 *
 * threads: 8
 */
#include "check.h"
#include "net.h"
#include <ucontext.h>

enum { THREADS = 8, COROUTINES = 6, ROUNDS = 15, STACK = 64 << 10 };

struct coroutine {
	ucontext_t context;
	struct scheduler *scheduler;
	char *stack;
	int n, ended, in, out;
	long sum;
};

struct scheduler {
	ucontext_t context;
	struct coroutine coroutines[COROUTINES];
};

static __thread int own;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long total;
static int wanted;
static struct step arrived = STEP_INIT;

static void leave(struct coroutine *c)
{
	CHECK(swapcontext(&c->context, &c->scheduler->context) == 0);
}

static unsigned compute(unsigned n)
{
	for (int i = 0; i < 200000; i++)
		n = n * 1664525 + 1013904223;
	return n;
}

/* One of the things that block or take long, on the coroutine's stack. */
static void act(struct coroutine *c, int what)
{
	struct timespec t = timespec_ms(1);
	char text[32], back[32];

	switch (what % 5) {
	case 0:
		CHECK(nanosleep(&t, NULL) == 0);
		break;
	case 1:
		snprintf(text, sizeof(text), "round %d of %d", what, c->n);
		CHECK_EQ(write(c->out, text, sizeof(text)), sizeof(text));
		CHECK_EQ(read(c->in, back, sizeof(back)), sizeof(back));
		CHECK(strcmp(text, back) == 0);
		break;
	case 2:
		CHECK_OK(pthread_mutex_lock(&mutex));
		total++;
		sched_yield();
		CHECK_OK(pthread_mutex_unlock(&mutex));
		break;
	case 3:
		CHECK_EQ(compute(c->n), compute(c->n));
		break;
	case 4:
		errno = c->n;
		CHECK_EQ(poll(NULL, 0, 1), 0);
		CHECK_EQ(errno, c->n);
		break;
	}
}

static void coroutine_main(unsigned low, unsigned high)
{
	struct coroutine *c = (struct coroutine *)(((uintptr_t)high << 32) | low);
	char mark[512];

	memset(mark, c->n, sizeof(mark));
	for (int i = 0; i < ROUNDS; i++) {
		own++;
		act(c, c->n + i);
		leave(c);
		for (size_t k = 0; k < sizeof(mark); k++)
			CHECK_EQ(mark[k], (char)c->n);
		c->sum += i;
	}
	c->ended = 1;
	leave(c);
}

static void coroutine_make(struct scheduler *s, int i, int n)
{
	struct coroutine *c = &s->coroutines[i];
	int fds[2];

	memset(c, 0, sizeof(*c));
	CHECK(pipe(fds) == 0);
	c->in = fds[0];
	c->out = fds[1];
	c->n = n;
	c->scheduler = s;
	c->stack = (char *)malloc(STACK);
	CHECK(c->stack && getcontext(&c->context) == 0);
	c->context.uc_stack.ss_sp = c->stack;
	c->context.uc_stack.ss_size = STACK;
	makecontext(&c->context, (void (*)(void))coroutine_main, 2, (unsigned)(uintptr_t)c,
		    (unsigned)((uintptr_t)c >> 32));
}

static void *schedule(void *arg)
{
	struct scheduler s;
	int running = COROUTINES;

	for (int i = 0; i < COROUTINES; i++)
		coroutine_make(&s, i, (int)(intptr_t)arg * COROUTINES + i);
	step_add(&arrived, 1);
	step_wait(&arrived, wanted);
	while (running > 0)
		for (int i = 0; i < COROUTINES; i++) {
			struct coroutine *c = &s.coroutines[i];

			if (c->ended)
				continue;
			CHECK(swapcontext(&s.context, &c->context) == 0);
			if (c->ended)
				running--;
		}
	CHECK_EQ(own, COROUTINES * ROUNDS);
	for (int i = 0; i < COROUTINES; i++) {
		struct coroutine *c = &s.coroutines[i];

		CHECK_EQ(c->sum, ROUNDS * (ROUNDS - 1) / 2);
		CHECK(close(c->in) == 0 && close(c->out) == 0);
		free(c->stack);
	}
	return NULL;
}

static void coroutines_block_in_threads(void)
{
	pthread_t threads[THREADS];

	wanted = THREADS;
	threads_start(threads, THREADS, schedule);
	threads_join(threads, THREADS);
	CHECK_EQ(total, THREADS * COROUTINES * ROUNDS / 5);
}

static void coroutines_of_main_go_on_beside_threads(void)
{
	pthread_t threads[2];

	own = 0;
	threads_start(threads, 2, schedule);
	schedule((void *)7);
	threads_join(threads, 2);
}

int main(void)
{
	check_begin();
	RUN(coroutines_block_in_threads);
	RUN(coroutines_of_main_go_on_beside_threads);
	return check_done();
}
