/* histogram.h -- how often each time was seen, to three significant digits
 *
 * Times are nanoseconds. Below 2 048 each has a step of its own; above, every power of two is cut
 * into 1 024 steps of equal width, so that a step is never wider than a thousandth of what it
 * holds. What is longer than the last step (73 minutes) is counted there. Count, sum, smallest and
 * largest value are kept exactly. Percentiles of several runs come from their histograms merged;
 * percentiles themselves cannot be averaged.
 *
 * The text form is one line: `1 COUNT SUM MIN MAX' and then ` STEP:TIMES' for each step that is not
 * empty, in ascending order, all in decimal. The first number is the form's version. Step I holds,
 * where I < 2048, the time I, and else the times from (1024 + I % 1024) << s, 1 << s of them, where
 * s = I / 1024 - 1.
 *
 * Threads: one at a time for each histogram.    Errors: 0 or -errno.
 * Memory:  the caller's, 270 KB; all bytes zero are an empty histogram.
 */
#ifndef CLI_LOAD_HISTOGRAM_H
#define CLI_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE	1024 /* steps of a power of two */
#define HISTOGRAM_BITS	42   /* of the longest time that has its own step */
#define HISTOGRAM_STEPS (HISTOGRAM_FINE * (HISTOGRAM_BITS - 9))

struct histogram {
	uint64_t count, sum, min, max;
	uint64_t steps[HISTOGRAM_STEPS];
};

/* histogram_add -- count one more time; a negative one is counted as 0. */
void histogram_add(struct histogram *h, int64_t ns);

/* histogram_merge -- add all that `from' has counted. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* histogram_percentile -- the smallest time that at least `percent' of all do not exceed: the
 * middle of its step, 0 of an empty histogram. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

/* histogram_mean -- exact; 0 of an empty histogram. */
double histogram_mean(const struct histogram *h);

/* histogram_write -- the text form, to be freed by the caller; NULL without memory. */
char *histogram_write(const struct histogram *h);

/* histogram_read -- make `h' what the text says. Returns -EINVAL, and an empty histogram, for a
 * text that is not whole, contradicts itself or has another version. */
int histogram_read(struct histogram *h, const char *text);

#endif
