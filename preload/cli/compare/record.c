/* record.c -- see record.h */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "weft/base.h"
#include "cli.h"
#include "compare/record.h"

const char *const record_kind_names[RUN_KINDS] = {"timed", "warmup", "memory"};

/* -- writing ------------------------------------------------------------------------------------------ */

static void describe_machine(char *to, size_t n)
{
	char line[256], model[100] = "unknown CPU";
	struct utsname u;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			snprintf(model, sizeof model, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
			break;
		}
	if (f)
		fclose(f);
	uname(&u);
	snprintf(to, n, "%s, %ld CPUs, Linux %s", model, sysconf(_SC_NPROCESSORS_ONLN), u.release);
}

static double stack_size(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_STACK, &l) ? NAN : l.rlim_cur == RLIM_INFINITY ? 0 : (double)l.rlim_cur;
}

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *header(const struct record *r)
{
	json_t *variants = json_array(), *levels = json_array(), *metrics = json_array();

	for (unsigned i = 0; i < r->variant_count; i++)
		json_array_append_new(variants, json_pack("{s:s, s:b}", "name", r->variants[i], "weft", r->weft[i]));
	for (unsigned i = 0; i < r->level_count; i++)
		json_array_append_new(levels, json_integer(r->level[i]));
	for (unsigned i = 0; i < r->metric_count; i++)
		json_array_append_new(metrics, json_string(r->metrics[i]));
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:{s:s, s:b, s:s, s:i}, s:b, s:b, s:b, s:b, s:f, s:I, s:f, s:o, s:f, s:f, s:f}",
			 "weft_compare", RECORD_FORMAT, "weft", WEFT_VERSION, "program", r->program, "machine", r->machine,
			 "variants", variants, "connections", levels, "metrics", metrics, "primary", "name", r->primary, "higher",
			 r->higher, "figure", figure_kinds[r->primary_figure].json, "metric", r->primary_metric, "server", r->server,
			 "quick", r->quick, "same_output", r->same_output, "fixed_rate", r->fixed_rate, "rate", r->rate, "seed", (json_int_t)r->seed,
			 "seconds", r->seconds, "stack_bytes", number(r->stack), "precision", r->rule.precision, "margin", r->rule.margin, "confidence",
			 r->rule.confidence);
}

static json_t *tasks_of(const struct outcome_tasks *t)
{
	json_t *object;

	if (!t->seen)
		return json_null();
	object = json_pack("{s:b, s:s}", "active", t->active, "why", t->why);
	for (unsigned i = 0; i < COUNTERS; i++)
		json_object_set_new(object, counter_kinds[i].json, json_integer((json_int_t)t->count[i]));
	return object;
}

static json_t *looks_of(const struct outcome_looks *l)
{
	return l->looks ? json_pack("{s:I, s:I, s:s}", "looks", (json_int_t)l->looks, "blocked", (json_int_t)l->blocked, "in", l->in)
			: json_null();
}

static json_t *line_of(const struct record *r, const struct record_run *run)
{
	const struct outcome *o = &run->outcome;
	json_t *figures = json_object(), *metrics = json_object(), *times = json_array();
	char output[24];

	for (unsigned i = 0; i < FIGURES; i++)
		if (isfinite(o->figure[i]))
			json_object_set_new(figures, figure_kinds[i].json, json_real(o->figure[i]));
	for (unsigned i = 0; i < r->metric_count; i++) {
		json_object_set_new(metrics, r->metrics[i], number(o->metric[i]));
		if (o->time[i])
			json_array_append_new(times, json_string(r->metrics[i]));
	}
	snprintf(output, sizeof output, "%016llx", (unsigned long long)o->output);
	return json_pack("{s:s, s:s, s:I, s:i, s:b, s:f, s:i, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:s*, s:s}", "kind",
			 record_kind_names[run->kind], "variant", r->variants[run->variant], "connections",
			 (json_int_t)r->level[run->level], "pair", (int)run->pair, "second", run->second, "begun_s", o->begun,
			 "status", o->status, "output", output, "requests", number(o->requests), "failed", number(o->failed),
			 "coarse", o->coarse, "figures", figures, "metrics", metrics, "times", times, "tasks", tasks_of(&o->tasks),
			 "carriers", looks_of(&o->carriers), "latency", run->latency, "error", o->error);
}

