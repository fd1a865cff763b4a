/* reader.c -- what a load tool measured, from what it printed */
#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "compare/reader.h"
#include "words.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define GROUPS		6	/* of a row's expression */
#define LAST_LINES	4	/* of a text, are shown with an error */
#define LINE_SHOWN	200	/* bytes of each */

enum tool {
#define TOOL(id, name, start, step, quantum, failures) TOOL_##id,
#include "compare/reader.def"
#undef TOOL
};

const struct reader readers[] = {
#define TOOL(id, name, start, step, quantum, failures) {name, start, step, quantum, failures},
#include "compare/reader.def"
#undef TOOL
};
const size_t reader_count = ARRAY_SIZE(readers);

const char *const reader_field_names[READER_FIELDS] = {
#define FIELD(name, text, help) text,
#include "compare/reader.def"
#undef FIELD
};

const char *const reader_field_help[READER_FIELDS] = {
#define FIELD(name, text, help) help,
#include "compare/reader.def"
#undef FIELD
};

static const struct {
	enum tool tool;
	const char *option;
} side_files[] = {
#define SIDE_FILE(id, option) {TOOL_##id, option},
#include "compare/reader.def"
#undef SIDE_FILE
};

static const struct {
	enum tool tool;
	const char *option, *long_option, *why;
} refused[] = {
#define REFUSE(id, option, long_option, why) {TOOL_##id, option, long_option, why},
#include "compare/reader.def"
#undef REFUSE
};

/* What a row can speak of. */
enum slot {
#define FIELD(name, text, help) SLOT_##name = READER_##name,
#include "compare/reader.def"
#undef FIELD
	SLOT_DONE, SLOT_WRONG, SLOT_LOST, SLOT_TOTAL, SLOT_GROSS,
	SLOTS
};

/* What was read so far. */
struct reading {
	const struct words *words;
	size_t at;		/* the tool's name among them */
	struct quantity slot[SLOTS];
	size_t rows;		/* of a table of results */
	double per_client;	/* requests, the most of all rows */
	const char *unclear;	/* what stands for a number in the command line, if only a shell knows it */
};

static const struct quantity none;

static bool known(const struct quantity *q)
{
	return q->unit != QUANTITY_NONE;
}

/* counted -- a quantity that is known in whole numbers. */
static struct quantity counted(double n)
{
	return (struct quantity){QUANTITY_COUNT, n, 0};
}

static struct quantity seconds(double value, double quantum)
{
	return (struct quantity){QUANTITY_SECONDS, value, quantum};
}

static void add(struct quantity *to, const struct quantity *q)
{
	to->unit = q->unit;
	to->value += q->value;
	to->quantum += q->quantum;
}

/* -- how rows are applied: `g' are the n groups of a line that matched ----------------------- */

static void take_last(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	r->slot[slot] = g[0];
}

static void take_sum(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(&r->slot[slot], &g[i]);
}

static void take_at_least(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!known(&r->slot[slot]) || g[i].value > r->slot[slot].value)
			r->slot[slot] = g[i];
}

static void take_most(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	r->slot[slot] = none;
	take_at_least(r, slot, g, n);
}

static void take_finest(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	if (!known(&r->slot[slot]) || g[0].quantum < r->slot[slot].quantum)
		r->slot[slot] = g[0];
}

static void take_count(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	struct quantity one = counted(1);

	add(&r->slot[slot], &one);
}

static void take_all(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	r->slot[slot] = counted(INFINITY);
}

/* option -- what stands behind an option in the tool's command line, or NULL. */
static const char *option(const struct reading *r, const char *name, const char *long_name)
{
	const char *text = words_option(r->words, r->at, name);

	return text ? text : words_option(r->words, r->at, long_name);
}

/* number -- what an option says, `initial' without it. */
static double number(struct reading *r, const char *text, double initial)
{
	char *end;
	double value = text ? strtod(text, &end) : initial;

	if (text && (end == text || *end || !(value > 0)))
		r->unclear = text;
	return value;
}

static struct quantity in_ms(const struct quantity *q)
{
	return seconds(q->value * 1e-3, q->quantum * 1e-3);
}

/* A test of redis-benchmark: rate, p50, p95, p99, max in ms. How many requests it made stands in
 * the command line only, and it counts the time in ms. */
