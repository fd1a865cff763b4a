/* loadrun.c -- see loadrun.h */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare/blocked.h"
#include "compare/cost.h"
#include "compare/loadrun.h"

#define TAIL_LINES 5
#define TAIL_BYTES 1200
#define WORDS	   24

static int fail(struct outcome *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct outcome *to, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(to->error, sizeof to->error, format, ap);
	va_end(ap);
	return -ECANCELED;
}

/* slurp -- a file as a text, without its NULs. To be freed; "" for one that cannot be read. */
static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	int c;

	while (f && to && (c = getc(f)) != EOF)
		if (c)
			putc(c, to);
	if (f)
		fclose(f);
	if (to)
		fclose(to);
	return text;
}

const char *loadrun_tail(const char *path)
{
	static char tail[TAIL_BYTES + 8];
	char *text = slurp(path);
	size_t n = text ? strlen(text) : 0, from = n;

	while (n && text[n - 1] == '\n')
		text[--n] = 0;
	from = n;
	for (unsigned lines = 0; from && n - from < TAIL_BYTES; from--)
		if (text[from - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	snprintf(tail, sizeof tail, "%s%s", n ? ":\n" : "", n ? text + from : "");
	free(text);
	return tail;
}

static void note_costs(const struct cost *from, const struct cost *until, struct outcome *to)
{
	to->figure[FIGURE_CPU] = until->cpu_s - from->cpu_s;
	to->figure[FIGURE_PEAK] = until->peak;
	to->figure[FIGURE_THREADS] = (double)(from->threads > until->threads ? from->threads : until->threads);
}

static void note_memory(const struct cost *c, int64_t connections, struct outcome *to)
{
	to->figure[FIGURE_PSS] = c->pss;
	to->figure[FIGURE_TABLES] = c->page_tables;
	to->figure[FIGURE_STACKS] = c->kernel_stacks;
	to->figure[FIGURE_EACH] = (c->pss + c->page_tables + c->kernel_stacks) / (double)connections;
}

/* -- `weft load' ----------------------------------------------------------------------------------- */

struct words {
	char *word[WORDS];
	unsigned count;
};

static void add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct words *w, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&w->word[w->count], format, ap) < 0)
		w->word[w->count] = NULL;
	w->count++;
	va_end(ap);
}

static void word_load(struct words *w, const struct compareplan *plan, const struct fill *fill)
{
	char *ready = fill_text(fill, plan->ready);

	add(w, "weft");
	add(w, "load");
	add(w, "--json");
	add(w, "--phases=3");
	add(w, "--connections=%lld", (long long)fill->connections);
	add(w, "--time=%lldms", (long long)(plan->seconds / 1000000));
	add(w, "--warmup=%lldms", (long long)(plan->seconds / 1000000 / 4));
	if (plan->rate > 0)
		add(w, "--rate=%.6f", plan->rate);
	if (plan->http)
		add(w, "--http=%s", plan->http);
	else
		add(w, "--echo=%lld", (long long)plan->echo);
	if (!strncmp(ready, "unix:", 5) || !strncmp(ready, "tcp:", 4))
		add(w, "%s", ready);
	else
		add(w, "tcp:127.0.0.1:%d", fill->port);
	free(ready);
}

/* stay_with -- this process runs on the load's CPU from now on: on the server's it would wait for ten thousand threads before it
 * could read a clock. */
static void stay_with(unsigned cpu, cpu_set_t *before)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_getaffinity(0, sizeof *before, before);
	sched_setaffinity(0, sizeof one, &one);
}

/* follow -- read the phases as they begin, and take the server's costs at both ends of the window. */
static int follow(struct child *load, struct child *server, int phases, int64_t until_ns, bool memory, int64_t connections,
		  struct outcome *to)
{
	struct cost from = {0}, until;
	char line[64];
	FILE *f = fdopen(phases, "re");

