/* test_task_tls.c -- weft_spawn where thread-local variables do not fit into a task's usual stack
 *
 * threads: 1
 * flags: -Wno-unused-parameter
 */
#include "check.h"

static __thread char large[512 * 1024];

static void *fill(void *p)
{
	memset(large, 'x', sizeof large);
	return large[sizeof large - 1] == 'x' ? p : NULL;
}

static void large_thread_locals_have_room(void)
{
	struct weft_task *task = spawn(fill, &task);

	join(task, &task);
	weft_put(task);
}

TESTS(
	TEST(large_thread_locals_have_room)
)
