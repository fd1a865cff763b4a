/* verdict.c -- the rules, and Holm's step-down over levels */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare/verdict.h"

#define ROUNDING 1e-12 /* in a confidence, which is a sum of many probabilities */

const struct verdict_rule verdict_usual = {.precision = .01, .margin = .02, .confidence = .95};

static const unsigned looks[] = {VERDICT_FEWEST, 12, 24, 48, VERDICT_MOST};

static const struct {
	const char *word, *sentence;
} kinds[VERDICT_COUNT] = {
#define VERDICT(name, word, sentence) {word, sentence},
#include "compare/verdict.def"
#undef VERDICT
};

unsigned verdict_look(unsigned pairs)
{
	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++)
		if (looks[i] > pairs)
			return looks[i];
	return 0;
}

double verdict_confidence(const struct verdict_rule *rule, unsigned levels)
{
	return 1 - (1 - rule->confidence) / levels;
}

/* least_pairs -- the widest interval of n pairs misses the truth with probability 2^(1 - n). */
static unsigned least_pairs(double confidence)
{
	unsigned n = VERDICT_FEWEST;

	while (exp2(1 - (double)n) > 1 - confidence + ROUNDING)
		n++;
	return n;
}

unsigned verdict_fewest(const struct verdict_rule *rule, unsigned levels)
{
	return least_pairs(verdict_confidence(rule, levels));
}

static double margin_of(const struct verdict_rule *rule)
{
	return fmax(rule->margin, 2 * rule->precision);
}

static double halfwidth_of(const struct estimate *e)
{
	return (e->upper / e->lower - 1) / 2;
}

bool verdict_reached(const struct verdict_rule *rule, unsigned levels, const struct estimate *e)
{
	return e->pairs >= verdict_fewest(rule, levels) &&
	       halfwidth_of(e) <= rule->precision;
}

/* gain_of -- per cent by which a ratio is better; turned upside down, the ratio has the same one,
 * negative. */
static double gain_of(double ratio)
{
	return 100 * (ratio < 1 ? 1 - 1 / ratio : ratio - 1);
}

/* set_gains -- from the side of NAME, or of BASE. */
static void set_gains(struct verdict *v, const struct verdict_case *c, bool of_name)
{
	const struct estimate *e = &c->estimate;
	double gain = gain_of(e->ratio), low = gain_of(e->lower), high = gain_of(e->upper);
	bool turn = c->higher != of_name;

	v->better = of_name ? c->name : c->base;
	v->worse = of_name ? c->base : c->name;
	v->gain = turn ? -gain : gain;
	v->low = turn ? -high : low;
	v->high = turn ? -low : high;
}

/* needed -- an interval's width, as a logarithm, falls with the root of the number of pairs. */
static unsigned needed(const struct verdict_rule *rule, const struct estimate *e)
{
	double by = log(e->upper / e->lower) / log1p(2 * rule->precision);
	double n = ceil(e->pairs * by * by);

	return n < 1e9 ? (unsigned)n : 1000000000;
}

/* obstacle -- what keeps the pairs from being asked; VERDICT_OPEN if nothing does. */
static enum verdict_kind obstacle(const struct verdict_case *c, unsigned fewest)
{
	if (c->base_failed || c->name_failed)
		return c->base_failed && c->name_failed ? VERDICT_FAILED : VERDICT_LOST;
	if (c->differs)
		return VERDICT_DIFFERS;
	if (c->coarse)
		return VERDICT_COARSE;
	if (c->estimate.pairs < fewest)
		return VERDICT_FEW;
	return c->estimate.dependent ? VERDICT_WITHHELD : VERDICT_OPEN;
}

static void start(struct verdict *v, const struct verdict_rule *rule, const struct verdict_case *c,
		  unsigned levels)
{
	const struct estimate *e = &c->estimate;

	*v = (struct verdict){
		.fewest = verdict_fewest(rule, levels),
		.margin = margin_of(rule),
		.pairs = e->pairs,
		.better = c->name,
		.worse = c->base,
	};
	v->kind = obstacle(c, v->fewest);
	if (e->pairs > 0) {
		set_gains(v, c, true);
		v->halfwidth = halfwidth_of(e);
		v->correlation = e->correlation;
		v->needed = needed(rule, e);
	}
	if (v->kind == VERDICT_LOST && c->name_failed) {
		v->better = c->base;
		v->worse = c->name;
	}
}

/* mark_significant -- the least p is held against alpha by the number of levels, the next one
 * against alpha by one less, and so on until one does not pass. A level without an answer counts as
 * one that did not. */
