/* fiber_create.cc -- Boost.Fiber: creation and join of a fiber that does nothing
 *
 *   fiber_create [FIBERS]       one after another; prints the processor time for one
 *
 * Stacks come from the library's pool of them, the fastest of its allocators.
 */
#include "bench.h"
#include <boost/fiber/all.hpp>
#include <memory>

static void create_and_join(boost::fibers::pooled_fixedsize_stack &stacks, long count)
{
	while (count--)
		boost::fibers::fiber(std::allocator_arg, stacks, [] {}).join();
}

int main(int argc, char **argv)
{
	boost::fibers::pooled_fixedsize_stack stacks;
	long count = bench_arg(argc, argv, 1, 200000);
	int64_t from;

	create_and_join(stacks, 1000);
	from = bench_cpu();
	create_and_join(stacks, count);
	bench_print("create_join", (double)(bench_cpu() - from) / count, "ns");
	return 0;
}
