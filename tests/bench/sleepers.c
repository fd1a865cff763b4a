/* sleepers.c -- many pthreads asleep at once, each on its own
 *
 *   sleepers [THREADS [SECONDS]]
 *
 * Each thread calls nanosleep for SECONDS, twice, and checks that it was not woken early. Stacks of
 * 64 KiB. Prints how many could be created, how many were asleep at the same moment, the memory
 * then, and by how much the latest one overslept its second sleep, which begins when all threads
 * exist. Where not all can be created it says so in a line `refused' and ends with status 3; a
 * thread that woke early makes it status 1.
 */
#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>

#define STACK (64 * 1024)

static double seconds;
static atomic_long asleep, most, early;
static _Atomic int64_t latest;

static int64_t sleep_once(void)
{
	struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
	int64_t from = bench_wall();
	long now = atomic_fetch_add(&asleep, 1) + 1, before = atomic_load(&most);

	while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
		;
	while (nanosleep(&t, &t) && errno == EINTR)
		;
	atomic_fetch_sub(&asleep, 1);
	return bench_wall() - from - (int64_t)(seconds * 1e9);
}

static void *sleeper(void *unused)
{
	int64_t over, before;

	if (sleep_once() < 0)
		atomic_fetch_add(&early, 1);
	over = sleep_once();
	if (over < 0)
		atomic_fetch_add(&early, 1);
	before = atomic_load(&latest);
	while (before < over && !atomic_compare_exchange_weak(&latest, &before, over))
		;
	return unused;
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1, 10000), made;
	pthread_t *threads = malloc(count * sizeof(*threads));
	int64_t from = bench_wall();
	struct bench_memory m;
	pthread_attr_t attr;
	int error = 0;

	seconds = argc > 2 ? atof(argv[2]) : 5;
	bench_check(threads ? 0 : ENOMEM, "sleepers");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (made = 0; made < count && !error; made += !error)
		error = pthread_create(&threads[made], &attr, sleeper, NULL);
	if (error)
		fprintf(stderr, "pthread_create: %s\n", strerror(error));
	bench_print("create", (bench_wall() - from) / 1e9, "s");
	m = bench_memory();
	bench_print("created", made, "threads");
	if (made < count)
		bench_print("refused", count - made, "threads");
	bench_print("kernel_threads", m.threads, "threads");
	bench_print("pss", m.pss, "B");
	bench_print("page_tables", m.tables, "B");
	bench_print("kernel_stacks", (double)m.threads * BENCH_KERNEL_STACK, "B");
	for (long i = 0; i < made; i++)
		bench_check(pthread_join(threads[i], NULL), "pthread_join");
	bench_print("asleep", most, "threads");
	bench_print("overslept", latest / 1e6, "ms");
	bench_print("early", early, "threads");
	return early ? 1 : made < count ? 3 : 0;
}
