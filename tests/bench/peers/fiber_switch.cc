/* fiber_switch.cc -- Boost.Fiber: one switch between two fibers that yield
 *
 *   fiber_switch [ROUNDS]
 *
 * The scheduler is round_robin, which has a fiber of its own in the same queue: a round of both
 * fibers has that switch as well. Prints the processor time for one yield.
 */
#include "bench.h"
#include <boost/fiber/all.hpp>

static void yield(long times)
{
	while (times--)
		boost::this_fiber::yield();
}

int main(int argc, char **argv)
{
	long rounds = bench_arg(argc, argv, 1, 500000);
	boost::fibers::fiber other(yield, rounds);
	int64_t from;

	boost::this_fiber::yield();
	from = bench_cpu();
	yield(rounds);
	bench_print("switch", (double)(bench_cpu() - from) / (2 * rounds), "ns");
	other.join();
	return 0;
}
