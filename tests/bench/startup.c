/* startup.c -- what it costs to start a program that makes no thread
 *
 *   startup [RUNS]
 *
 * Runs itself, doing nothing, again and again, in the environment that it has itself, and prints
 * the median processor time of a run: vfork, exec, loading and exit.
 */
#include "bench.h"
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static double run_once(char *self)
{
	char *args[] = {self, "nothing", NULL};
	struct rusage use;
	int status;
	pid_t pid;

	bench_check(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ), "spawn");
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
	long runs = bench_arg(argc, argv, 1, 200);
	double *took;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	took = calloc(runs, sizeof(*took));
	bench_check(runs > 0 && took ? 0 : EINVAL, "startup");
	for (long i = 0; i < runs; i++)
		took[i] = run_once(argv[0]);
	bench_print("startup", median(took, runs), "us");
	return 0;
}
