/* spawn.c -- weft_spawn and weft_join of a task that does nothing
 *
 *   spawn [TASKS]
 *
 * One after another. Prints the process's processor time for one.
 */
#include "bench.h"
#include <weft.h>

#define WARM 1000

static void *nothing(void *unused)
{
	return unused;
}

static void spawn_and_join(long count)
{
	while (count--) {
		struct weft_task *task;

		bench_check(-weft_spawn(&task, nothing, NULL), "weft_spawn");
		bench_check(-weft_join(task, NULL, WEFT_FOREVER), "weft_join");
		weft_put(task);
	}
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1, 40000);
	int64_t from;

	spawn_and_join(WARM);
	from = bench_cpu();
	spawn_and_join(count);
	bench_print("create_join", (double)(bench_cpu() - from) / count, "ns");
	return 0;
}
