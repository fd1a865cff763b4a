/* parked.c -- how many pthreads one program can hold parked in pthread_cond_wait
 *
 *   parked [THREADS [KIB]]
 *
 * Stacks of KIB, 64 by default; 0 for the default of the system. Prints the time to create them and until the last one waits, the memory at that
 * point, the time to wake all by one broadcast, the time to join them, and what is left after
 * malloc_trim(0). Where not all can be created it says so in a line `refused', wakes and joins
 * those that exist, and ends with status 3.
 */
#include "bench.h"
#include <malloc.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER, changed = PTHREAD_COND_INITIALIZER;
static long parked, awake, wanted;
static int release;

static void *park(void *unused)
{
	pthread_mutex_lock(&lock);
	if (++parked == wanted)
		pthread_cond_signal(&changed);
	while (!release)
		pthread_cond_wait(&released, &lock);
	if (++awake == wanted)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return unused;
}

static long create(pthread_t *threads, long count, long kib)
{
	pthread_attr_t attr;
	long made;
	int error = 0;

	pthread_attr_init(&attr);
	if (kib)
		bench_check(pthread_attr_setstacksize(&attr, (size_t)kib * 1024), "stack size");
	for (made = 0; made < count; made++) {
		error = pthread_create(&threads[made], &attr, park, NULL);
		if (error)
			break;
	}
	if (error)
		fprintf(stderr, "parked: thread %ld: %s\n", made + 1, strerror(error));
	pthread_attr_destroy(&attr);
	return made;
}

static void wait_for(long *counter)
{
	while (*counter < wanted)
		pthread_cond_wait(&changed, &lock);
}

static void print_memory(const char *pss, const char *tables, const char *stacks)
{
	struct bench_memory m = bench_memory();

	bench_print(pss, m.pss, "B");
	bench_print(tables, m.tables, "B");
	bench_print(stacks, (double)m.threads * BENCH_KERNEL_STACK, "B");
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1, 10000), made;
	pthread_t *threads = malloc(count * sizeof(*threads));
	int64_t from = bench_wall();

	bench_check(threads ? 0 : ENOMEM, "parked");
	wanted = count;
	made = create(threads, count, bench_arg(argc, argv, 2, 64));
	pthread_mutex_lock(&lock);
	wanted = made;
	wait_for(&parked);
	bench_print("create", (bench_wall() - from) / 1e9, "s");
	bench_print("parked", parked, "threads");
	if (made < count)
		bench_print("refused", count - made, "threads");
	bench_print("kernel_threads", bench_memory().threads, "threads");
	print_memory("pss", "page_tables", "kernel_stacks");

	from = bench_wall();
	release = 1;
	pthread_cond_broadcast(&released);
	wait_for(&awake);
	pthread_mutex_unlock(&lock);
	bench_print("wake", (bench_wall() - from) / 1e9, "s");
	from = bench_wall();
	for (long i = 0; i < made; i++)
		bench_check(pthread_join(threads[i], NULL), "pthread_join");
	bench_print("join", (bench_wall() - from) / 1e9, "s");
	free(threads);
	malloc_trim(0);
	print_memory("pss_after", "page_tables_after", "kernel_stacks_after");
	return made < count ? 3 : 0;
}
