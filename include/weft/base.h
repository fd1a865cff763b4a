/* base.h -- version, deadlines and durations
 *
 * A deadline is an absolute int64_t, nanoseconds of CLOCK_MONOTONIC: it stays right however often a
 * wait is begun again. A bare small number is a deadline long past; write WEFT_IN_MS(5). Durations
 * are int64_t nanoseconds: WEFT_MS(5).
 *
 * Threads: any function, from any task or thread.
 * Errors:  none here.    Memory: none.    Blocking: never.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEFT_EXPORT	__attribute__((visibility("default")))
#else
#define WEFT_EXPORT
#endif

#define WEFT_VERSION	"0.1"

/* Deadlines: never, already past, and so many milliseconds from now (whole or floating). */
#define WEFT_FOREVER	INT64_MAX
#define WEFT_NOW	((int64_t)0)
#define WEFT_IN_MS(ms)	(weft_now() + WEFT_MS(ms))

/* A duration of so many milliseconds (whole or floating). */
#define WEFT_MS(ms)	((int64_t)((ms) * (int64_t)1000000))

/* weft_now -- the present time, in nanoseconds of CLOCK_MONOTONIC: clock_gettime, asyncio's
 * loop.time(). */
WEFT_EXPORT int64_t weft_now(void);

/* weft_version -- the version of the library that runs, as text; WEFT_VERSION is that of this
 * header. */
WEFT_EXPORT const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#endif
