/* ldpreload.c -- this library in the value of LD_PRELOAD */
#include <stddef.h>

#include "elf/ldpreload.h"

static bool is_separator(char c)
{
	return c == ' ' || c == ':';
}

static bool is(const char *entry, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && name[i] && entry[i] == name[i])
		i++;
	return i == n && !name[i];
}

static bool is_ours(const char *entry, size_t n)
{
	size_t base = n;

	while (base && entry[base - 1] != '/')
		base--;
	return is(entry + base, n - base, LDPRELOAD_LIBRARY) || is(entry + base, n - base, LDPRELOAD_SONAME);
}

bool ldpreload_others(const char *list, char *others)
{
	char *to = others;
	bool found = false;

	for (size_t n; *list; list += n) {
		if (is_separator(*list)) {
			n = 1;
			continue;
		}
		for (n = 1; list[n] && !is_separator(list[n]);)
			n++;
		if (is_ours(list, n)) {
			found = true;
			continue;
		}
		if (!others)
			continue;
		if (to != others)
			*to++ = list[-1];
		for (size_t i = 0; i < n; i++)
			*to++ = list[i];
	}
	if (others)
		*to = 0;
	return found;
}
