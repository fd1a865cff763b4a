/* quantity.h -- a number as a program printed it: value, unit and the step it was printed in
 *
 * The step, or quantum, is one unit of the last digit: 1.20 ms was printed in steps of 10 us. What
 * has fewer than QUANTITY_STEPS of them cannot show a difference of one percent.
 *
 * Threads: any function, from anywhere.
 * Errors:  0 or -errno.    Memory: the caller's.
 */
#ifndef CLI_QUANTITY_H
#define CLI_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>

#define QUANTITY_STEPS 100

enum quantity_unit {
	QUANTITY_NONE,		/* was not printed */
	QUANTITY_COUNT,		/* of things that were counted: exact, the quantum is 0 */
	QUANTITY_NUMBER,
	QUANTITY_SECONDS,
};

struct quantity {
	enum quantity_unit unit;
	double value, quantum;	/* of seconds: in seconds, whatever was printed */
};

/* quantity_read -- read `[+-]digits[.digits][e[+-]digits][ ]unit', all of the n bytes.
 *
 * Units: k M G T (powers of 1000), Ki Mi Gi Ti (of 1024), % (a hundredth), ns us ms s m h and a few
 * other spellings. A comma is a decimal mark or groups thousands, whichever the digits allow.
 * Returns 0, -EINVAL for what is no number, or -EDOM where a comma allows both, as in `1,234'.
 */
int quantity_read(const char *text, size_t n, struct quantity *to);

/* quantity_coarse -- was it printed in so few steps that it decides nothing? */
bool quantity_coarse(const struct quantity *q);

/* quantity_text -- print `1.2 ms', or `-' for what is not known. */
void quantity_text(const struct quantity *q, char *to, size_t n);

/* quantity_coarse_text -- print what is wrong with a coarse one: `p50: 0.4 ms in steps of 0.1 ms is
 * too coarse'; "" for any other. */
void quantity_coarse_text(const struct quantity *q, const char *name, char *to, size_t n);

#endif
