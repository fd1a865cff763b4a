/* bench.h -- clocks, memory, a listening socket and the output line that the bench programs share
 *
 * A program prints lines of `name value unit' on standard output and nothing else there; what went
 * wrong goes to standard error, with a status other than 0.
 *
 * Threads: any.    Errors: bench_check ends the process with status 1.    Memory: static, none
 * allocated.
 */
#ifndef BENCH_H
#define BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BENCH_KERNEL_STACK 16384 /* THREAD_SIZE of x86-64 */

struct bench_memory {
	long pss;     /* bytes, of the whole process */
	long tables;  /* bytes of page tables */
	long threads; /* kernel threads */
};

static inline int64_t bench_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* bench_cpu -- processor time of the whole process, ended threads included, ns */
static inline int64_t bench_cpu(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline int64_t bench_wall(void)
{
	return bench_clock(CLOCK_MONOTONIC);
}

/* bench_print -- with decimals always: a figure is taken to be as fine as it is printed */
static inline void bench_print(const char *name, double value, const char *unit)
{
	printf("%s %.3f %s\n", name, value, unit);
	fflush(stdout);
}

/* bench_check -- `error' is 0 or an errno: else say what failed and end */
static inline void bench_check(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "%s: %s\n", what, strerror(error));
		exit(1);
	}
}

/* bench_field -- the number behind `key' in a file of /proc; -1 where there is none */
static inline long bench_field(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long value = -1;

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static inline struct bench_memory bench_memory(void)
{
	struct bench_memory m;

	m.pss = bench_field("/proc/self/smaps_rollup", "Pss:") * 1024;
	m.tables = bench_field("/proc/self/status", "VmPTE:") * 1024;
	m.threads = bench_field("/proc/self/status", "Threads:");
	return m;
}

/* bench_arg -- the nth argument as a number, `otherwise' where it is not given */
static inline long bench_arg(int argc, char **argv, int n, long otherwise)
{
	return argc > n ? strtol(argv[n], NULL, 0) : otherwise;
}

/* bench_listen -- a socket that listens for a server whose arguments are ADDRESS PORT
 *
 * flags  of socket(2), beside SOCK_STREAM. SIGPIPE is ignored from here on. Without PORT it takes a
 *        free one and prints "port N".
 */
static inline int bench_listen(int argc, char **argv, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), on = 1;
	struct sockaddr_in at;
	socklen_t size = sizeof(at);

	memset(&at, 0, sizeof(at));
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = inet_addr(argc > 1 ? argv[1] : "127.0.0.1");
	at.sin_port = htons((uint16_t)bench_arg(argc, argv, 2, 0));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, 4096))
		bench_check(errno, "listen");
	if (argc < 3 && getsockname(fd, (struct sockaddr *)&at, &size) == 0) {
		printf("port %d\n", ntohs(at.sin_port));
		fflush(stdout);
	}
	signal(SIGPIPE, SIG_IGN);
	return fd;
}

#endif
