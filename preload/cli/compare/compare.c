/* compare.c -- `weft compare': two ways of running a program, in pairs, until it is known which is better
 *
 * Who else may end it: a signal ends the present run and gives the verdict from what there is; SIGKILL ends us alone, and the
 * process of the present run, which is told of it, takes everything away.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "cli.h"
#include "compare/report.h"
#include "compare/steal.h"
#include "compare/plot.h"
#include "compare/schedule.h"
#include "compare/trial.h"

#define OVERHEAD .4  /* seconds of a server's run beside its load, at least */
#define STOLEN	 .02 /* of the CPUs' time: worth a word */

static struct compareplan plan;
static struct record record;
static struct run_program programs[VARIANTS_MOST];
static struct outcome_shared *shared;
static double begun;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- how variants are started -------------------------------------------------------------------------- */

static char **copy_environment(void)
{
	size_t n = 0;
	char **copy;

	while (environ[n])
		n++;
	copy = calloc(n + 1, sizeof *copy);
	if (copy)
		memcpy(copy, environ, n * sizeof *copy);
	return copy;
}

/* start_native -- with VAR=VALUE words, and nothing of Weft. */
static int start_native(const struct variant *v, struct run_program *to)
{
	*to = (struct run_program){.path = child_path(v->argv[0]), .argv = v->argv, .env = copy_environment()};
	if (!to->path)
		return cli_fail(CLI_NOT_FOUND, "%s: %s", v->argv[0], strerror(ENOENT));
	if (access(to->path, X_OK))
		return cli_fail(errno == ENOENT ? CLI_NOT_FOUND : CLI_NOT_EXECUTABLE, "%s: %s", v->argv[0], strerror(errno));
	return to->env ? 0 : cli_fail(CLI_USAGE, "%s", strerror(errno));
}

/* start_weft -- as `weft run --require' would: what cannot be helped is not measured as a tie. */
static int start_weft(const struct variant *v, char **words, size_t n, struct run_program *to)
{
	size_t count = 0;
	int argc = 0;

	while (v->argv[count])
		count++;
	char **argv = calloc(n + count + 4, sizeof *argv);

	if (!argv)
		return cli_fail(CLI_USAGE, "%s", strerror(errno));
	argv[argc++] = (char *)"run";
	for (size_t i = 0; i < n; i++)
		argv[argc++] = words[i];
	argv[argc++] = (char *)"--require";
	argv[argc++] = (char *)"--";
	for (size_t i = 0; i < count; i++)
		argv[argc++] = v->argv[i];
	int status = run_find(argc, argv, to);

	/* It may make no thread at all: --require is for what we said of the file only. */
	for (size_t i = 0, k = 0; !status; i++) {
		to->env[k] = to->env[i];
		if (!to->env[i])
			break;
		k += strcmp(to->env[i], "WEFT_REQUIRE=1") != 0;
	}
	return status;
}

static int start_variant(const struct variant *v, struct run_program *to)
{
	char *none[] = {NULL}, **words = v->words ? v->words : none;
	char **before = copy_environment(); /* setenv may free what it has made before */
	size_t n = 0;
	int status;

	environ = copy_environment();
	if (!environ || !before)
		return cli_fail(CLI_USAGE, "%s", strerror(errno));
	for (; *words && **words != '-' && strchr(*words, '='); words++)
		putenv(*words);
	while (words[n])
		n++;
	if (!v->weft && n)
		status = cli_fail(CLI_USAGE, "--variant %s: `%s' is for Weft; a native one takes VAR=VALUE only", v->name, *words);
	else
		status = v->weft ? start_weft(v, words, n, to) : start_native(v, to);
	environ = before;
	return status;
}

/* clean_environment -- what the user's shell says of Weft is not for any variant, nor for the load. */
static void clean_environment(void)
{
	unsetenv("LD_PRELOAD");
	for (size_t i = 0; environ[i];) {
		char *name = strndup(environ[i], strcspn(environ[i], "="));

		if (!name || strncmp(name, "WEFT_", 5) || unsetenv(name))
			i++;
		free(name);
	}
}

/* -- runs ---------------------------------------------------------------------------------------------- */

