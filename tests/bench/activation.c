/* activation.c -- how much longer a program's first thread takes than a later one
 *
 *   activation [OBJECT...]
 *
 * Loads the OBJECTs (the cost grows with the text to look through), creates and joins threads one
 * after another, and prints the processor time of the first pair, the median of the later ones, the
 * difference, and how much text was mapped.
 */
#include "bench.h"
#include <dlfcn.h>
#include <pthread.h>

#define LATER 101

static void *nothing(void *unused)
{
	return unused;
}

static double create_and_join(void)
{
	int64_t from = bench_cpu();
	pthread_t thread;

	bench_check(pthread_create(&thread, NULL, nothing, NULL), "pthread_create");
	bench_check(pthread_join(thread, NULL), "pthread_join");
	return (bench_cpu() - from) / 1e3;
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* bytes of executable mappings, the vdso's and the preloaded library's included */
static double text(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512], kind[8];
	double sum = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, kind) == 3 && strchr(kind, 'x'))
			sum += to - from;
	if (f)
		fclose(f);
	return sum;
}

int main(int argc, char **argv)
{
	double first, later[LATER];

	for (int i = 1; i < argc; i++)
		if (!dlopen(argv[i], RTLD_NOW))
			return fprintf(stderr, "activation: %s\n", dlerror()), 1;
	bench_print("text", text(), "B");
	first = create_and_join();
	for (int i = 0; i < LATER; i++)
		later[i] = create_and_join();
	qsort(later, LATER, sizeof(*later), smaller);
	bench_print("first", first, "us");
	bench_print("later", later[LATER / 2], "us");
	bench_print("first_minus_later", first - later[LATER / 2], "us");
	return 0;
}
