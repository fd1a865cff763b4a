/* unit.c -- see unit.h */
#include <math.h>
#include <stdio.h>

#include "unit.h"

const char *unit_grouped(uint64_t n)
{
	static char texts[4][32];
	static size_t turn;
	char *at = texts[turn++ % 4] + 31;

	for (int digits = 0; !digits || n; digits++, n /= 10) {
		if (digits && digits % 3 == 0)
			*--at = ' ';
		*--at = (char)('0' + n % 10);
	}
	return at;
}

const char *unit_time(double ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	static char texts[4][16];
	static size_t turn;
	char *text = texts[turn++ % 4];
	size_t unit = 0;

	for (; unit < 3 && ns >= 1000; unit++)
		ns /= 1000;
	snprintf(text, sizeof texts[0], "%.*f %s",
		 ns < 10     ? 3
		 : ns < 100  ? 2
		 : ns < 1000 ? 1
			     : 0,
		 ns, units[unit]);
	return text;
}

const char *unit_bytes(double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	static char texts[4][24];
	static size_t turn;
	char *text = texts[turn++ % 4];
	size_t unit = 0;

	for (; unit < 4 && bytes >= 1024; unit++)
		bytes /= 1024;
	snprintf(text, sizeof texts[0], "%.*f %s", !unit ? 0 : bytes < 10 ? 2 : bytes < 100 ? 1 : 0, bytes, units[unit]);
	return text;
}

const char *unit_number(double value)
{
	static char texts[4][24];
	static size_t turn;
	char *text = texts[turn++ % 4];

	if (value >= 1000)
		return unit_grouped((uint64_t)llround(value));
	snprintf(text, sizeof texts[0], value == floor(value) ? "%.0f" : "%.4g", value);
	return text;
}
