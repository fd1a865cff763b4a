/* many_threads.c -- N threads parked in one pthread_cond_wait, woken together, joined, and their
 * memory given back
 *
 * A second argument prints times and memory (PSS, page tables) while all are parked and at the end.
 *
 * args: 1000
 * threads: 1000
 */
#define CHECK_LIMIT_S 240
#include "check.h"
#include <malloc.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER, go = PTHREAD_COND_INITIALIZER;
static long parked, left, count, report;
static int started;

static void *park(void *arg)
{
	pthread_mutex_lock(&lock);
	if (++parked == count)
		pthread_cond_signal(&arrived);
	while (!started)
		pthread_cond_wait(&go, &lock);
	left++;
	pthread_mutex_unlock(&lock);
	return arg;
}

static long field_kb(const char *path, const char *name)
{
	char line[256];
	long kb = -1;
	FILE *file = fopen(path, "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kb = atol(line + strlen(name));
	fclose(file);
	return kb;
}

static void print(const char *what, int64_t since)
{
	if (report)
		printf("%-8s %7lld ms  pss %9ld kB  page tables %8ld kB\n", what,
		       (long long)(now_ms() - since), field_kb("/proc/self/smaps_rollup", "Pss:"),
		       field_kb("/proc/self/status", "VmPTE:"));
}

static void all_park_wake_and_are_joined(void)
{
	pthread_t *threads = (pthread_t *)calloc(count, sizeof(*threads));
	int64_t start = now_ms();
	pthread_attr_t attr;

	CHECK(threads);
	CHECK_OK(pthread_attr_init(&attr));
	CHECK_OK(pthread_attr_setstacksize(&attr, 64 << 10));
	for (long i = 0; i < count; i++)
		CHECK_OK(pthread_create(&threads[i], &attr, park, (void *)i));
	pthread_mutex_lock(&lock);
	while (parked < count)
		pthread_cond_wait(&arrived, &lock);
	CHECK_EQ(left, 0);
	pthread_mutex_unlock(&lock);
	print("parked", start);

	pthread_mutex_lock(&lock);
	started = 1;
	pthread_cond_broadcast(&go);
	pthread_mutex_unlock(&lock);
	for (long i = 0; i < count; i++)
		CHECK(thread_join(threads[i]) == (void *)i);
	CHECK_EQ(left, count);
	free(threads);
	pthread_attr_destroy(&attr);
	malloc_trim(0);
	print("joined", start);
}

int main(int argc, char **argv)
{
	count = argc > 1 ? atol(argv[1]) : 1000;
	report = argc > 2;
	check_begin();
	RUN(all_park_wake_and_are_joined);
	return check_done();
}
