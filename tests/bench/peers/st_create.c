/* st_create.c -- state-threads: st_thread_create and st_thread_join of a thread that does nothing
 *
 *   st_create [THREADS]         one after another; prints the processor time for one
 */
#include "bench.h"
#include <st.h>

#define WARM 1000

static void *nothing(void *unused)
{
	return unused;
}

static void create_and_join(long count)
{
	while (count--) {
		st_thread_t thread = st_thread_create(nothing, NULL, 1, 0);

		bench_check(thread ? 0 : ENOMEM, "st_thread_create");
		bench_check(st_thread_join(thread, NULL) ? errno : 0, "st_thread_join");
	}
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1, 200000);
	int64_t from;

	bench_check(st_init() ? errno : 0, "st_init");
	create_and_join(WARM);
	from = bench_cpu();
	create_and_join(count);
	bench_print("create_join", (double)(bench_cpu() - from) / count, "ns");
	return 0;
}
