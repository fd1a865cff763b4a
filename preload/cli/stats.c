/* stats.c -- `weft stats FILE': print the counters that a process keeps in a file
 *
 * The file is copied, not mapped: a mapping of a file that its owner cuts short meanwhile would end
 * us with SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stat.h"
#include "cli.h"
#include "option.h"

static const char *const counter_names[STAT_COUNT] = {
#define STAT(name, help) #name,
#include "stat.def"
#undef STAT
};

static const char *const counter_help[STAT_COUNT] = {
#define STAT(name, help) help,
#include "stat.def"
#undef STAT
};

static const struct {
	enum stat_carrier_kind kind;
	const char *threads, *tids, *help;
} kinds[] = {
	{CARRIER_HUB, "hub_threads", "hub_tids", "kernel threads that run a hub"},
	{CARRIER_SPARE, "spare_threads", "spare_tids", "kernel threads that stand spare"},
	{CARRIER_DETACHED, "detached_threads", "detached_tids",
	 "kernel threads whose task blocked in the kernel"},
	{CARRIER_MONITOR, "monitor_threads", "monitor_tids", "kernel threads that watch the hubs"},
	{CARRIER_OFFLOAD, "offload_threads", "offload_tids", "kernel threads of the offload pool"},
	{CARRIER_BOUND, "bound_threads", "bound_tids", "kernel threads that bound tasks own"},
};

static bool raw;	/* --raw */

static void print_text(const char *name, const char *value, const char *help)
{
	if (raw)
		printf("%s %s\n", name, value);
	else
		printf("%-18s %14s   # %s\n", name, value, help);
}

static void print_number(const char *name, int64_t value, const char *help)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	print_text(name, text, help);
}

/* print_why -- the one text that the process wrote; it may hold anything when the file is not ours
 * to trust. */
static void print_why(const struct stat_page *page)
{
	char text[sizeof page->why + 1];
	size_t n = 0;

	for (; n < sizeof page->why && page->why[n]; n++)
		text[n] = page->why[n] >= ' ' && page->why[n] <= '~' ? page->why[n] : '?';
	text[n] = 0;
	print_text("why", n ? text : "-", "why the process runs natively");
}

static void print_carriers(const struct stat_page *page, size_t kind)
{
	static char tids[STAT_CARRIERS * 11 + 1];
	size_t n = 0;
	int count = 0;

	for (size_t i = 0; i < STAT_CARRIERS; i++) {
		const struct stat_carrier *c = &page->carriers[i];

		if (c->tid == 0 || c->kind != kinds[kind].kind)
			continue;
		n += (size_t)sprintf(tids + n, "%s%" PRIu32, n ? "," : "", c->tid);
		count++;
	}
	print_number(kinds[kind].threads, count, kinds[kind].help);
	print_text(kinds[kind].tids, n ? tids : "-", "their thread ids");
}

static void print_page(const struct stat_page *page)
{
	print_text("mode", page->mode == STAT_ACTIVE ? "active" : "native",
		   "active: threads are tasks");
	print_why(page);
	print_number("pid", page->pid, "the process");
	print_number("hubs", page->hubs, "schedulers");
	print_number("alive", page->alive, "tasks alive now, the first one included");
	print_number("alive_max", page->alive_max, "the most there were at once");
	print_number("activation_us", page->activation_ns / 1000,
		     "microseconds that activation took");
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		print_carriers(page, i);
	for (size_t i = 0; i < STAT_COUNT; i++) {
		uint64_t sum = 0;

		for (size_t block = 0; block <= STAT_HUBS; block++)
			sum += page->count[block][i];
		print_number(counter_names[i], (int64_t)sum, counter_help[i]);
	}
}

/* read_page -- copy as much of the file as there is, at most one page. Returns its length or
 * -errno. */
static ssize_t read_page(int fd, struct stat_page *page)
{
	size_t n = 0;

	while (n < sizeof *page) {
		ssize_t got = pread(fd, (char *)page + n, sizeof *page - n, (off_t)n);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* check -- say what is wrong with a file of n bytes. */
static int check(const char *file, const struct stat_page *page, size_t n)
{
	size_t head = offsetof(struct stat_page, pid);

	/* The last byte of the magic number is a version. */
	if (n < sizeof page->magic || (page->magic ^ STAT_MAGIC) << 8)
		return cli_fail(CLI_FAILED, "%s is no statistics file", file);
	if (n < head)
		return cli_fail(CLI_FAILED, "%s is cut short: %zu bytes", file, n);
	if (page->magic != STAT_MAGIC || page->size != sizeof *page || page->counters != STAT_COUNT)
		return cli_fail(CLI_FAILED, "%s was written by another version of Weft", file);
	if (n < sizeof *page)
		return cli_fail(CLI_FAILED, "%s is cut short: %zu of %zu bytes", file, n,
				sizeof *page);
	return 0;
}

static int show(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat_page *page;
	struct stat st;
	ssize_t n;
	int status;

	if (fd < 0 || fstat(fd, &st))
		return cli_fail(CLI_FAILED, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cli_fail(CLI_FAILED, "%s is no regular file", file);
	page = calloc(1, sizeof *page);
	if (!page)
		return cli_fail(CLI_FAILED, "%s", strerror(errno));
	n = read_page(fd, page);
	close(fd);
	if (n < 0)
		return cli_fail(CLI_FAILED, "%s: %s", file, strerror((int)-n));
	status = check(file, page, (size_t)n);
	if (status == 0)
		print_page(page);
	return status;
}

int stats_command(int argc, char **argv)
{
	const struct option options[] = {{"raw", OPTION_FLAG, &raw, ""}, {NULL, 0, NULL, NULL}};
	int i, status = option_read("stats", options, argc, argv, &i);

	if (i < 0)
		return status;
	if (argc - i != 1)
		return cli_fail(CLI_USAGE, "stats: one FILE is needed; try `weft stats --help'");
	return show(argv[i]);
}