/* once -- one run, kept. Returns 0, -EINTR, or an exit status. */
static int once(enum run_kind kind, unsigned level, unsigned pair, unsigned variant, bool second, unsigned padding)
{
	const struct trial trial = {
		.plan = &plan, .variant = &plan.variants[variant], .program = &programs[variant],
		.connections = plan.level[level], .padding = padding,
		.look = kind == RUN_MEMORY || (kind == RUN_WARMUP && !plan.server),
	};
	static struct record_run run;
	int status;

	run.kind = kind;
	run.level = level;
	run.pair = pair;
	run.variant = variant;
	run.second = second;
	double at = now() - begun;

	status = trial_run(&trial, shared);
	shared->outcome.begun = at;
	if (status)
		return status;
	run.outcome = shared->outcome;
	run.latency = shared->latency.count ? histogram_write(&shared->latency) : NULL;
	return record_add(&record, &run);
}

static int pair_of(unsigned level, unsigned pair)
{
	struct schedule s = schedule_of((uint64_t)plan.seed ^ (uint64_t)level << 32, pair);
	int status = 0;

	for (unsigned i = 0; i < plan.variant_count && !status; i++)
		status = once(RUN_TIMED, level, pair, s.swapped ? plan.variant_count - 1 - i : i, i > 0, s.padding);
	return status;
}

/* pair_failed -- was one of its runs void? */
static bool pair_failed(unsigned level, unsigned pair)
{
	bool failed = false;

	for (unsigned v = 0; v < plan.variant_count; v++) {
		const struct record_run *run = record_find(&record, RUN_TIMED, level, v, pair);

		failed |= run && *run->outcome.error;
	}
	return failed;
}

static void progress(unsigned level, unsigned pairs)
{
	struct estimate e;

	if (!isatty(2))
		return;
	fprintf(stderr, "\r%u pairs", pairs);
	if (plan.level_count > 1)
		fprintf(stderr, " at %lld connections", (long long)plan.level[level]);
	if (summary_ratio(&record, level, 1, plan.metric_count ? summary_metric : summary_figure,
			  plan.metric_count ? 0 : plan.primary, &e))
		fprintf(stderr, ": %s %.3f (%.3f … %.3f)\033[K", record.variants[1], e.ratio, e.lower, e.upper);
}

/* enough -- was this a look at which all variants are known to the precision, or has one of them failed? */
static bool enough(unsigned level, unsigned pairs)
{
	static struct summary s;
	bool all = true;

	summary_make(&s, &record);
	for (unsigned v = 1; v < plan.variant_count; v++) {
		const struct summary_one *one = &s.of[v][level];

		if (one->error)
			return true;
		all &= verdict_reached(&plan.rule, plan.level_count, &one->one.estimate);
	}
	return all && pairs >= plan.fewest;
}

/* series -- the pairs of one level. The time was planned by the first runs, which may have been faster than the rest. */
static int series(unsigned level, unsigned most)
{
	double until = begun + (double)plan.time / 1e9 * (level + 1) / plan.level_count;
	unsigned look = verdict_look(0);
	int status = 0;

	for (unsigned pair = 0; pair < most && (pair < plan.fewest || now() < until) && !status; pair++) {
		status = pair_of(level, pair);
		progress(level, pair + 1);
		if (!status && (pair + 1 == look || pair_failed(level, pair)) && enough(level, pair + 1))
			break;
		if (pair + 1 == look)
			look = verdict_look(look);
	}
	if (isatty(2))
		fputs("\r\033[K", stderr);
	return status;
}

/* warm_up -- each variant once: it shows that they run, fills caches, and tells how long a pair takes. */
static int warm_up(double *seconds)
{
	double from = now();
	int status = 0;

	for (unsigned v = 0; v < plan.variant_count && !status; v++) {
		status = once(RUN_WARMUP, 0, 0, v, false, 0);
		if (!status && *shared->outcome.error)
			return cli_fail(CLI_USAGE, "%s: %s", plan.variants[v].name, shared->outcome.error);
		if (!status && shared->outcome.failed > 0)
			cli_fail(0, "%s: %.0f requests failed", plan.variants[v].name, shared->outcome.failed);
	}
	*seconds = now() - from;
	return status;
}

/* most_pairs -- so many fit into --time, as the last of the looks. */
static unsigned most_pairs(double pair_s)
{
	double fit = (double)plan.time / 1e9 / pair_s / plan.level_count;
	unsigned most = 0;

	for (unsigned look = verdict_look(0); look && look <= fit && look <= (uint64_t)plan.pairs; look = verdict_look(look))
		most = look;
	return most < plan.fewest ? 0 : most;
}

static int too_few(double pair_s)
{
	return cli_fail(CLI_USAGE, "a pair takes %.1f s: only %.0f fit into --time %.0f%s, and %u are needed", pair_s,
			floor((double)plan.time / 1e9 / pair_s / plan.level_count), (double)plan.time / 1e9,
			plan.level_count > 1 ? " at each level" : "", plan.fewest);
}

