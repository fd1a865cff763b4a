/* histogram.c -- see histogram.h */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/histogram.h"

#define VERSION	   1
#define FINE_BITS  10
#define HEAD_BYTES 100 /* the head's five numbers, as text */
#define STEP_BYTES 28  /* a step's index and count */

static size_t step_of(uint64_t ns)
{
	int shift;

	if (ns < 2 * HISTOGRAM_FINE)
		return ns;
	if (ns >> HISTOGRAM_BITS)
		return HISTOGRAM_STEPS - 1;
	shift = 63 - FINE_BITS - __builtin_clzll(ns);
	return (size_t)shift * HISTOGRAM_FINE + (ns >> shift);
}

/* middle_of -- the time in the middle of a step. */
static uint64_t middle_of(size_t step)
{
	int shift = step < 2 * HISTOGRAM_FINE ? 0 : (int)(step / HISTOGRAM_FINE) - 1;

	return ((uint64_t)(step - (size_t)shift * HISTOGRAM_FINE) << shift) + (1ull << shift) / 2;
}

void histogram_add(struct histogram *h, int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;

	if (!h->count || v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	h->count++;
	h->sum += v;
	h->steps[step_of(v)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (!from->count)
		return;
	if (!h->count || from->min < h->min)
		h->min = from->min;
	if (from->max > h->max)
		h->max = from->max;
	h->count += from->count;
	h->sum += from->sum;
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		h->steps[i] += from->steps[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	/* A product like 99.9 % of 1 000 may be a trifle more than 999 in binary. */
	double rank = percent * (double)h->count / 100 - 1e-6;
	uint64_t seen = 0;
	size_t i = 0;

	if (!h->count)
		return 0;
	for (; i < HISTOGRAM_STEPS - 1; i++) {
		seen += h->steps[i];
		if (seen && (double)seen >= rank)
			break;
	}
	if (i == HISTOGRAM_STEPS - 1 || middle_of(i) > h->max)
		return h->max;
	return middle_of(i) < h->min ? h->min : middle_of(i);
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}

char *histogram_write(const struct histogram *h)
{
	size_t used = 0, n;
	char *text;

	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		used += h->steps[i] != 0;
	text = malloc(HEAD_BYTES + used * STEP_BYTES);
	if (!text)
		return NULL;
	n = (size_t)sprintf(text, "%d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, VERSION,
			    h->count, h->sum, h->min, h->max);
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		if (h->steps[i])
			n += (size_t)sprintf(text + n, " %zu:%" PRIu64, i, h->steps[i]);
	return text;
}

/* read_number -- a number up to the byte `end', which is skipped. */
static bool read_number(const char **text, char end, uint64_t *to)
{
	char *after;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*to = strtoull(*text, &after, 10);
	if (errno || *after != end)
		return false;
	*text = after + (end != 0);
	return true;
}

/* read_steps -- the steps behind the head; they must be as many as it says, and the outermost ones
 * those of the smallest and the largest time. */
static bool read_steps(struct histogram *h, const char *text)
{
	uint64_t step = 0, times, count = 0, first = 0;

	while (text) {
		const char *space = strchr(text, ' ');
		uint64_t last = step;

		if (!read_number(&text, ':', &step) || step >= HISTOGRAM_STEPS ||
		    !read_number(&text, space ? ' ' : 0, &times) || !times)
			return false;
		if (count && step <= last)
			return false;
		if (!count)
			first = step;
		if (__builtin_add_overflow(count, times, &count))
			return false;
		h->steps[step] = times;
		text = space ? text : NULL;
	}
	return count == h->count && first == step_of(h->min) && step == step_of(h->max) &&
	       histogram_mean(h) >= (double)h->min * .999999 &&
	       histogram_mean(h) <= (double)h->max * 1.000001;
}

int histogram_read(struct histogram *h, const char *text)
{
	const char *at = text;
	uint64_t version;

	memset(h, 0, sizeof *h);
	if (read_number(&at, ' ', &version) && version == VERSION &&
	    read_number(&at, ' ', &h->count) && read_number(&at, ' ', &h->sum) &&
	    read_number(&at, ' ', &h->min)) {
		if (h->count && read_number(&at, ' ', &h->max) && read_steps(h, at))
			return 0;
		if (!h->count && !h->sum && !h->min && !strcmp(at, "0"))
			return 0;
	}
	memset(h, 0, sizeof *h);
	return -EINVAL;
}
