/* estimate.h -- by how much two ways of running a program differ, and how sure that is
 *
 * What comes in is one number a pair of runs, the logarithm of the ratio of their figures; what
 * goes out are ratios. The estimate is Hodges and Lehmann's: the median of the Walsh averages,
 * which are the means of every two log ratios and of each with itself. The interval's ends are two
 * of these averages, and the exact distribution of Wilcoxon's signed-rank statistic says which:
 * with q the smallest number for which P(T <= q) reaches half of 1 - confidence, but at least 1,
 * the q-th from below and the q-th from above. So R's wilcox.test(exact=TRUE, conf.int=TRUE) has
 * it, and p as well. All this wants is that a pair's log ratio lies as often above as below the
 * truth by any amount; drawing by lot which run goes first (schedule.h) makes that so, whatever
 * the noise.
 *
 * Ties and zeros. R gives up the exact distribution here; we keep it, with closed intervals, and
 * count an average of zero (to 1e-12) on both sides when we test. Think of a symmetric noise, too
 * small to be seen, that breaks the ties: it could only move an end inwards or make p smaller. So
 * the interval covers no less than is said, and a tie never helps to claim a difference.
 *
 * Threads: any function, from any thread.
 * Errors:  0 or -errno; *e is left alone on an error.
 * Memory:  never allocates; uses up to 300 KiB of stack.
 */
#ifndef CLI_COMPARE_ESTIMATE_H
#define CLI_COMPARE_ESTIMATE_H

#include <stdbool.h>

#define ESTIMATE_MOST 256 /* pairs in one sample */

struct estimate {
	unsigned pairs; /* of two samples: in the smaller one */
	double ratio;
	double lower, upper; /* the interval; its ends belong to it */
	double confidence;   /* with which it holds the truth; see below */
	double p;	     /* how often equals would look as different as this, or more */
	double correlation;  /* of each log ratio with the next one, in order of time */
	bool dependent;	     /* that is above 2 / sqrt(pairs): do not believe the interval */
};

/* estimate_pairs -- the ratio that these pairs show.
 *
 * logs        natural logarithms of the ratios, in order of time
 * n           1 to ESTIMATE_MOST
 * confidence  that is wanted, between 0 and 1. For k intervals that are to hold together at
 *             1 - a, give 1 - a / k.
 *
 * e->confidence is what the interval attains: at least what is wanted, unless there are so few
 * pairs that even the widest interval, from the least ratio to the greatest, attains less. Below 6
 * pairs that is so at 0.95.
 * Returns 0; -EINVAL if n is 0, a logarithm is not finite or beyond 700, or the confidence is out
 * of range; -E2BIG if n is above ESTIMATE_MOST.
 */
int estimate_pairs(struct estimate *e, const double *logs, unsigned n, double confidence);

/* estimate_between -- how many times the ratio of one series of pairs is that of another.
 *
 * The series are two sessions, each with its own noise and number of pairs, and no pair of one
 * belongs to a pair of the other. The estimate is the quotient of the two estimates. Its interval
 * is put together from the two signed-rank intervals by squares: below the estimate it reaches as
 * far as the root of (what a's reaches below)^2 + (what b's reaches above)^2, and the other way
 * round above it (Zou and Donner's "recovery of variance estimates"). The rank-sum test with its
 * shift, which stands nearer, was rejected. It takes both sessions to be equally noisy, and they
 * are not: with 6 pairs four times as noisy as 96 others it claimed a difference between equals in
 * 19 % of 8 000 trials where it says 5 %, and with 12 and 96 in 17 %. This one did so in 1.1 to
 * 6.3 %, for all of 6, 12, 48 and 96 pairs, equally noisy or not, normal, heavy-tailed, in modes or
 * in bursts; with 96 equally noisy pairs each it is 1 to 4 % wider than the other.
 *
 * p is 1 less the greatest confidence at which the interval leaves out 1, to six digits; never
 * below what the smaller series can show. e->correlation is that of the series that is nearer to
 * dependence, or further beyond.
 * Arguments and results as above, for both series.
 */
int estimate_between(struct estimate *e, const double *a, unsigned na, const double *b, unsigned nb,
		     double confidence);

#endif