static int run_all(void)
{
	double least = plan.server ? plan.variant_count * ((double)plan.seconds * 1.25e-9 + OVERHEAD) : 0, pair_s = 0;
	int status = 0;

	if (least > 0 && !most_pairs(least))
		return too_few(least);
	status = warm_up(&pair_s);
	if (status)
		return status == -EINTR ? 0 : status;
	if (pair_s < least)
		pair_s = least;
	unsigned most = most_pairs(pair_s);

	if (!most)
		return too_few(pair_s);
	fprintf(stderr, "plan: %u to %u pairs of %.3g s%s, at most %.1f minutes; seed %lld\n", plan.fewest, most, pair_s,
		plan.level_count > 1 ? " at each level" : "", most * pair_s * plan.level_count / 60, (long long)plan.seed);
	for (unsigned l = 0; l < plan.level_count && !status; l++) {
		status = series(l, most);
		for (unsigned v = 0; v < plan.variant_count && plan.server && !status; v++)
			status = once(RUN_MEMORY, l, 0, v, false, 0);
	}
	return status == -EINTR ? 0 : status;
}

/* -- the command ---------------------------------------------------------------------------------------- */

static bool any_pair(const struct record *r)
{
	for (unsigned l = 0; l < r->level_count; l++)
		for (unsigned v = 1; v < r->variant_count; v++)
			if (summary_pairs(r, l, v))
				return true;
	return false;
}

static int finish(const struct record *r)
{
	static struct summary s;
	int status = 0, worse = 0;

	summary_make(&s, r);
	if (plan.json)
		status = comparereport_json(r, &s);
	else if (plan.csv)
		status = comparereport_csv(r);
	else
		status = comparereport_text(r, &s);
	if (!status && plan.plot)
		status = plot(r, &s, plan.plot);
	if (!status && !any_pair(r))
		return cli_fail(CLI_USAGE, "there is not one pair of runs that counts");
	for (unsigned l = 0; l < r->level_count && plan.fail_if_worse > 0; l++) {
		int one = verdict_worse(&s.of[1][l].one, &s.of[1][l].verdict, plan.fail_if_worse);

		worse = worse == 1 || one == 1 ? 1 : worse > one ? worse : one;
	}
	return status ? status : worse;
}

static int read_kept(void)
{
	static struct record other;
	int status = record_read(&record, plan.read);

	if (status || !plan.read_b)
		return status ? status : finish(&record);
	status = record_read(&other, plan.read_b);
	if (status)
		return status;
	if (strcmp(record.primary, other.primary))
		return cli_fail(CLI_USAGE, "one got its verdict by %s, the other one by %s", record.primary, other.primary);
	if (strcmp(record.machine, other.machine) && !plan.force)
		return cli_fail(CLI_USAGE, "they were measured on different machines (%s; %s): --force compares them all the same",
				record.machine, other.machine);
	return comparereport_two(&record, &other);
}

static void warn_of_noise(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set);
	if (steal_load() > (double)sysconf(_SC_NPROCESSORS_ONLN) / 2)
		cli_fail(0, "the machine is busy with other work (load %.1f): intervals will be wide", steal_load());
	if (CPU_COUNT(&set) < 2 && plan.server)
		cli_fail(0, "one CPU: the server shares it with the load; only requests per CPU-second mean anything");
}

int compare_command(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = trial_interrupt};
	struct others before;
	bool done;
	int status = compareplan_read(&plan, argc, argv, &done);

	if (!status && !done)
		status = plot_check(plan.plot);
	if (status || done)
		return status;
	if (plan.read)
		return read_kept();
	clean_environment();
	for (unsigned i = 0; i < plan.variant_count && !status; i++)
		status = start_variant(&plan.variants[i], &programs[i]);
	if (status)
		return status;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return cli_fail(CLI_USAGE, "%s", strerror(errno));
	setenv("LC_ALL", "C", 1); /* for the load, whose output is read; the variants have the user's */
	warn_of_noise();
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	begun = now();
	before = steal_now();
	status = record_begin(&record, &plan);
	if (!status)
		status = run_all();
	double stolen = steal_share(before, steal_now());

	if (stolen > STOLEN)
		cli_fail(0, "the machine's host gave %.0f %% of its CPUs' time to others meanwhile (steal)", 100 * stolen);
	return status ? status : finish(&record);
}
