/* st_switch.c -- state-threads: one switch between two threads
 *
 *   st_switch [ROUNDS]
 *
 * The library has no yield, so each signals the condition that the other waits for and waits for
 * its own. A round is two switches; prints the processor time of one.
 */
#include "bench.h"
#include <st.h>

static st_cond_t turns[2];
static long rounds;

static void *other(void *unused)
{
	for (;;) {
		st_cond_wait(turns[1]);
		st_cond_signal(turns[0]);
	}
	return unused;
}

int main(int argc, char **argv)
{
	int64_t from;

	rounds = bench_arg(argc, argv, 1, 1000000);
	bench_check(st_init() ? errno : 0, "st_init");
	turns[0] = st_cond_new();
	turns[1] = st_cond_new();
	bench_check(st_thread_create(other, NULL, 0, 0) ? 0 : ENOMEM, "st_thread_create");
	st_usleep(0); /* it waits now */
	from = bench_cpu();
	for (long i = 0; i < rounds; i++) {
		st_cond_signal(turns[1]);
		st_cond_wait(turns[0]);
	}
	bench_print("switch", (double)(bench_cpu() - from) / (2 * rounds), "ns");
	return 0;
}
