/* std_thread.cc -- the C++ library's threads, locks, conditions, futures and call_once
 *
 * threads: 10
 */
#include "check.h"
#include <gnu/libc-version.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <algorithm>
#include <shared_mutex>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

static void threads_have_ids_and_end()
{
	std::vector<std::thread> threads;
	std::mutex mutex;
	std::vector<std::thread::id> ids;
	std::condition_variable all;

	for (int i = 0; i < 10; i++)
		threads.emplace_back([&] {
			std::unique_lock<std::mutex> lock(mutex);

			ids.push_back(std::this_thread::get_id());
			all.notify_all();
			all.wait(lock, [&] { return ids.size() == 10; });
		});
	std::vector<std::thread::id> outside;
	for (auto &t : threads)
		outside.push_back(t.get_id());
	for (auto &t : threads)
		t.join();
	std::sort(ids.begin(), ids.end());
	std::sort(outside.begin(), outside.end());
	CHECK(ids == outside);
	CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
	CHECK(!threads[0].joinable());
}

static void a_bounded_queue_passes_everything()
{
	std::mutex mutex;
	std::condition_variable space, filled;
	std::deque<int> queue;
	std::atomic<long> sum{0};
	std::vector<std::thread> threads;

	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			for (int n = 1; n <= 500; n++) {
				std::unique_lock<std::mutex> lock(mutex);

				space.wait(lock, [&] { return queue.size() < 3; });
				queue.push_back(n);
				filled.notify_one();
			}
		});
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			for (int n = 0; n < 500; n++) {
				std::unique_lock<std::mutex> lock(mutex);

				filled.wait(lock, [&] { return !queue.empty(); });
				sum += queue.front();
				queue.pop_front();
				space.notify_one();
			}
		});
	for (auto &t : threads)
		t.join();
	CHECK_EQ(sum, 4 * 500 * 501 / 2);
}

static void waits_and_locks_time_out()
{
	std::mutex mutex;
	std::timed_mutex timed;
	std::recursive_timed_mutex recursive;
	std::shared_timed_mutex shared;
	std::condition_variable cond;
	std::unique_lock<std::mutex> lock(mutex);

	timed.lock();
	recursive.lock();
	shared.lock();
	std::thread other([&] {
		auto start = Clock::now();

		CHECK(!timed.try_lock_for(10ms));
		CHECK(!timed.try_lock_until(std::chrono::system_clock::now() + 10ms));
		CHECK(!recursive.try_lock_until(Clock::now() + 10ms));
		CHECK(!shared.try_lock_shared_for(10ms));
		CHECK(!shared.try_lock_for(10ms));
		CHECK(Clock::now() - start >= 50ms);
	});
	auto start = Clock::now();
	CHECK(!cond.wait_for(lock, 10ms, [] { return false; }));
	CHECK(!cond.wait_until(lock, std::chrono::system_clock::now() + 10ms,
			       [] { return false; }));
	CHECK(Clock::now() - start >= 20ms);
	other.join();
	recursive.lock();
	recursive.unlock();
	recursive.unlock();
	timed.unlock();
	shared.unlock();
}

static void readers_share_and_writers_do_not()
{
	std::shared_mutex mutex;
	std::vector<std::thread> threads;
	int a = 0, b = 0;

	for (int i = 0; i < 8; i++)
		threads.emplace_back([&, i] {
			for (int n = 0; n < 200; n++) {
				if ((n + i) % 4 == 0) {
					std::unique_lock<std::shared_mutex> lock(mutex);
					a++;
					std::this_thread::yield();
					b++;
				} else {
					std::shared_lock<std::shared_mutex> lock(mutex);
					CHECK_EQ(a, b);
				}
			}
		});
	for (auto &t : threads)
		t.join();
	CHECK_EQ(a, 400);
}