	for (;;) {
		int r = child_wait(load, until_ns, phases);

		if (r == -EINTR || r == -ETIMEDOUT) {
			fclose(f);
			return r;
		}
		if (!fgets(line, sizeof line, f))
			break;
		if (!strncmp(line, "window", 6)) {
			from = cost_of(server->pid, false);
			if (memory) {
				until = cost_of(server->pid, true);
				note_memory(&until, connections, to);
			}
		} else if (!strncmp(line, "drain", 5)) {
			until = cost_of(server->pid, false);
			note_costs(&from, &until, to);
		}
	}
	fclose(f);
	return child_wait(load, until_ns, -1);
}

static double number(const json_t *object, const char *outer, const char *inner)
{
	const json_t *at = json_object_get(object, outer);

	return json_number_value(inner ? json_object_get(at, inner) : at);
}

static int take_report(const char *path, struct outcome *to, struct histogram *latency)
{
	json_t *report = json_load_file(path, 0, NULL);
	const char *text = json_string_value(json_object_get(json_object_get(report, "latency"), "histogram"));
	double cpu = to->figure[FIGURE_CPU];

	if (!text || histogram_read(latency, text)) {
		json_decref(report);
		return fail(to, "the load has printed no report");
	}
	to->requests = number(report, "rate", "answers");
	to->failed = number(report, "failures", "all");
	to->figure[FIGURE_RATE] = number(report, "rate", "per_second");
	for (unsigned i = 0; i < FIGURES; i++)
		if (isfinite(figure_latency(i, latency)))
			to->figure[i] = figure_latency(i, latency);
	to->figure[FIGURE_LOAD_SHARE] = number(report, "generator", "cpu_s") / number(report, "window_s", NULL);
	to->figure[FIGURE_PER_CPU] = cpu > 0 ? to->requests / cpu : NAN;
	to->coarse = to->requests < QUANTITY_STEPS;
	json_decref(report);
	return to->requests > 0 ? 0 : fail(to, "not one request was answered");
}

static int built_in(const struct compareplan *plan, const struct fill *fill, struct child *server, bool look,
		    struct outcome *to, struct histogram *latency)
{
	char out[128], err[128];
	struct words w = {0};
	struct child load = {
		.path = "/proc/self/exe", .argv = w.word, .env = environ, .out = out, .err = err, .cpu_first = fill->cpu, .cpu_count = 1,
	};
	int phases[2], status;
	cpu_set_t before;

	snprintf(out, sizeof out, "%s/.load", fill->dir);
	snprintf(err, sizeof err, "%s/.load-errors", fill->dir);
	word_load(&w, plan, fill);
	if (pipe2(phases, O_CLOEXEC))
		return fail(to, "pipe: %s", strerror(errno));
	load.pass = phases[1];
	status = child_start(&load);
	close(phases[1]);
	if (status) {
		close(phases[0]);
		return fail(to, "the load: %s", strerror(-status));
	}
	stay_with((unsigned)fill->cpu, &before);
	status = follow(&load, server, phases[0], child_now() + plan->timeout, look, fill->connections, to);
	sched_setaffinity(0, sizeof before, &before);
	if (status == -EINTR)
		return status;
	if (status)
		return fail(to, "the load is not done after %g s", (double)plan->timeout / 1e9);
	if (!WIFEXITED(load.status) || WEXITSTATUS(load.status) > 1)
		return fail(to, "the load has failed%s", loadrun_tail(err));
	status = take_report(out, to, latency);
	/* Its status 1 stands for failed requests, which are counted: no error here. */
	return status ? status : loadrun_metrics(plan, "weft load", 0, out, err, to);
}

/* -- a tool ------------------------------------------------------------------------------------------- */

int loadrun_metrics(const struct compareplan *plan, const char *command, int status, const char *out, const char *err,
		    struct outcome *to)
{
	char *printed = slurp(out), *complained = slurp(err);
	const struct reader_run run = {.command = command, .status = status, .out = printed, .err = complained};
	bool good = true;

	for (unsigned i = 0; i < plan->metric_count && good; i++) {
		struct quantity q;

		good = metric_read(&plan->metrics[i], &run, &q, to->error, sizeof to->error);
		to->metric[i] = good ? q.value : NAN;
		to->time[i] = good && q.unit == QUANTITY_SECONDS;
		if (!i)
			to->coarse |= quantity_coarse(&q);
	}
	free(printed);
	free(complained);
	return good ? 0 : -ECANCELED;
}

