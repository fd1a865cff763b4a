/* arrivals.c -- see arrivals.h */
#include "load/arrivals.h"

static int64_t due_ns(const struct arrivals *a, uint64_t k)
{
	return a->origin_ns + (int64_t)((double)k * 1e9 / a->rate);
}

int64_t arrivals_next(const struct arrivals *a)
{
	int64_t due = due_ns(a, a->sent);

	return due < a->end_ns ? due : ARRIVALS_NEVER;
}

uint64_t arrivals_count(const struct arrivals *a, int64_t ns)
{
	uint64_t k;

	if (ns > a->end_ns)
		ns = a->end_ns;
	if (ns <= a->origin_ns)
		return 0;
	k = (uint64_t)((double)(ns - a->origin_ns) * a->rate / 1e9);
	/* The product may be off by one either way. */
	while (due_ns(a, k) < ns)
		k++;
	while (k && due_ns(a, k - 1) >= ns)
		k--;
	return k;
}

struct arrivals arrivals_of(double rate, int64_t origin_ns, int64_t window_ns, int64_t length_ns,
			    uint64_t requests)
{
	struct arrivals a = {.rate = rate, .origin_ns = origin_ns, .end_ns = ARRIVALS_NEVER};

	if (requests)
		a.end_ns = due_ns(&a, arrivals_count(&a, window_ns) + requests);
	if (length_ns && window_ns + length_ns < a.end_ns)
		a.end_ns = window_ns + length_ns;
	return a;
}
