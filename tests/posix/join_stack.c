/* join_stack.c -- threads end and locks pass on stacks and in memory of the program's own: shared
 * with nobody, shared by its mapping, or where a shared mapping was before
 *
 * threads: 1
 * blocked: 100
 */
#include "check.h"
#include <semaphore.h>

enum { SIZE = 1 << 20, ROUNDS = 20 };

static sem_t *gate;

static void *pause_a_little(void *arg)
{
	let_block();
	return arg;
}

static void join_on(void *stack)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstack(&attr, stack, SIZE));
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_OK(pthread_create(&thread, &attr, pause_a_little, NULL));
		CHECK(thread_join(thread) == NULL);
	}
	CHECK_OK(pthread_attr_destroy(&attr));
}

static void *map(void *at, int flags)
{
	void *p = mmap(at, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* A wait on a lock that processes may share asks where it lies: from here on that is known. */
static void ask_once(void)
{
	sem_t *s = map(NULL, MAP_SHARED | MAP_ANONYMOUS);

	CHECK(sem_init(s, 1, 1) == 0);
	CHECK(sem_wait(s) == 0);
	CHECK(munmap(s, SIZE) == 0);
}

static void a_thread_on_a_shared_stack_is_joined(void)
{
	void *stack = map(NULL, MAP_SHARED | MAP_ANONYMOUS);

	join_on(stack);
	CHECK(munmap(stack, SIZE) == 0);
}

static void a_thread_where_shared_memory_was_is_joined(void)
{
	ask_once();
	void *was = map(NULL, MAP_SHARED | MAP_ANONYMOUS);

	CHECK(munmap(was, SIZE) == 0);
	CHECK(map(was, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == was);
	join_on(was);
	CHECK(munmap(was, SIZE) == 0);
}

static void a_thread_over_shared_memory_is_joined(void)
{
	void *was = map(NULL, MAP_SHARED | MAP_ANONYMOUS);

	CHECK(map(was, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) == was);
	join_on(was);
	CHECK(munmap(was, SIZE) == 0);
}

static void *await_gate(void *arg)
{
	CHECK(sem_wait(gate) == 0);
	return arg;
}

static void pass_gate(void)
{
	CHECK(sem_init(gate, 1, 0) == 0);
	pthread_t thread = thread_start(await_gate, NULL);

	let_block();
	CHECK(sem_post(gate) == 0);
	thread_join(thread);
}

static void a_lock_passes_where_shared_memory_was(void)
{
	void *was = map(NULL, MAP_SHARED | MAP_ANONYMOUS), *moved;

	CHECK(munmap(was, SIZE) == 0);
	gate = map(was, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
	pass_gate();
	was = map(NULL, MAP_SHARED | MAP_ANONYMOUS);
	moved = mremap(was, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, gate);
	CHECK(moved == gate);
	pass_gate();
	gate = (sem_t *)((char *)map(was, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) + SIZE / 2);
	pass_gate();
	CHECK(munmap(moved, SIZE / 2) == 0);
	gate = (sem_t *)((char *)moved + SIZE / 2);
	pass_gate();
}

static void a_lock_passes_between_thousands_of_shared_mappings(void)
{
	enum { MANY = 2000 };
	static void *pages[MANY];

	/* Every second page goes: the rest are mappings of their own. */
	for (int i = 0; i < MANY; i++) {
		pages[i] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(pages[i] != MAP_FAILED);
		CHECK(munmap(pages[i], 4096) == 0);
	}
	for (int i = 0; i < MANY; i += 199) {
		gate = (sem_t *)((char *)pages[i] + 4096);
		pass_gate();
	}
	gate = malloc(sizeof(*gate));
	pass_gate();
	free(gate);
	for (int i = 0; i < MANY; i++)
		CHECK(munmap((char *)pages[i] + 4096, 4096) == 0);
}

int main(void)
{
	check_begin();
	thread_join(thread_start(pause_a_little, NULL));
	RUN(a_thread_on_a_shared_stack_is_joined);
	RUN(a_thread_where_shared_memory_was_is_joined);
	RUN(a_thread_over_shared_memory_is_joined);
	RUN(a_lock_passes_where_shared_memory_was);
	RUN(a_lock_passes_between_thousands_of_shared_mappings);
	return check_done();
}
