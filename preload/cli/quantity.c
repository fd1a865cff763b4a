/* quantity.c -- a number as a program printed it: value, unit and the step it was printed in
 *
 * strtod is not used: it follows the locale, and does not say how many digits there were.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantity.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	long double factor;
	enum quantity_unit unit;
} units[] = {
	{"", 1, QUANTITY_NUMBER},
	{"%", .01L, QUANTITY_NUMBER},
	{"k", 1e3L, QUANTITY_NUMBER},
	{"K", 1e3L, QUANTITY_NUMBER},
	{"M", 1e6L, QUANTITY_NUMBER},
	{"G", 1e9L, QUANTITY_NUMBER},
	{"T", 1e12L, QUANTITY_NUMBER},
	{"Ki", 0x1p10L, QUANTITY_NUMBER},
	{"Mi", 0x1p20L, QUANTITY_NUMBER},
	{"Gi", 0x1p30L, QUANTITY_NUMBER},
	{"Ti", 0x1p40L, QUANTITY_NUMBER},
	{"ns", 1e-9L, QUANTITY_SECONDS},
	{"us", 1e-6L, QUANTITY_SECONDS},
	{"\302\265s", 1e-6L, QUANTITY_SECONDS},		/* the micro sign */
	{"\316\274s", 1e-6L, QUANTITY_SECONDS},		/* the letter mu */
	{"usec", 1e-6L, QUANTITY_SECONDS},
	{"ms", 1e-3L, QUANTITY_SECONDS},
	{"msec", 1e-3L, QUANTITY_SECONDS},
	{"s", 1, QUANTITY_SECONDS},
	{"sec", 1, QUANTITY_SECONDS},
	{"secs", 1, QUANTITY_SECONDS},
	{"seconds", 1, QUANTITY_SECONDS},
	{"m", 60, QUANTITY_SECONDS},
	{"min", 60, QUANTITY_SECONDS},
	{"h", 3600, QUANTITY_SECONDS},
};

/* Digits and marks at the beginning of a text. */
struct digits {
	const char *text;
	size_t length;
	size_t point;		/* where the decimal mark stands; `length' for none */
};

static size_t count(const struct digits *d, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < d->length; i++)
		n += d->text[i] == c;
	return n;
}

static bool is_mark(char c)
{
	return c == '.' || c == ',';
}

/* is_grouped -- are the digits before the decimal mark one to three, then mark and three, …? */
static bool is_grouped(const struct digits *d)
{
	size_t since = 0;	/* digits since the last mark */
	bool first = true;

	for (size_t i = 0; i < d->point; i++) {
		if (!is_mark(d->text[i])) {
			since++;
			continue;
		}
		if (first ? since < 1 || since > 3 : since != 3)
			return false;
		first = false;
		since = 0;
	}
	return first || since == 3;
}

/* find_point -- which of the marks is the decimal one? The last one, unless it stands there more
 * than once. */
static int find_point(struct digits *d)
{
	size_t last = d->length;
	bool grouped, bare;

	while (last && !is_mark(d->text[last - 1]))
		last--;
	d->point = d->length;
	if (last == 0)
		return 0;
	last--;
	if (count(d, d->text[last]) > 1)
		return is_grouped(d) && !count(d, d->text[last] == '.' ? ',' : '.') ? 0 : -EINVAL;
	grouped = is_grouped(d);
	d->point = last;
	bare = !count(d, '.');
	return !is_grouped(d) ? -EINVAL : grouped && bare && d->text[0] != '0' ? -EDOM : 0;
}

static int read_digits(const char *text, size_t n, struct digits *d)
{
	d->text = text;
	d->length = 0;
	while (d->length < n && (isdigit((unsigned char)text[d->length]) || is_mark(text[d->length])))
		d->length++;
	if (d->length == 0 || count(d, '.') + count(d, ',') == d->length)
		return -EINVAL;
	return find_point(d);
}