static void take_redis(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	static const enum slot percentiles[] = {SLOT_P50, SLOT_P95, SLOT_P99};
	struct quantity done = counted(number(r, words_option(r->words, r->at, "-n"), 100000));
	struct quantity time = seconds(done.value / g[0].value, 1e-3), longest = in_ms(&g[4]);

	if (g[0].value == 0)
		return;
	add(&r->slot[slot], &done);
	add(&r->slot[SLOT_SECONDS], &time);
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
		r->slot[percentiles[i]] = r->rows ? none : in_ms(&g[i + 1]);
	take_at_least(r, SLOT_MAX, &longest, 1);
	r->rows++;
}

/* A row of mariadb-slap: seconds on average, clients, queries of each. */
static void take_slap(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	double times = number(r, option(r, "-i", "--iterations"), 1);
	struct quantity done = counted(g[1].value * g[2].value * times);
	struct quantity time = seconds(g[0].value * times, g[0].quantum * times);

	add(&r->slot[slot], &done);
	add(&r->slot[SLOT_SECONDS], &time);
	r->per_client = fmax(r->per_client, g[2].value);
}

static void take_slap_error(struct reading *r, enum slot slot, const struct quantity *g, size_t n)
{
	struct quantity lost = counted(r->per_client);

	add(&r->slot[slot], &lost);
}

/* -- lines ----------------------------------------------------------------------------------- */

struct line {
	enum tool tool;
	enum slot slot;
	void (*take)(struct reading *, enum slot, const struct quantity *, size_t);
	const char *unit, *regex;
};

static const struct line lines[] = {
#define LINE(id, slot, how, unit, regex) {TOOL_##id, SLOT_##slot, take_##how, unit, regex},
#include "compare/reader.def"
#undef LINE
};

/* is_count -- slots that hold what was counted one by one. */
static bool is_count(enum slot slot)
{
	return slot == SLOT_DONE || slot == SLOT_WRONG || slot == SLOT_LOST || slot == SLOT_TOTAL;
}

/* read_group -- read what a group matched, with the row's unit behind it. */
static bool read_group(const struct line *line, const char *text, const regmatch_t *m,
		       struct quantity *to)
{
	char number[64];
	int n = snprintf(number, sizeof number, "%.*s%s", (int)(m->rm_eo - m->rm_so),
			 text + m->rm_so, line->unit);

	if (m->rm_so < 0 || n >= (int)sizeof number || quantity_read(number, (size_t)n, to))
		return false;
	if (is_count(line->slot) && to->quantum == 1)
		*to = counted(to->value);
	return true;
}

static void apply(struct reading *r, const struct line *line, const regex_t *regex,
		  const char *text, size_t n)
{
	regmatch_t match[GROUPS + 1] = {{0, (regoff_t)n}};
	struct quantity group[GROUPS];
	size_t groups = regex->re_nsub;

	if (groups > GROUPS || regexec(regex, text, groups + 1, match, REG_STARTEND))
		return;
	for (size_t i = 0; i < groups; i++)
		if (!read_group(line, text, &match[i + 1], &group[i]))
			return;
	line->take(r, line->slot, group, groups);
}

static void apply_to_text(struct reading *r, const struct line *line, const regex_t *regex,
			  const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");

		apply(r, line, regex, text, n);
		text += n + (text[n] == '\n');
	}
}

/* read_lines -- apply the tool's rows to all that it wrote. Returns false without memory. */
static bool read_lines(struct reading *r, enum tool tool, const struct reader_run *run)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		regex_t regex;

		if (lines[i].tool != tool)
			continue;
		if (regcomp(&regex, lines[i].regex, REG_EXTENDED))
			return false;
		apply_to_text(r, &lines[i], &regex, run->out);
		apply_to_text(r, &lines[i], &regex, run->file);
		apply_to_text(r, &lines[i], &regex, run->err);
		regfree(&regex);
	}
	return true;
}

/* -- results --------------------------------------------------------------------------------- */

