/* log.c -- lines to standard error under WEFT_LOG, and the last one */
#include "log.h"
#include "sys.h"

int log_level;

struct out {
	char *at, *end;
};

static void put(struct out *o, char c)
{
	if (o->at < o->end)
		*o->at++ = c;
}

static void put_number(struct out *o, uint64_t v, unsigned base)
{
	char digits[24];
	int n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n)
		put(o, digits[--n]);
}

static void put_conversion(struct out *o, char c, bool wide, va_list *ap)
{
	if (c == 's') {
		const char *s = va_arg(*ap, const char *);

		for (s = s ? s : "(null)"; *s; s++)
			put(o, *s);
	} else if (c == 'd') {
		int64_t v = wide ? va_arg(*ap, int64_t) : va_arg(*ap, int);

		if (v < 0)
			put(o, '-');
		put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
	} else if (c == 'u' || c == 'x') {
		put_number(o, wide ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned), c == 'x' ? 16 : 10);
	} else {
		put(o, c);
	}
}

size_t log_vformat(char *buf, size_t n, const char *fmt, va_list list)
{
	struct out o = {buf, buf + n - 1};
	va_list ap;

	va_copy(ap, list);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		bool wide = *++fmt == 'l';

		put_conversion(&o, wide ? *++fmt : *fmt, wide, &ap);
	}
	va_end(ap);
	*o.at = 0;
	return (size_t)(o.at - buf);
}

size_t log_format(char *buf, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	n = log_vformat(buf, n, fmt, ap);
	va_end(ap);
	return n;
}

void log_always(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	size_t n = log_vformat(line, sizeof line, fmt, ap);

	va_end(ap);
	sys_write(2, line, n);
}

void (*base_backtrace)(void);

void base_die(const char *file, int line, const char *what)
{
	log_always("weft: broken invariant at %s:%d: %s\n", file, line, what);
	if (base_backtrace)
		base_backtrace();
	SYS(__NR_tgkill, sys_getpid(), sys_gettid(), SIGABRT);
	for (;;)
		SYS(__NR_exit_group, 134);
}
