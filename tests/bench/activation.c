/* activation.c -- what a program's first thread costs
 *
 *   activation [OBJECT...]
 *
 * Loads the OBJECTs (the cost grows with the text to look through), and prints how much text is
 * mapped and the processor time to create and join a thread for the first time. Later ones cost a
 * thousandth of that under Weft: `create' has them.
 */
#include "bench.h"
#include <dlfcn.h>
#include <pthread.h>

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
	for (int i = 1; i < argc; i++)
		if (!dlopen(argv[i], RTLD_NOW))
			return fprintf(stderr, "activation: %s\n", dlerror()), 1;
	bench_print("text", text(), "B");
	bench_print("first", create_and_join(), "us");
	return 0;
}
