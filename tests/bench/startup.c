/* startup.c -- what the library adds to a program that never makes a thread
 *
 *   startup LIBRARY [RUNS]
 *
 * Runs itself, doing nothing, with and without LIBRARY in LD_PRELOAD, in turn and in alternating
 * order, and prints the median processor time of each (vfork, exec, loading and exit) and the
 * median of the differences. The harness strips LD_PRELOAD.
 */
#include "bench.h"
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static double run_once(char *self, char **environment)
{
	char *args[] = {self, "nothing", NULL};
	struct rusage use;
	int status;
	pid_t pid;

	bench_check(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environment), "spawn");
	if (wait4(pid, &status, 0, &use) != pid || status) {
		fprintf(stderr, "startup: a run ended with status 0x%x\n", status);
		exit(1);
	}
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 + use.ru_utime.tv_usec +
	       use.ru_stime.tv_usec;
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, long count)
{
	qsort(values, count, sizeof(*values), smaller);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	long runs = bench_arg(argc, argv, 2, 400), size = 0;
	double *bare, *with, *added;
	char preload[4096], **environment;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc < 2 || runs < 1)
		return fprintf(stderr, "usage: startup LIBRARY [RUNS]\n"), 2;
	while (environ[size])
		size++;
	environment = calloc(size + 2, sizeof(*environment));
	bare = calloc(runs * 3, sizeof(*bare));
	bench_check(environment && bare ? 0 : ENOMEM, "startup");
	with = bare + runs;
	added = with + runs;
	memcpy(environment, environ, size * sizeof(*environ));
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", argv[1]);
	environment[size] = preload;
	for (long i = 0; i < runs; i++) {
		if (i % 2)
			with[i] = run_once(argv[0], environment);
		bare[i] = run_once(argv[0], environ);
		if (i % 2 == 0)
			with[i] = run_once(argv[0], environment);
		added[i] = with[i] - bare[i];
	}
	bench_print("startup_bare", median(bare, runs), "us");
	bench_print("startup_with", median(with, runs), "us");
	bench_print("startup_added", median(added, runs), "us");
	return 0;
}