static double value_of(const struct quantity *q)
{
	return q->unit == QUANTITY_NONE ? NAN : q->value;
}

static int take_result(const struct compareplan *plan, const char *line, int status, const char *out, const char *err,
		       struct outcome *to)
{
	static struct reader_result result;
	char *printed = slurp(out), *complained = slurp(err), file[300], *side = NULL;
	struct reader_run run = {.command = line, .status = status, .out = printed, .err = complained};
	double cpu = to->figure[FIGURE_CPU];
	bool good;

	if (reader_file(plan->reader, line, file, sizeof file))
		run.file = side = slurp(file);
	good = reader_read(plan->reader, &run, &result);
	if (!good)
		snprintf(to->error, sizeof to->error, "%s", result.error);
	to->requests = value_of(&result.field[READER_COMPLETED]);
	to->failed = result.field[READER_FAILED].value;
	to->figure[FIGURE_RATE] = value_of(&result.field[READER_RATE]);
	to->figure[FIGURE_P50] = value_of(&result.field[READER_P50]);
	to->figure[FIGURE_P90] = value_of(&result.field[READER_P90]);
	to->figure[FIGURE_P99] = value_of(&result.field[READER_P99]);
	to->figure[FIGURE_MAX] = value_of(&result.field[READER_MAX]);
	to->figure[FIGURE_PER_CPU] = cpu > 0 ? to->requests / cpu : NAN;
	to->coarse = to->requests < QUANTITY_STEPS;
	free(printed);
	free(complained);
	free(side);
	return good ? 0 : -ECANCELED;
}

static int tool(const struct compareplan *plan, const struct fill *fill, struct child *server, bool look, struct outcome *to)
{
	char out[128], err[128], *line = fill_text(fill, plan->load), file[300];
	char *argv[] = {(char *)"sh", (char *)"-c", line, NULL};
	struct child load = {.argv = argv, .env = environ, .out = out, .err = err, .cpu_first = fill->cpu, .cpu_count = 1, .pass = -1};
	struct cost from, until;
	int status;

	snprintf(out, sizeof out, "%s/.load", fill->dir);
	snprintf(err, sizeof err, "%s/.load-errors", fill->dir);
	if (plan->reader && reader_file(plan->reader, line, file, sizeof file))
		unlink(file);
	from = cost_of(server->pid, false);
	status = child_start(&load);
	if (status)
		return fail(to, "sh: %s", strerror(-status));
	if (look) {
		status = child_wait(&load, child_now() + plan->seconds / 2, -1);
		until = cost_of(server->pid, true);
		note_memory(&until, fill->connections, to);
	}
	if (status != -EINTR)
		status = child_wait(&load, child_now() + plan->timeout, -1);
	if (status == -EINTR)
		return status;
	if (status) {
		child_stop(&load, SIGKILL, 0);
		return fail(to, "the load is not done after %g s%s", (double)plan->timeout / 1e9, loadrun_tail(out));
	}
	until = cost_of(server->pid, false);
	note_costs(&from, &until, to);
	to->figure[FIGURE_LOAD_SHARE] = ((double)(load.used.ru_utime.tv_sec + load.used.ru_stime.tv_sec) +
					 (double)(load.used.ru_utime.tv_usec + load.used.ru_stime.tv_usec) / 1e6) /
					((double)(load.ended_ns - load.begun_ns) / 1e9);
	status = plan->reader ? take_result(plan, line, load.status, out, err, to) : 0;
	return status ? status : loadrun_metrics(plan, line, load.status, out, err, to);
}

int loadrun(const struct compareplan *plan, const struct fill *fill, struct child *server, bool look,
	    struct outcome *to, struct histogram *latency)
{
	int status;

	if (look)
		blocked_watch(fill->dir);
	status = plan->load ? tool(plan, fill, server, look, to) : built_in(plan, fill, server, look, to, latency);
	if (look)
		blocked_end(&to->carriers);
	return status;
}
