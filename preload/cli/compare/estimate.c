/* estimate.c -- Walsh averages by rank, without making them
 *
 * Of n sorted numbers the averages are n (n + 1) / 2, but those up to a bound are counted in one
 * walk of n steps. The average of a given rank is the least number that has so many averages up to
 * it, and is found by halving the range of doubles between the least and the greatest: 64 walks at
 * most, no memory, and the result is that very average, to the last bit.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compare/estimate.h"

/* What R's qsignrank allows for rounding in a sum of probabilities. */
#define ROUNDING (10 * 2.220446049250313e-16)

#define LOG_MOST 700   /* a ratio of e^700 is a double, and nonsense */
#define ZERO	 1e-12 /* what rounding can leave of log(x) + log(1 / x), which is a tie */
#define HALVINGS 32    /* of the logarithms between which p lies */

struct sample {
	unsigned n;
	unsigned averages; /* n (n + 1) / 2 */
	double sorted[ESTIMATE_MOST];
	double middle; /* the estimate, a logarithm */
	double correlation;
	/* P(T <= t) for t up to averages / 2, T being Wilcoxon's statistic */
	double below[ESTIMATE_MOST * (ESTIMATE_MOST + 1) / 4 + 1];
};

struct interval {
	double lower, upper; /* logarithms */
	double confidence;
};

/* set_below -- the distribution of T, the sum of the ranks of the positive numbers: each of the
 * ranks 1 ... n is in it or is not, both with probability 1/2. First the ways to make each sum. */
static void set_below(struct sample *s)
{
	unsigned half = s->averages / 2;
	double *p = s->below, ways = 0;

	memset(p, 0, (half + 1) * sizeof *p);
	p[0] = 1;
	for (unsigned rank = 1; rank <= s->n; rank++) {
		unsigned top = rank * (rank + 1) / 2;

		for (unsigned t = top < half ? top : half; t >= rank; t--)
			p[t] += p[t - rank];
	}
	for (unsigned t = 0; t <= half; t++) {
		ways += p[t];
		p[t] = ldexp(ways, -(int)s->n);
	}
}

/* count_to -- how many averages are at most `bound', or less than it. */
static unsigned count_to(const struct sample *s, double bound, bool less)
{
	const double *x = s->sorted;
	unsigned count = 0, end = s->n;

	for (unsigned i = 0; i < end; i++) {
		while (end > i &&
		       (less ? (x[i] + x[end - 1]) / 2 >= bound : (x[i] + x[end - 1]) / 2 > bound))
			end--;
		count += end - i;
	}
	return count;
}

/* Doubles in their order as integers in theirs, and back; both zeros are 0. */
static int64_t place_of(double x)
{
	int64_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits < 0 ? INT64_MIN - bits : bits;
}

static double at_place(int64_t place)
{
	int64_t bits = place < 0 ? INT64_MIN - place : place;
	double x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

/* average_of_rank -- the rank-th average from below, counted from 1. */
static double average_of_rank(const struct sample *s, unsigned rank)
{
	int64_t low = place_of(s->sorted[0]), high = place_of(s->sorted[s->n - 1]);

	while (low < high) {
		int64_t middle = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);

		if (count_to(s, at_place(middle), false) >= rank)
			high = middle;
		else
			low = middle + 1;
	}
	return at_place(low);
}

/* lag_one -- the autocorrelation at lag 1, as R's acf() has it; 0 when all numbers are the same,
 * which is exact because the first of them is taken off before anything is rounded. */
