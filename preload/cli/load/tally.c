/* tally.c -- see tally.h */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "load/tally.h"

#define BUSY_MOST     90  /* per cent of the window; beyond, the generator may be the limit */
#define QUEUED_MOST   25  /* the same of waiting for a CPU */
#define LATE_LEAST    1e6 /* ns; starts that are later by less are not worth a word */
#define LATE_MOST     .05 /* of the latency */
#define HELD_LEAST    .98 /* of the requests that were due must have ended */
#define HELD_REQUESTS 2	  /* that the window's edges may cut off */

struct tally tally;

const char *const failure_names[FAILURES] = {
	"",
#define FAILURE(name, meaning) #name,
#include "load/failure.def"
#undef FAILURE
};

const char *const failure_meanings[FAILURES] = {
	"",
#define FAILURE(name, meaning) meaning,
#include "load/failure.def"
#undef FAILURE
};

void tally_describe(enum failure kind, const char *format, ...)
{
	va_list ap;

	if (*tally.first[kind])
		return;
	va_start(ap, format);
	vsnprintf(tally.first[kind], sizeof tally.first[kind], format, ap);
	va_end(ap);
}

void tally_fail(enum failure kind)
{
	tally.failures[kind]++;
}

void tally_end(enum failure kind, int64_t ns, bool inside)
{
	tally.ends += tally.open;
	if (kind) {
		tally_fail(kind);
		tally.failed += inside;
		return;
	}
	tally.answers += tally.open;
	if (inside) {
		tally.answered++;
		histogram_add(&tally.latency, ns);
	}
}

uint64_t tally_failures(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < FAILURES; i++)
		sum += tally.failures[i];
	return sum;
}

/* queued_ns -- how long this thread stood in a run queue since it began; -1 when the kernel does
 * not say. */
static int64_t queued_ns(void)
{
	FILE *f = fopen("/proc/thread-self/schedstat", "re");
	int64_t queued = -1;

	if (f) {
		if (fscanf(f, "%*u %" SCNd64, &queued) != 1)
			queued = -1;
		fclose(f);
	}
	return queued;
}

void tally_window(int64_t now_ns)
{
	int64_t queued = queued_ns();
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	tally.open = !tally.open;
	tally.window_ns = now_ns - tally.window_ns;
	tally.cpu_ns = cpu.tv_sec * 1000000000ll + cpu.tv_nsec - tally.cpu_ns;
	tally.queued_ns = queued < 0 ? -1 : queued - tally.queued_ns;
}

static double share(int64_t part_ns)
{
	return tally.window_ns > 0 && part_ns > 0 ? 100. * (double)part_ns / (double)tally.window_ns
						  : 0;
}

static bool has_not_begun(char *text, size_t n)
{
	if (tally.begun || tally.interrupted)
		return false;
	snprintf(text, n, "the first request failed: nothing else was tried");
	return true;
}

static bool was_limit(char *text, size_t n)
{
	double busy = share(tally.cpu_ns), queued = share(tally.queued_ns);

	if (busy + queued < BUSY_MOST && queued < QUEUED_MOST)
		return false;
	snprintf(text, n,
		 "the generator computed for %.0f %% of the time and waited for a CPU for "
		 "%.0f %%: it, not the server, may have been the limit",
		 busy, queued);
	return true;
}

static bool was_not_held(const struct loadplan *plan, char *text, size_t n)
{
	double seconds = (double)tally.window_ns / 1e9;

	if ((double)(tally.ends + HELD_REQUESTS) >= HELD_LEAST * (double)tally.due)
		return false;
	snprintf(text, n,
		 "the rate was not held: of %.6g requests a second %.6g ended; at the end "
		 "%" PRIu64 " were waiting, %" PRIu64 " of them (%.3g s) for a free "
		 "connection",
		 plan->rate, (double)tally.ends / seconds, tally.due - tally.ends, tally.unsent,
		 (double)tally.unsent / plan->rate);
	return true;
}

static bool was_late(char *text, size_t n)
{
	double late = (double)histogram_percentile(&tally.late, 99);

	if (late < LATE_LEAST ||
	    late < LATE_MOST * (double)histogram_percentile(&tally.latency, 99))
		return false;
	snprintf(text, n,
		 "the generator itself started requests late, one in 100 by %.3g ms or "
		 "more; the latencies hold that, too",
		 late / 1e6);
	return true;
}

static bool was_interrupted(char *text, size_t n)
{
	if (!tally.interrupted)
		return false;
	snprintf(text, n, "interrupted: %" PRIu64 " requests had no answer yet",
		 tally.started - tally.answered - tally.failed);
	return true;
}

const char *tally_warning(const struct loadplan *plan, size_t n)
{
	static char text[256];

	if (has_not_begun(text, sizeof text) && !n--)
		return text;
	if (was_interrupted(text, sizeof text) && !n--)
		return text;
	if (was_limit(text, sizeof text) && !n--)
		return text;
	if (plan->rate > 0 && was_not_held(plan, text, sizeof text) && !n--)
		return text;
	if (was_late(text, sizeof text) && !n--)
		return text;
	return NULL;
}
