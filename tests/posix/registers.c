/* registers.c -- what a thread has in its registers and control words stays its own over waits,
 * yields and interruptions
 *
 * flags: -frounding-math
 * libs: -lm
 * threads: 8
 */
#include "check.h"
#include <fenv.h>
#include <math.h>

enum { THREADS = 8, ROUNDS = 200 };

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
static struct step arrived = STEP_INIT;
static volatile double one = 1, three = 3;

static void check_mode(int n)
{
	double third = one / three;
	long double long_third = (long double)one / three;

	CHECK_EQ(fegetround(), modes[n % 4]);
	/* Rounded up it is more than a third; any other way less. */
	CHECK_EQ(third * 3 > 1 || third > 0.33333333333333331, n % 4 == 1);
	CHECK(long_third > 0);
}

/* Spins long enough to be interrupted, with all vector registers in use. */
static void compute(int n)
{
	typedef float vector __attribute__((vector_size(16)));
	vector v[12];

	for (int i = 0; i < 12; i++)
		v[i] = (vector){(float)(n + i), (float)i, (float)n, 1};
	for (int i = 0; i < 20000; i++) {
		__asm__ volatile(""
				 : "+x"(v[0]), "+x"(v[1]), "+x"(v[2]), "+x"(v[3]), "+x"(v[4]),
				   "+x"(v[5]));
		__asm__ volatile(""
				 : "+x"(v[6]), "+x"(v[7]), "+x"(v[8]), "+x"(v[9]), "+x"(v[10]),
				   "+x"(v[11]));
	}
	for (int i = 0; i < 12; i++)
		CHECK(v[i][0] == (float)(n + i) && v[i][1] == (float)i && v[i][2] == (float)n &&
		      v[i][3] == 1);
}

static void *keep_mode(void *arg)
{
	struct timespec t = timespec_ms(1);
	int n = (int)(intptr_t)arg;

	CHECK_EQ(fesetround(modes[n % 4]), 0);
	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		check_mode(n);
		compute(n);
		if (i % 10 == 0)
			nanosleep(&t, NULL);
		else
			sched_yield();
		check_mode(n);
	}
	return NULL;
}

static void rounding_modes_are_each_threads_own(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, keep_mode);
	threads_join(threads, THREADS);
	CHECK_EQ(fegetround(), FE_TONEAREST);
}

static void *inherit_mode(void *arg)
{
	CHECK_EQ(fegetround(), FE_UPWARD);
	return arg;
}

static void a_new_thread_inherits_the_mode(void)
{
	CHECK_EQ(fesetround(FE_UPWARD), 0);
	thread_join(thread_start(inherit_mode, NULL));
	CHECK_EQ(fesetround(FE_TONEAREST), 0);
}

static void *raise_flags(void *arg)
{
	int n = (int)(intptr_t)arg;

	feclearexcept(FE_ALL_EXCEPT);
	if (n % 2)
		feraiseexcept(FE_OVERFLOW);
	for (int i = 0; i < 20; i++) {
		sched_yield();
		CHECK_EQ(fetestexcept(FE_OVERFLOW) != 0, n % 2);
	}
	return NULL;
}

static void exception_flags_are_each_threads_own(void)
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, raise_flags);
	threads_join(threads, THREADS);
}

int main(void)
{
	check_begin();
	RUN(rounding_modes_are_each_threads_own);
	RUN(a_new_thread_inherits_the_mode);
	RUN(exception_flags_are_each_threads_own);
	return check_done();
}