/* put -- write a line whole, in one call: who reads along sees no half. */
static int put(const struct record *r, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_REAL_PRECISION(12)) : NULL, *line;
	int n = text ? asprintf(&line, "%s\n", text) : -1;
	ssize_t written = n > 0 ? write(r->fd, line, (size_t)n) : -1;
	bool good = n > 0 && written == n;

	if (written >= 0 && !good)
		errno = ENOSPC;
	json_decref(object);
	free(text);
	if (n > 0)
		free(line);
	return good ? 0 : cli_fail(CLI_FAILED, "--output: cannot write: %s", strerror(errno));
}

static void join_words(char *to, size_t n, char *const *words)
{
	size_t at = 0;

	for (*to = 0; *words && at < n; words++)
		at += (size_t)snprintf(to + at, n - at, "%s%s", at ? " " : "", *words);
}

/* clean -- what is not UTF-8 cannot stand in JSON: an argument, or the cut end of what a server has printed. */
static void clean(char *text)
{
	json_t *whole = json_string(text);

	for (; !whole && *text; text++)
		if (*text & 0x80)
			*text = '?';
	json_decref(whole);
}

/* open_output -- a line that was cut short when an earlier comparison was killed is ended first. */
static int open_output(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	char last = '\n';

	if (fd < 0)
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC); /* may be written only */
	if (fd >= 0 && lseek(fd, -1, SEEK_END) >= 0 && read(fd, &last, 1) == 1 && last != '\n' && write(fd, "\n", 1) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int record_begin(struct record *r, const struct compareplan *plan)
{
	*r = (struct record){
		.primary_metric = plan->metric_count ? 0 : -1, .primary_figure = plan->primary, .higher = compareplan_higher(plan),
		.server = plan->server, .quick = plan->quick, .variant_count = plan->variant_count, .level_count = plan->level_count,
		.metric_count = plan->metric_count, .same_output = plan->same_output, .fixed_rate = plan->rate > 0, .rate = plan->rate,
		.seed = plan->seed, .seconds = (double)plan->seconds / 1e9, .stack = stack_size(), .rule = plan->rule, .fd = -1,
	};
	join_words(r->program, sizeof r->program, plan->argv);
	if (plan->program_b)
		snprintf(r->program + strlen(r->program), sizeof r->program - strlen(r->program), "; %s: %s", plan->variants[1].name,
			 plan->program_b);
	clean(r->program);
	describe_machine(r->machine, sizeof r->machine);
	snprintf(r->primary, sizeof r->primary, "%s", compareplan_primary(plan));
	memcpy(r->level, plan->level, sizeof r->level);
	for (unsigned i = 0; i < plan->variant_count; i++) {
		memcpy(r->variants[i], plan->variants[i].name, NAME_MOST);
		r->weft[i] = plan->variants[i].weft;
	}
	for (unsigned i = 0; i < plan->metric_count; i++)
		memcpy(r->metrics[i], plan->metrics[i].name, METRIC_NAME);
	if (!plan->output)
		return 0;
	r->fd = open_output(plan->output);
	if (r->fd < 0)
		return cli_fail(CLI_USAGE, "--output: %s: %s", plan->output, strerror(errno));
	return put(r, header(r));
}

static int keep(struct record *r, const struct record_run *run)
{
	if (!(r->count & (r->count + 1)) || !r->runs) {
		struct record_run *more = realloc(r->runs, (r->count * 2 + 2) * sizeof *more);

		if (!more)
			return cli_fail(CLI_USAGE, "%s", strerror(errno));
		r->runs = more;
	}
	r->runs[r->count++] = *run;
	return 0;
}

int record_add(struct record *r, const struct record_run *run)
{
	int status = keep(r, run);

	if (status)
		return status;
	clean(r->runs[r->count - 1].outcome.error);
	return r->fd < 0 ? 0 : put(r, line_of(r, &r->runs[r->count - 1]));
}

/* -- reading ------------------------------------------------------------------------------------------ */

static double real_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static void text_of(const json_t *object, const char *name, char *to, size_t n)
{
	const char *text = json_string_value(json_object_get(object, name));

	snprintf(to, n, "%s", text ? text : "");
}

/* text_in -- the nth text of a list; "" where there is none. */
static const char *text_in(const json_t *list, size_t n)
{
	const char *text = json_string_value(json_array_get(list, n));

	return text ? text : "";
}

static bool true_of(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static int64_t whole_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static enum figure figure_of(const char *json)
{
	for (unsigned i = 0; i < FIGURES; i++)
		if (!strcmp(figure_kinds[i].json, json))
			return (enum figure)i;
	return FIGURE_WALL;
}

static bool take_header(struct record *r, const json_t *line)
{
	const json_t *variants = json_object_get(line, "variants"), *levels = json_object_get(line, "connections");
	const json_t *metrics = json_object_get(line, "metrics"), *primary = json_object_get(line, "primary");
	char figure[32];

	*r = (struct record){.fd = -1};
	text_of(line, "program", r->program, sizeof r->program);
	text_of(line, "machine", r->machine, sizeof r->machine);
	text_of(primary, "name", r->primary, sizeof r->primary);
	text_of(primary, "figure", figure, sizeof figure);
	r->primary_figure = figure_of(figure);
	r->primary_metric = (int)whole_of(primary, "metric");
	r->higher = true_of(primary, "higher");
	r->server = true_of(line, "server");
	r->quick = true_of(line, "quick");
	r->same_output = true_of(line, "same_output");
	r->fixed_rate = true_of(line, "fixed_rate");
	r->rate = real_of(line, "rate");
	r->seed = whole_of(line, "seed");
	r->seconds = real_of(line, "seconds");
	r->stack = real_of(line, "stack_bytes");
	r->rule = (struct verdict_rule){real_of(line, "precision"), real_of(line, "margin"), real_of(line, "confidence")};
	r->variant_count = (unsigned)json_array_size(variants);
	r->level_count = (unsigned)json_array_size(levels);
	r->metric_count = (unsigned)json_array_size(metrics);
	if (r->variant_count < 2 || r->variant_count > VARIANTS_MOST || !r->level_count || r->level_count > LEVELS_MOST ||
	    r->metric_count > OUTCOME_METRICS || r->primary_metric >= (int)r->metric_count)
		return false;
	for (unsigned i = 0; i < r->variant_count; i++) {
		text_of(json_array_get(variants, i), "name", r->variants[i], NAME_MOST);
		r->weft[i] = true_of(json_array_get(variants, i), "weft");
	}
	for (unsigned i = 0; i < r->level_count; i++)
		r->level[i] = json_integer_value(json_array_get(levels, i));
	for (unsigned i = 0; i < r->metric_count; i++) {
		if (!*text_in(metrics, i))
			return false;
		snprintf(r->metrics[i], METRIC_NAME, "%s", text_in(metrics, i));
	}
	return true;
}

static void take_tasks(const json_t *line, struct outcome_tasks *t)
{
	if (!json_is_object(line))
		return;
	t->seen = true;
	t->active = true_of(line, "active");
	text_of(line, "why", t->why, sizeof t->why);
	for (unsigned i = 0; i < COUNTERS; i++)
		t->count[i] = (uint64_t)whole_of(line, counter_kinds[i].json);
}

static void take_looks(const json_t *line, struct outcome_looks *l)
{
	l->looks = (uint64_t)whole_of(line, "looks");
	l->blocked = (uint64_t)whole_of(line, "blocked");
	text_of(line, "in", l->in, sizeof l->in);
}

/* take_latency -- returns false for what is no histogram. */
static bool take_latency(const json_t *line, char **to)
{
	static struct histogram h;
	const char *text = json_string_value(line);

	if (!line)
		return true;
	if (!text || histogram_read(&h, text))
		return false;
	*to = strdup(text);
	return *to != NULL;
}

static bool find_place(const struct record *r, const json_t *line, struct record_run *run)
{
	char kind[16], variant[NAME_MOST];

	text_of(line, "kind", kind, sizeof kind);
	text_of(line, "variant", variant, sizeof variant);
	for (run->kind = 0; run->kind < RUN_KINDS && strcmp(kind, record_kind_names[run->kind]);)
		run->kind++;
	for (run->variant = 0; run->variant < r->variant_count && strcmp(variant, r->variants[run->variant]);)
		run->variant++;
	for (run->level = 0; run->level < r->level_count && whole_of(line, "connections") != r->level[run->level];)
		run->level++;
	return run->kind < RUN_KINDS && run->variant < r->variant_count && run->level < r->level_count && run->pair < ESTIMATE_MOST;
}

static bool take_run(struct record *r, const json_t *line)
{
	const json_t *figures = json_object_get(line, "figures"), *metrics = json_object_get(line, "metrics");
	const json_t *times = json_object_get(line, "times");
	struct record_run run = {.pair = (unsigned)whole_of(line, "pair"), .second = true_of(line, "second")};
	struct outcome *o = &run.outcome;
	char output[24];

	if (!find_place(r, line, &run))
		return false;
	o->begun = real_of(line, "begun_s");
	o->status = (int)whole_of(line, "status");
	text_of(line, "output", output, sizeof output);
	o->output = strtoull(output, NULL, 16);
	o->requests = real_of(line, "requests");
	o->failed = real_of(line, "failed");
	o->coarse = true_of(line, "coarse");
	text_of(line, "error", o->error, sizeof o->error);
	for (unsigned i = 0; i < FIGURES; i++)
		o->figure[i] = real_of(figures, figure_kinds[i].json);
	for (unsigned i = 0; i < r->metric_count; i++)
		o->metric[i] = real_of(metrics, r->metrics[i]);
	for (size_t i = 0; i < json_array_size(times); i++)
		for (unsigned k = 0; k < r->metric_count; k++)
			o->time[k] |= !strcmp(r->metrics[k], text_in(times, i));
	take_tasks(json_object_get(line, "tasks"), &o->tasks);
	take_looks(json_object_get(line, "carriers"), &o->carriers);
	return take_latency(json_object_get(line, "latency"), &run.latency) && !keep(r, &run);
}

/* take -- one line. Returns false when it makes no sense. */
static bool take(struct record *r, const json_t *line, bool *begun)
{
	const json_t *format = json_object_get(line, "weft_compare");

	if (!format)
		return *begun && take_run(r, line);
	*begun = json_integer_value(format) == RECORD_FORMAT && take_header(r, line);
	return *begun;
}

/* take_text -- one line of the file. Returns 0, -EILSEQ for no JSON, or an exit status. */
static int take_text(struct record *r, const char *text, const char *path, size_t number, bool *begun)
{
	json_t *line = json_loads(text, 0, NULL);
	int status = -EILSEQ;

	if (line && take(r, line, begun))
		status = 0;
	else if (line && json_object_get(line, "weft_compare"))
		status = cli_fail(CLI_USAGE, "%s: line %zu is of another version of the format than %d", path, number,
				  RECORD_FORMAT);
	else if (line)
		status = cli_fail(CLI_USAGE, "%s: line %zu is none of a comparison", path, number);
	json_decref(line);
	return status;
}

/* A killed comparison may leave half a line, behind which the next one writes its header. */
int record_read(struct record *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0, number = 0, cut = 0;
	bool begun = false;
	int status = 0;

	if (!f)
		return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
	while (!status && getline(&text, &size, f) > 0) {
		number++;
		if (cut && !strstr(text, "\"weft_compare\"")) {
			status = cli_fail(CLI_USAGE, "%s: line %zu is none of a comparison", path, cut);
			break;
		}
		status = take_text(r, text, path, number, &begun);
		cut = status == -EILSEQ ? number : 0;
		status = status == -EILSEQ ? 0 : status;
	}
	if (!status && !begun)
		status = cli_fail(CLI_USAGE, "%s holds no comparison", path);
	else if (!status && cut)
		cli_fail(0, "%s: line %zu was cut short and is left out", path, cut);
	free(text);
	fclose(f);
	return status;
}

double record_value(const struct record *r, const struct record_run *run)
{
	const struct outcome *o = &run->outcome;

	return r->primary_metric >= 0 ? o->metric[r->primary_metric] : o->figure[r->primary_figure];
}

const struct record_run *record_find(const struct record *r, enum run_kind kind, unsigned level, unsigned variant,
				     unsigned pair)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct record_run *run = &r->runs[i];

		if (run->kind == kind && run->level == level && run->variant == variant && run->pair == pair)
			return run;
	}
	return NULL;
}