/* set_counts -- which requests were completed, and which failed? */
static void set_counts(struct reading *r)
{
	double done = r->slot[SLOT_DONE].value;
	double wrong = fmin(r->slot[SLOT_WRONG].value, done);
	double failed = wrong + r->slot[SLOT_LOST].value;

	if (!known(&r->slot[SLOT_DONE]) && !known(&r->slot[SLOT_LOST]))
		return;
	failed = fmax(failed, r->slot[SLOT_TOTAL].value - (done - wrong));
	r->slot[SLOT_COMPLETED] = counted(done - wrong);
	r->slot[SLOT_FAILED] = counted(failed);
}

/* set_rate -- rate and time, each from the other where it was not printed, or where what was
 * printed counts failed requests. */
static void set_rate(struct reading *r)
{
	double completed = r->slot[SLOT_COMPLETED].value;
	struct quantity *rate = &r->slot[SLOT_RATE], *time = &r->slot[SLOT_SECONDS];

	if (!known(rate) && r->slot[SLOT_FAILED].value == 0)
		*rate = r->slot[SLOT_GROSS];
	if (!known(rate) && time->value > 0) {
		rate->unit = QUANTITY_NUMBER;
		rate->value = completed / time->value;
		rate->quantum = rate->value * time->quantum / time->value;
	}
	if (!known(time) && rate->value > 0)
		*time = seconds(completed / rate->value,
				completed / rate->value * rate->quantum / rate->value);
}

/* drop_times -- what was measured on no completed request says nothing. */
static void drop_times(struct reading *r)
{
	r->slot[SLOT_RATE] = none;
	for (enum slot slot = SLOT_P50; slot <= SLOT_MAX; slot++)
		r->slot[slot] = none;
}

/* set_steps -- no time is finer than the tool's clock, and no rate finer than one request. */
static void set_steps(struct reading *r, double step)
{
	struct quantity *rate = &r->slot[SLOT_RATE];

	for (enum slot slot = 0; slot < SLOTS; slot++)
		if (r->slot[slot].unit == QUANTITY_SECONDS)
			r->slot[slot].quantum = fmax(r->slot[slot].quantum, step);
	if (known(rate))
		rate->quantum = fmax(rate->quantum,
				     rate->value / r->slot[SLOT_COMPLETED].value);
}

/* refusal -- why output under the tool's options cannot be believed; NULL if it can. */
static const char *refusal(const struct reading *r, enum tool tool)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (refused[i].tool == tool && option(r, refused[i].option, refused[i].long_option))
			return refused[i].why;
	return NULL;
}

/* judge -- does the run count? */
static bool judge(const struct reader *reader, const struct reading *r,
		  const struct reader_run *run, struct reader_result *to)
{
	const struct quantity *q = to->field;
	const char *why = refusal(r, (enum tool)(reader - readers));
	size_t n = sizeof to->error;

	if (!reader_ended(reader->name, run, to->error, n))
		return false;
	if (!known(&q[READER_COMPLETED]))
		return reader_fail(run, to->error, n, "%s printed no results that we can read%s%s%s",
				   reader->name, *reader->start ? " (it is read " : "",
				   reader->start, *reader->start ? ")" : "");
	if (why)
		return reader_fail(run, to->error, n, "%s", why);
	if (q[READER_COMPLETED].value == 0)
		return reader_fail(run, to->error, n, "%s: no request was completed, %.0f failed",
				   reader->name, q[READER_FAILED].value);
	if (!known(&q[READER_RATE]) || !known(&q[READER_SECONDS]))
		return reader_fail(run, to->error, n, "%s tells no rate: was the load too short?",
				   reader->name);
	return true;
}

/* is_named -- does the command name this tool at word `at', behind a path if there is one? */
static bool is_named(const struct words *w, size_t at, const char *name)
{
	const char *word = w->word[at], *slash = word ? strrchr(word, '/') : NULL;

	if (slash && *word != '-')
		word = slash + 1;
	while (word) {
		size_t n = strcspn(name, " ");

		if (strncmp(word, name, n) || word[n])
			return false;
		if (!name[n])
			return true;
		name += n + 1;
		word = w->word[++at];
	}
	return false;
}

/* find_tool -- which reader's name stands in the command? *at is where. */
static const struct reader *find_tool(const struct words *w, size_t *at)
{
	for (*at = 0; *at < w->count; ++*at)
		for (size_t i = 0; i < reader_count; i++)
			if (is_named(w, *at, readers[i].name))
				return &readers[i];
	return NULL;
}