/* read_exponent -- read `e[+-]digits', if it stands there. Returns its length. */
static size_t read_exponent(const char *text, size_t n, int *exponent)
{
	size_t i = 1;
	bool negative = n > 1 && text[1] == '-';
	int value = 0;

	*exponent = 0;
	if (n < 2 || (text[0] != 'e' && text[0] != 'E'))
		return 0;
	if (text[1] == '-' || text[1] == '+')
		i++;
	if (i == n || !isdigit((unsigned char)text[i]))
		return 0;
	for (; i < n && isdigit((unsigned char)text[i]); i++)
		value = value < 1000 ? value * 10 + (text[i] - '0') : value;
	*exponent = negative ? -value : value;
	return i;
}

static long double power_of_ten(int exponent)
{
	long double power = 1;

	for (int i = abs(exponent); i; i--)
		power *= 10;
	return exponent < 0 ? 1 / power : power;
}

static long double mantissa(const struct digits *d)
{
	long double value = 0;

	for (size_t i = 0; i < d->length; i++)
		if (!is_mark(d->text[i]))
			value = value * 10 + (d->text[i] - '0');
	return value;
}

static int find_unit(const char *text, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == n && !memcmp(units[i].name, text, n))
			return (int)i;
	return -EINVAL;
}

static void skip(const char **text, size_t *n, size_t by)
{
	*text += by;
	*n -= by;
}

static void trim(const char **text, size_t *n)
{
	while (*n && isspace((unsigned char)**text))
		skip(text, n, 1);
	while (*n && isspace((unsigned char)(*text)[*n - 1]))
		--*n;
}

int quantity_read(const char *text, size_t n, struct quantity *to)
{
	struct digits d;
	int exponent, unit, result;
	long double step;
	bool negative;

	*to = (struct quantity){QUANTITY_NONE, 0, 0};
	trim(&text, &n);
	negative = n && *text == '-';
	if (n && (*text == '-' || *text == '+'))
		skip(&text, &n, 1);
	result = read_digits(text, n, &d);
	if (result)
		return result;
	skip(&text, &n, d.length);
	skip(&text, &n, read_exponent(text, n, &exponent));
	trim(&text, &n);
	unit = find_unit(text, n);
	if (unit < 0)
		return unit;
	if (d.point < d.length)
		exponent -= (int)(d.length - d.point - 1);
	step = power_of_ten(exponent) * units[unit].factor;
	if (!isfinite((double)(mantissa(&d) * step)))
		return -EINVAL;
	to->unit = units[unit].unit;
	to->value = (double)(mantissa(&d) * step) * (negative ? -1 : 1);
	to->quantum = (double)step;
	return 0;
}

bool quantity_coarse(const struct quantity *q)
{
	/* 1.00 s in steps of 0.01 s is no coarser for being rounded in binary. */
	return q->unit != QUANTITY_NONE &&
	       fabs(q->value) < q->quantum * (QUANTITY_STEPS - 1e-9);
}

static void print(double value, enum quantity_unit unit, char *to, size_t n)
{
	static const struct {
		double from, factor;
		const char *name;
	} times[] = {{1, 1, "s"}, {1e-3, 1e3, "ms"}, {1e-6, 1e6, "us"}, {0, 1e9, "ns"}};
	size_t i = 0;

	if (unit != QUANTITY_SECONDS) {
		snprintf(to, n, unit == QUANTITY_COUNT ? "%.0f" : "%.6g", value);
		return;
	}
	while (value != 0 && fabs(value) * (1 + 1e-9) < times[i].from)
		i++;
	snprintf(to, n, "%.6g %s", value * times[i].factor, times[i].name);
}

void quantity_text(const struct quantity *q, char *to, size_t n)
{
	if (q->unit == QUANTITY_NONE)
		snprintf(to, n, "-");
	else
		print(q->value, q->unit, to, n);
}

void quantity_coarse_text(const struct quantity *q, const char *name, char *to, size_t n)
{
	char value[40], quantum[40];

	*to = 0;
	if (!quantity_coarse(q))
		return;
	print(q->value, q->unit, value, sizeof value);
	print(q->quantum, q->unit, quantum, sizeof quantum);
	snprintf(to, n, "%s: %s in steps of %s is too coarse", name, value, quantum);
}