static void futures_bring_values_and_exceptions()
{
	std::vector<std::future<int>> results;

	for (int i = 0; i < 10; i++)
		results.push_back(std::async(std::launch::async, [i] {
			std::this_thread::sleep_for(1ms);
			if (i % 3 == 0)
				throw i;
			return i;
		}));
	for (int i = 0; i < 10; i++) {
		try {
			CHECK_EQ(results[i].get(), i);
			CHECK(i % 3);
		} catch (int n) {
			CHECK(i % 3 == 0 && n == i);
		}
	}

	std::promise<std::vector<int>> promise;
	auto future = promise.get_future();
	CHECK(future.wait_for(5ms) == std::future_status::timeout);
	std::thread giver([&] { promise.set_value(std::vector<int>(1000, 3)); });
	CHECK(future.get().size() == 1000);
	giver.join();

	std::promise<void> broken;
	auto never = broken.get_future();
	std::thread([p = std::move(broken)] {}).join();
	try {
		never.get();
		CHECK(!"reached");
	} catch (const std::future_error &e) {
		CHECK(e.code() == std::future_errc::broken_promise);
	}

	std::packaged_task<int(int)> task([](int n) { return n * n; });
	auto square = task.get_future();
	std::thread worker(std::move(task), 12);
	CHECK_EQ(square.get(), 144);
	worker.join();
}

static void a_shared_future_wakes_all()
{
	std::promise<int> promise;
	std::shared_future<int> future = promise.get_future().share();
	std::vector<std::thread> threads;
	std::atomic<int> sum{0};

	for (int i = 0; i < 10; i++)
		threads.emplace_back([&, future] { sum += future.get(); });
	promise.set_value(7);
	for (auto &t : threads)
		t.join();
	CHECK_EQ(sum, 70);
}

/* Before 2.34 glibc's pthread_once waits for ever after a function that threw (its bug 18435). */
static bool once_may_throw()
{
	unsigned major = 0, minor = 0;

	return sscanf(gnu_get_libc_version(), "%u.%u", &major, &minor) == 2 && (major > 2 || minor >= 34);
}

/* The first tries throw: the next thread's call runs it. (libstdc++ builds this on pthread_once.)
 */
static void call_once_runs_until_it_succeeds()
{
	int tries = once_may_throw() ? 4 : 1;

	for (int round = 0; round < 20; round++) {
		std::once_flag flag;
		std::atomic<int> calls{0}, caught{0};
		std::vector<std::thread> threads;

		for (int i = 0; i < 10; i++)
			threads.emplace_back([&] {
				try {
					std::call_once(flag, [&] {
						std::this_thread::yield();
						if (++calls < tries)
							throw 1;
					});
				} catch (int) {
					caught++;
				}
			});
		for (auto &t : threads)
			t.join();
		CHECK_EQ(calls, tries);
		CHECK_EQ(caught, tries - 1);
	}
}

struct Slow {
	int value;
	Slow()
	{
		std::this_thread::sleep_for(2ms);
		value = 5;
	}
};

static std::atomic<int> made;

static int slow_value()
{
	static Slow slow = [] {
		made++;
		return Slow();
	}();

	return slow.value;
}

static void a_local_static_is_made_once()
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 10; i++)
		threads.emplace_back([] { CHECK_EQ(slow_value(), 5); });
	for (auto &t : threads)
		t.join();
	CHECK_EQ(made, 1);
}

static void sleeping_takes_its_time()
{
	auto start = Clock::now();

	std::this_thread::sleep_for(10ms);
	std::this_thread::sleep_until(Clock::now() + 10ms);
	std::this_thread::sleep_until(std::chrono::system_clock::now() + 10ms);
	CHECK(Clock::now() - start >= 30ms);
	CHECK(std::thread::hardware_concurrency() >= 1);
}

int main()
{
	check_begin();
	RUN(threads_have_ids_and_end);
	RUN(a_bounded_queue_passes_everything);
	RUN(waits_and_locks_time_out);
	RUN(readers_share_and_writers_do_not);
	RUN(futures_bring_values_and_exceptions);
	RUN(a_shared_future_wakes_all);
	RUN(call_once_runs_until_it_succeeds);
	RUN(a_local_static_is_made_once);
	RUN(sleeping_takes_its_time);
	return check_done();
}