static void mark_significant(const struct verdict_rule *rule, const struct verdict_case *cases,
			     struct verdict *verdicts, unsigned levels)
{
	for (unsigned left = levels; left > 0; left--) {
		unsigned least = levels;

		for (unsigned i = 0; i < levels; i++)
			if (verdicts[i].kind == VERDICT_OPEN && !verdicts[i].significant &&
			    (least == levels || cases[i].estimate.p < cases[least].estimate.p))
				least = i;
		if (least == levels ||
		    cases[least].estimate.p >= 1 - verdict_confidence(rule, left))
			return;
		verdicts[least].significant = true;
	}
}

static void finish(struct verdict *v, const struct verdict_case *c)
{
	const struct estimate *e = &c->estimate;

	if (e->lower * (1 + v->margin) >= 1 && e->upper <= 1 + v->margin) {
		v->kind = VERDICT_SAME;
	} else if (v->significant) {
		v->kind = VERDICT_BETTER;
		set_gains(v, c, (e->ratio > 1) == c->higher);
		v->low = fmax(v->low, 0);
	}
}

void verdict_judge(const struct verdict_rule *rule, const struct verdict_case *cases,
		   struct verdict *verdicts, unsigned levels)
{
	for (unsigned i = 0; i < levels; i++)
		start(&verdicts[i], rule, &cases[i], levels);
	mark_significant(rule, cases, verdicts, levels);
	for (unsigned i = 0; i < levels; i++)
		if (verdicts[i].kind == VERDICT_OPEN)
			finish(&verdicts[i], &cases[i]);
}

int verdict_worse(const struct verdict_case *c, const struct verdict *v, double limit)
{
	struct verdict name;

	switch (v->kind) {
	case VERDICT_LOST:
		return c->name_failed;
	case VERDICT_SAME:
	case VERDICT_BETTER:
	case VERDICT_OPEN:
		set_gains(&name, c, true);
		return name.high < -100 * limit ? 1 : name.low > -100 * limit ? 0 : 2;
	default:
		return 2;
	}
}

const char *verdict_word(enum verdict_kind kind)
{
	return kinds[kind].word;
}

/* put -- append as much as there is room for. Returns the length uncut. */
static size_t put(char *to, size_t size, size_t at, const char *text, size_t length)
{
	if (at < size) {
		size_t n = length < size - at - 1 ? length : size - at - 1;

		memcpy(to + at, text, n);
		to[at + n] = 0;
	}
	return at + length;
}

static const char *percent(char buf[32], double x)
{
	snprintf(buf, 32, fabs(x) < 99.95 ? "%.1f" : "%.0f", x);
	return strcmp(buf, "-0.0") ? buf : buf + 1;
}

/* field -- what stands for {name} in a sentence. `buf' is room for it. */
static const char *field(const struct verdict *v, const char *name, size_t length, char buf[32])
{
	const struct {
		const char *name, *text;
		double number;
		const char *format; /* of the number; NULL for per cent */
	} fields[] = {
		{"better", v->better},
		{"worse", v->worse},
		{"gain", NULL, v->gain},
		{"low", NULL, v->low},
		{"high", NULL, v->high},
		{"drop", NULL, fmax(-v->low, 0)},
		{"rise", NULL, fmax(v->high, 0)},
		{"margin", NULL, 100 * v->margin, "%.3g"},
		{"correlation", NULL, v->correlation, "%.2f"},
		{"pairs", NULL, v->pairs, "%.0f"},
		{"fewest", NULL, v->fewest, "%.0f"},
		{"needed", NULL, v->needed, "%.0f"},
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		if (strlen(fields[i].name) != length || memcmp(fields[i].name, name, length))
			continue;
		if (fields[i].text)
			return fields[i].text;
		if (!fields[i].format)
			return percent(buf, fields[i].number);
		snprintf(buf, 32, fields[i].format, fields[i].number);
		return buf;
	}
	return "?";
}

size_t verdict_text(const struct verdict *v, char *to, size_t size)
{
	const char *s = kinds[v->kind].sentence;
	char buf[32];
	size_t at = 0;

	while (*s) {
		size_t n = strcspn(s, "{");

		at = put(to, size, at, s, n);
		s += n;
		if (*s == '{') {
			const char *text;

			n = strcspn(++s, "}");
			text = field(v, s, n, buf);
			at = put(to, size, at, text, strlen(text));
			s += n + 1;
		}
	}
	return at;
}