const struct reader *reader_find(const char *command)
{
	struct words w;
	size_t at;

	words_split(&w, command);
	return find_tool(&w, &at);
}

bool reader_file(const struct reader *reader, const char *command, char *path, size_t n)
{
	struct words w;
	size_t at;

	words_split(&w, command);
	if (find_tool(&w, &at) != reader)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(side_files); i++) {
		const char *file = side_files[i].tool == (enum tool)(reader - readers) ?
			words_option(&w, at, side_files[i].option) : NULL;

		if (file && strncmp(file, "/dev/", 5))
			return *file && (size_t)snprintf(path, n, "%s", file) < n;
	}
	return false;
}

bool reader_read(const struct reader *reader, const struct reader_run *run,
		 struct reader_result *to)
{
	struct words w;
	struct reading r = {.words = &w};

	memset(to, 0, sizeof *to);
	words_split(&w, run->command);
	if (find_tool(&w, &r.at) != reader)
		r.at = 0;
	if (!read_lines(&r, (enum tool)(reader - readers), run))
		return reader_fail(run, to->error, sizeof to->error, "no memory");
	if (r.unclear)
		return reader_fail(run, to->error, sizeof to->error,
				   "%s: `%s' in its command line has to be a number: nothing else tells how many requests it made",
				   reader->name, r.unclear);
	set_counts(&r);
	if (r.slot[SLOT_COMPLETED].value > 0)
		set_rate(&r);
	else
		drop_times(&r);
	set_steps(&r, reader->step);
	memcpy(to->field, r.slot, sizeof to->field);
	return judge(reader, &r, run, to);
}

/* -- errors ---------------------------------------------------------------------------------- */

struct text {
	char *to;
	size_t n, used;
};

static void put(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->to + t->used, t->n - t->used, format, ap);
	va_end(ap);
	t->used = n < 0 ? t->used : t->used + (size_t)n < t->n ? t->used + (size_t)n : t->n - 1;
}

/* next_line -- the next line at *s that says something. Tools rewrite lines of progress with
 * carriage returns. */
static bool next_line(const char **s, const char **line, size_t *n)
{
	while (**s) {
		*line = *s;
		*n = strcspn(*s, "\r\n");
		*s += *n + ((*s)[*n] != 0);
		if (strspn(*line, " \t") < *n)
			return true;
	}
	return false;
}

/* put_line -- one line, whatever bytes it has. */
static void put_line(struct text *t, const char *s, size_t n)
{
	char line[LINE_SHOWN + 1];
	size_t i = 0;

	for (; i < n && i < LINE_SHOWN; i++)
		line[i] = (unsigned char)s[i] < ' ' || s[i] == 127 ? ' ' : s[i];
	line[i] = 0;
	put(t, "\n  %s%s", line, n > LINE_SHOWN ? "..." : "");
}

/* put_lines -- the last lines of a text, and its first one: where a tool explains its options after
 * an error, only the first tells the error. */
static void put_lines(struct text *t, const char *text)
{
	size_t count = 0, n;
	const char *line;

	for (const char *s = text; next_line(&s, &line, &n);)
		count++;
	for (size_t i = 0; next_line(&text, &line, &n); i++) {
		if (i == 0 || count - i <= LAST_LINES)
			put_line(t, line, n);
		else if (i == 1)
			put(t, "\n  ...");
	}
}

bool reader_fail(const struct reader_run *run, char *error, size_t n, const char *format, ...)
{
	struct text t = {error, n, 0};
	va_list ap;
	int used;

	va_start(ap, format);
	used = vsnprintf(error, n, format, ap);
	va_end(ap);
	t.used = used < 0 ? 0 : (size_t)used < n ? (size_t)used : n - 1;
	put_lines(&t, run->out);
	put_lines(&t, run->err);
	if (t.used == (size_t)used)
		put(&t, "; its output is empty");
	return false;
}

bool reader_ended(const char *name, const struct reader_run *run, char *error, size_t n)
{
	if (WIFSIGNALED(run->status))
		return reader_fail(run, error, n, "%s was ended by a signal (%s)", name,
				   strsignal(WTERMSIG(run->status)));
	if (WEXITSTATUS(run->status))
		return reader_fail(run, error, n, "%s ended with status %d", name,
				   WEXITSTATUS(run->status));
	return true;
}
