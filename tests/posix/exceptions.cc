/* exceptions.cc -- C++ exceptions in threads: thrown, caught, carried over, also across waits
 *
 * threads: 16
 */
#include "check.h"
#include <atomic>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

enum { THREADS = 16 };

static std::atomic<int> destroyed;
static struct step arrived = STEP_INIT;

/* Its destructor waits: other threads throw and catch meanwhile. */
struct Guard {
	int n;
	explicit Guard(int n) : n(n)
	{
	}
	~Guard()
	{
		sched_yield();
		destroyed++;
	}
};

__attribute__((noinline)) static void throw_deep(int depth, int n)
{
	Guard guard(n);

	if (depth == 0)
		throw std::runtime_error("from " + std::to_string(n));
	throw_deep(depth - 1, n);
}

static void *throw_and_catch(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct timespec t = timespec_ms(1);

	step_add(&arrived, 1);
	step_wait(&arrived, THREADS);
	for (int i = 0; i < 20; i++) {
		try {
			throw_deep(10, n);
			CHECK(!"reached");
		} catch (const std::exception &e) {
			std::string seen = e.what();

			if (i % 5 == 0)
				nanosleep(&t, NULL);
			sched_yield();
			CHECK(seen == "from " + std::to_string(n));
			CHECK(seen == e.what());
			CHECK(std::current_exception() != nullptr);
			CHECK_EQ(std::uncaught_exceptions(), 0);
		}
		CHECK(std::current_exception() == nullptr);
	}
	return NULL;
}

static void each_thread_catches_its_own()
{
	pthread_t threads[THREADS];

	destroyed = 0;
	step_reset(&arrived);
	threads_start(threads, THREADS, throw_and_catch);
	threads_join(threads, THREADS);
	CHECK_EQ(destroyed, THREADS * 20 * 11);
}

static void *nest(void *arg)
{
	int depth = (int)(intptr_t)arg;

	for (int round = 0; round < 10; round++) {
		try {
			throw depth;
		} catch (int outer) {
			try {
				sched_yield();
				throw std::string("inner");
			} catch (const std::string &inner) {
				sched_yield();
				CHECK(inner == "inner");
			}
			CHECK_EQ(outer, depth);
			try {
				throw;
			} catch (int again) {
				CHECK_EQ(again, depth);
			}
		}
	}
	return NULL;
}

static void exceptions_nest_and_are_thrown_again()
{
	pthread_t threads[THREADS];

	threads_start(threads, THREADS, nest);
	threads_join(threads, THREADS);
}

static std::exception_ptr carried;

static void *throw_and_keep(void *arg)
{
	try {
		throw_deep(3, 77);
	} catch (...) {
		carried = std::current_exception();
	}
	return arg;
}

static void an_exception_is_carried_to_another_thread()
{
	thread_join(thread_start(throw_and_keep, NULL));
	try {
		std::rethrow_exception(carried);
	} catch (const std::runtime_error &e) {
		CHECK(std::string(e.what()) == "from 77");
	}
	carried = nullptr;
}

static void *exit_through_frames(void *arg)
{
	Guard one(1);
	std::unique_ptr<Guard> two(new Guard(2));

	try {
		Guard three(3);

		pthread_exit(arg);
	} catch (...) {
		/* The forced unwinding passes here and must go on. */
		destroyed += 100;
		throw;
	}
	return NULL;
}

static void pthread_exit_runs_destructors()
{
	destroyed = 0;
	for (int i = 0; i < 5; i++)
		CHECK(thread_join(thread_start(exit_through_frames, &destroyed)) == &destroyed);
	CHECK_EQ(destroyed, 5 * 103);
}

static void *throw_out(void *arg)
{
	if (arg == NULL)
		throw 1;
	return arg;
}

static void quiet_end()
{
	_exit(9);
}

static void an_uncaught_exception_terminates()
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		std::set_terminate(quiet_end);
		thread_join(thread_start(throw_out, NULL));
		_exit(1);
	}
	CHECK_EQ(child_status(child), 9 << 8);
}

struct Local {
	std::string text = "fresh";
	~Local()
	{
		sched_yield();
		CHECK(text.size() > 5);
		destroyed++;
	}
};

static thread_local Local local;

static void *use_local(void *arg)
{
	CHECK(local.text == "fresh");
	local.text += std::string(100, 'a' + (int)(intptr_t)arg);
	sched_yield();
	CHECK(local.text.back() == 'a' + (int)(intptr_t)arg);
	return NULL;
}

static void thread_local_objects_are_made_and_destroyed()
{
	pthread_t threads[THREADS];

	destroyed = 0;
	threads_start(threads, THREADS, use_local);
	threads_join(threads, THREADS);
	CHECK_EQ(destroyed, THREADS);
}

int main()
{
	check_begin();
	RUN(each_thread_catches_its_own);
	RUN(exceptions_nest_and_are_thrown_again);
	RUN(an_exception_is_carried_to_another_thread);
	RUN(pthread_exit_runs_destructors);
	RUN(an_uncaught_exception_terminates);
	RUN(thread_local_objects_are_made_and_destroyed);
	return check_done();
}
