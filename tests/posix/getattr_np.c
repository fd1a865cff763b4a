/* getattr_np.c -- what a thread can learn of itself: stack, guard, state, policy
 *
 * threads: 8
 */
#include "check.h"
#include <limits.h>
#include <sys/resource.h>

struct seen {
	char *low;
	size_t size, guard;
	int detached;
};

static struct step told = STEP_INIT, arrived = STEP_INIT;

static struct seen look(pthread_t thread)
{
	struct seen s;
	pthread_attr_t attr;
	void *low;

	CHECK_OK(pthread_getattr_np(thread, &attr));
	CHECK_OK(pthread_attr_getstack(&attr, &low, &s.size));
	CHECK_OK(pthread_attr_getguardsize(&attr, &s.guard));
	CHECK_OK(pthread_attr_getdetachstate(&attr, &s.detached));
	CHECK_OK(pthread_attr_destroy(&attr));
	s.low = (char *)low;
	return s;
}

static void check_here(struct seen s)
{
	char here;
	char *at = &here;

	CHECK(at > s.low && at < s.low + s.size);
}

/* Uses most of the stack that it was told it has. */
__attribute__((noinline)) static void use_stack(char *low)
{
	char page[1024];

	memset(page, 1, sizeof(page));
	__asm__ volatile("" : : "r"(page) : "memory");
	if (page - low > 6000)
		use_stack(low);
	__asm__ volatile("" : : "r"(page) : "memory");
}

static void *look_at_self(void *arg)
{
	struct seen s = look(pthread_self()), again;
	size_t wanted = (size_t)(intptr_t)arg;

	check_here(s);
	/* A stack that was used before may be larger. */
	CHECK(s.size >= wanted - 16384);
	use_stack(s.low);
	sched_yield();
	again = look(pthread_self());
	CHECK(again.low == s.low && again.size == s.size && again.guard == s.guard);
	return NULL;
}

static void a_thread_has_the_stack_it_was_given(void)
{
	static const size_t sizes[] = {64 << 10, 256 << 10, 1 << 20, 8 << 20};

	for (int i = 0; i < 8; i++) {
		size_t guard = i / 4 ? 16384 : 4096;
		pthread_t thread;
		pthread_attr_t attr;
		struct seen s;

		CHECK_OK(pthread_attr_init(&attr));
		CHECK_OK(pthread_attr_setstacksize(&attr, sizes[i % 4]));
		CHECK_OK(pthread_attr_setguardsize(&attr, guard));
		CHECK_OK(pthread_create(&thread, &attr, look_at_self, (void *)sizes[i % 4]));
		s = look(thread);
		CHECK_EQ(s.guard, guard);
		CHECK_EQ(s.detached, PTHREAD_CREATE_JOINABLE);
		thread_join(thread);
		CHECK_OK(pthread_attr_destroy(&attr));
	}
}

static void *wait_and_check(void *arg)
{
	struct seen *s = (struct seen *)arg;

	step_add(&arrived, 1);
	step_wait(&told, 1);
	check_here(*s);
	return NULL;
}

static void stacks_do_not_overlap(void)
{
	pthread_t threads[8];
	struct seen s[8];

	for (int i = 0; i < 8; i++) {
		threads[i] = thread_start(wait_and_check, &s[i]);
		s[i] = look(threads[i]);
		for (int k = 0; k < i; k++)
			CHECK(s[i].low + s[i].size <= s[k].low || s[k].low + s[k].size <= s[i].low);
	}
	step_add(&told, 1);
	threads_join(threads, 8);
}

static void the_default_size_is_the_limit_of_the_process(void)
{
	struct rlimit limit;
	pthread_attr_t attr;
	size_t size;

	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
	CHECK_OK(pthread_getattr_default_np(&attr));
	CHECK_OK(pthread_attr_getstacksize(&attr, &size));
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur % 4096 == 0)
		CHECK_EQ(size, limit.rlim_cur);
	thread_join(thread_start(look_at_self, (void *)size));
	CHECK_OK(pthread_attr_setstacksize(&attr, 128 << 10));
	CHECK_OK(pthread_setattr_default_np(&attr));
	thread_join(thread_start(look_at_self, (void *)(128 << 10)));
	CHECK_OK(pthread_attr_setstacksize(&attr, size));
	CHECK_OK(pthread_setattr_default_np(&attr));
	CHECK_OK(pthread_attr_destroy(&attr));
}

static void a_stack_of_the_programs_own_is_used(void)
{
	size_t size = 256 << 10;
	char *own = (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

	CHECK(own != MAP_FAILED);
	for (int i = 0; i < 5; i++) {
		struct seen s;
		pthread_t thread;
		pthread_attr_t attr;

		memset(own, 0xee, size);
		CHECK_OK(pthread_attr_init(&attr));
		CHECK_OK(pthread_attr_setstack(&attr, own, size));
		CHECK_OK(pthread_create(&thread, &attr, look_at_self, (void *)size));
		s = look(thread);
		CHECK(s.low >= own && s.low + s.size <= own + size);
		thread_join(thread);
		CHECK_OK(pthread_attr_destroy(&attr));
	}
	CHECK(munmap(own, size) == 0);
}

static void main_knows_its_stack(void)
{
	check_here(look(pthread_self()));
}

static void *main_from_a_thread(void *arg)
{
	struct seen s = look(*(pthread_t *)arg);

	CHECK((char *)arg > s.low && (char *)arg < s.low + s.size);
	return NULL;
}

static void a_thread_knows_the_stack_of_main(void)
{
	pthread_t self = pthread_self();

	thread_join(thread_start(main_from_a_thread, &self));
}

static void sizes_too_small_are_refused(void)
{
	pthread_attr_t attr;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_EQ(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN - 1), EINVAL);
	CHECK_OK(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN));
	CHECK_OK(pthread_attr_destroy(&attr));
}

int main(void)
{
	check_begin();
	RUN(main_knows_its_stack);
	RUN(a_thread_has_the_stack_it_was_given);
	RUN(stacks_do_not_overlap);
	RUN(the_default_size_is_the_limit_of_the_process);
	RUN(a_stack_of_the_programs_own_is_used);
	RUN(main_knows_its_stack);
	RUN(a_thread_knows_the_stack_of_main);
	RUN(sizes_too_small_are_refused);
	return check_done();
}
