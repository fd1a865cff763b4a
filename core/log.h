/* log.h -- lines to standard error under WEFT_LOG
 *
 * Formats: %s %d %u %x (64 bits with l: %ld %lu %lx). One write a line. Async-signal-safe.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdarg.h>
#include "base.h"

enum log_level { LOG_NONE, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern int log_level;

void log_always(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
size_t log_format(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
size_t log_vformat(char *buf, size_t n, const char *fmt, va_list ap);

#define LOG(level, ...) (unlikely(log_level >= LOG_##level) ? log_always(__VA_ARGS__) : (void)0)

#endif