static double lag_one(const double *x, unsigned n)
{
	double mean = 0, square = 0, product = 0, before = 0;

	for (unsigned i = 0; i < n; i++)
		mean += (x[i] - x[0]) / n;
	for (unsigned i = 0; i < n; i++) {
		double away = x[i] - x[0] - mean;

		square += away * away;
		product += away * before;
		before = away;
	}
	return square > 0 ? product / square : 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int sample_init(struct sample *s, const double *logs, unsigned n)
{
	if (n == 0)
		return -EINVAL;
	if (n > ESTIMATE_MOST)
		return -E2BIG;
	for (unsigned i = 0; i < n; i++)
		if (!(fabs(logs[i]) <= LOG_MOST))
			return -EINVAL;
	s->n = n;
	s->averages = n * (n + 1) / 2;
	memcpy(s->sorted, logs, n * sizeof *logs);
	qsort(s->sorted, n, sizeof *s->sorted, compare);
	set_below(s);
	s->middle = average_of_rank(s, (s->averages + 1) / 2);
	if (s->averages % 2 == 0)
		s->middle = (s->middle + average_of_rank(s, s->averages / 2 + 1)) / 2;
	s->correlation = lag_one(logs, n);
	return 0;
}

/* interval_of -- the interval that misses the truth with probability alpha, or less. */
static struct interval interval_of(const struct sample *s, double alpha)
{
	double tail = alpha / 2 - ROUNDING;
	unsigned rank = 0;

	while (rank < s->averages / 2 && s->below[rank] < tail)
		rank++;
	if (rank == 0)
		rank = 1;
	return (struct interval){
		.lower = average_of_rank(s, rank),
		.upper = average_of_rank(s, s->averages + 1 - rank),
		.confidence = 1 - 2 * s->below[rank - 1],
	};
}

static double p_of(const struct sample *s)
{
	unsigned low = count_to(s, ZERO, false), high = s->averages - count_to(s, -ZERO, true);
	unsigned t = low < high ? low : high;
	double p = t <= s->averages / 2 ? 2 * s->below[t] : 1;

	return p < 1 ? p : 1;
}

static double ratio_of(double logarithm)
{
	return fabs(logarithm) <= ZERO ? 1 : exp(logarithm);
}

static void set_ratio(struct estimate *e, double middle, struct interval i)
{
	e->ratio = ratio_of(middle);
	e->lower = ratio_of(i.lower);
	e->upper = ratio_of(i.upper);
	e->confidence = i.confidence;
}

static void set_correlation(struct estimate *e, const struct sample *s)
{
	e->correlation = s->correlation;
	e->dependent = s->correlation > 2 / sqrt(s->n);
}

int estimate_pairs(struct estimate *e, const double *logs, unsigned n, double confidence)
{
	struct sample s;
	int r = confidence > 0 && confidence < 1 ? sample_init(&s, logs, n) : -EINVAL;

	if (r)
		return r;
	e->pairs = n;
	set_ratio(e, s.middle, interval_of(&s, 1 - confidence));
	e->p = p_of(&s);
	set_correlation(e, &s);
	return 0;
}

static struct interval interval_between(const struct sample *a, const struct sample *b,
					double alpha)
{
	struct interval x = interval_of(a, alpha), y = interval_of(b, alpha);
	double middle = a->middle - b->middle;

	return (struct interval){
		.lower = middle - hypot(a->middle - x.lower, y.upper - b->middle),
		.upper = middle + hypot(x.upper - a->middle, b->middle - y.lower),
		.confidence = fmin(x.confidence, y.confidence),
	};
}

static bool leaves_out_zero(const struct sample *a, const struct sample *b, double alpha)
{
	struct interval i = interval_between(a, b, alpha);

	return i.lower > ZERO || i.upper < -ZERO;
}

/* p_between -- the least alpha that leaves out zero, but not less than the smaller sample can show:
 * halves the range of its logarithm. */
static double p_between(const struct sample *a, const struct sample *b)
{
	double low = 1 - (double)(a->n < b->n ? a->n : b->n), high = 0;

	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;

		if (leaves_out_zero(a, b, exp2(middle)))
			high = middle;
		else
			low = middle;
	}
	return exp2(high);
}

int estimate_between(struct estimate *e, const double *a, unsigned na, const double *b, unsigned nb,
		     double confidence)
{
	struct sample x, y;
	int r = confidence > 0 && confidence < 1 ? sample_init(&x, a, na) : -EINVAL;

	if (!r)
		r = sample_init(&y, b, nb);
	if (r)
		return r;
	e->pairs = na < nb ? na : nb;
	set_ratio(e, x.middle - y.middle, interval_between(&x, &y, 1 - confidence));
	e->p = p_between(&x, &y);
	set_correlation(e, x.correlation * sqrt(na) > y.correlation * sqrt(nb) ? &x : &y);
	return 0;
}
