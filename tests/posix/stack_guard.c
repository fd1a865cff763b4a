/* stack_guard.c -- a thread has the stack it asked for and below that the guard: of no page, of one, of many
 *
 * threads: 8
 */
#include "check.h"
#include <sys/resource.h>

enum { KIB = 1024, PAGE = 4096, TOGETHER = 8 };

static const size_t stacks[] = {32 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB};
static const size_t guards[] = {0, 1, PAGE, PAGE + 1, 16 * KIB, 64 * KIB, 512 * KIB};

struct wish {
	size_t stack, guard;
};

static size_t whole_pages(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* May the byte be written to? Asked of the kernel, which does not die of it. */
static int is_open(int zero, char *at)
{
	ssize_t n = read(zero, at, 1);

	CHECK(n == 1 || errno == EFAULT);
	return n == 1;
}

static void *look_around(void *arg)
{
	const struct wish *wish = (const struct wish *)arg;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	size_t size, guard;
	pthread_attr_t attr;
	void *low;
	char *at;

	CHECK(zero >= 0);
	CHECK_OK(pthread_getattr_np(pthread_self(), &attr));
	CHECK_OK(pthread_attr_getstack(&attr, &low, &size));
	CHECK_OK(pthread_attr_getguardsize(&attr, &guard));
	CHECK_OK(pthread_attr_destroy(&attr));
	CHECK_EQ(guard, whole_pages(wish->guard));
	CHECK(size >= wish->stack);
	for (at = (char *)low; (uintptr_t)at < (uintptr_t)&attr - 2 * PAGE; at += PAGE)
		if (!is_open(zero, at))
			check_fail(__FILE__, __LINE__, 0, "stack of %zu, guard of %zu: byte %td of the stack is closed",
				   wish->stack, wish->guard, at - (char *)low);
	for (at = (char *)low - 1; at >= (char *)low - guard; at -= PAGE)
		if (is_open(zero, at))
			check_fail(__FILE__, __LINE__, 0, "stack of %zu, guard of %zu: byte %td below the stack is open",
				   wish->stack, wish->guard, (char *)low - at);
	close(zero);
	return NULL;
}

static pthread_t start(void *(*fn)(void *), const struct wish *wish)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, wish->stack));
	CHECK_OK(pthread_attr_setguardsize(&attr, wish->guard));
	CHECK_OK(pthread_create(&thread, &attr, fn, (void *)wish));
	CHECK_OK(pthread_attr_destroy(&attr));
	return thread;
}

static void each_has_what_it_asked_for(void)
{
	for (size_t s = 0; s < sizeof(stacks) / sizeof(*stacks); s++)
		for (size_t g = 0; g < sizeof(guards) / sizeof(*guards); g++)
			thread_join(start(look_around, &(struct wish){stacks[s], guards[g]}));
}

/* The sum of stack and guard is the same: the memory of the one before can be used again. */
static void a_guard_of_the_one_before_is_no_hole(void)
{
	static const struct wish wishes[] = {
		{128 * KIB, 64 * KIB}, {188 * KIB, 4 * KIB}, {192 * KIB, 0}, {128 * KIB, 64 * KIB}, {192 * KIB, 0},
		{188 * KIB, 4 * KIB}, {64 * KIB, 128 * KIB}, {192 * KIB, 0}, {176 * KIB, 16 * KIB},
	};

	for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++)
		thread_join(start(look_around, &wishes[i]));
}

static struct step arrived = STEP_INIT, leave = STEP_INIT;

static void *look_together(void *arg)
{
	step_add(&arrived, 1);
	step_wait(&arrived, TOGETHER);
	look_around(arg);
	step_wait(&leave, 1);
	return NULL;
}

static void neighbours_do_not_touch(void)
{
	static const struct wish wishes[] = {{64 * KIB, 0}, {60 * KIB, 4 * KIB}, {48 * KIB, 16 * KIB}, {32 * KIB, 32 * KIB}};
	pthread_t threads[TOGETHER];

	for (int round = 0; round < 3; round++) {
		step_reset(&arrived);
		step_reset(&leave);
		for (int i = 0; i < TOGETHER; i++)
			threads[i] = start(look_together, &wishes[(i + round) % 4]);
		step_wait(&arrived, TOGETHER);
		step_add(&leave, 1);
		threads_join(threads, TOGETHER);
	}
}

/* Of each frame only the far end is touched. */
__attribute__((noinline)) static int leap(int n)
{
	volatile char frame[24 * KIB];

	frame[0] = (char)n;
	return n == 0 ? frame[0] : leap(n + 1) + frame[0];
}

static void *leap_down(void *arg)
{
	return (void *)(intptr_t)leap(arg != NULL);
}

static void a_leap_is_caught_by_a_wide_guard(void)
{
	static const struct wish wishes[] = {{128 * KIB, 64 * KIB}, {1024 * KIB, 32 * KIB}, {256 * KIB, 256 * KIB}};

	for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++) {
		pid_t child = fork();
		int status;

		CHECK(child >= 0);
		if (child == 0) {
			struct rlimit none = {0, 0};

			setrlimit(RLIMIT_CORE, &none);
			thread_join(start(look_around, &wishes[i]));
			thread_join(start(leap_down, &wishes[i]));
			_exit(0);
		}
		status = child_status(child);
		CHECK_EQ(status & 0x7f, SIGSEGV);
	}
}

static void a_guard_that_leaves_no_stack_is_refused(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setguardsize(&attr, SIZE_MAX));
	CHECK_EQ(pthread_create(&thread, &attr, look_around, NULL), EINVAL);
	CHECK_OK(pthread_attr_destroy(&attr));
}

int main(void)
{
	check_begin();
	RUN(each_has_what_it_asked_for);
	RUN(a_guard_of_the_one_before_is_no_hole);
	RUN(neighbours_do_not_touch);
	RUN(a_leap_is_caught_by_a_wide_guard);
	RUN(a_guard_that_leaves_no_stack_is_refused);
	return check_done();
}
