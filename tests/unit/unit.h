/* unit.h -- what unit tests share: cmocka, and system calls that fail when asked
 *
 * A test of core/X.c links with core alone. To see its failure paths it defines UNIT_FAIL and includes the file itself
 * (#include "X.c") instead of linking it; every system call that the file makes then goes through fail_syscall, which lets the
 * nth one fail. So do its mem_get()s and pages_get()s with UNIT_FAIL_MEM, as calls with the number FAIL_MEM. FOR_EACH_FAILURE
 * runs a block with the first call failing, then the second, … until none fails any more.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch.h"

#define RUN_GROUP(tests) cmocka_run_group_tests(tests, NULL, NULL)

#ifdef UNIT_FAIL

static long fail_at;		/* this call fails, counted from 1; 0: none */
static long fail_calls;		/* so many were made that count */
static long fail_nr = -1;	/* only calls with this number count; -1: all system calls */
static int fail_errno = 12;	/* ENOMEM */
static void (*fail_before)(long nr);	/* called before every call: to make a moment longer */

static inline long fail_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	if (fail_nr == -1 || nr == fail_nr) {
		fail_calls++;
		if (fail_calls == fail_at)
			return -fail_errno;
	}
	if (fail_before)
		fail_before(nr);
	return arch_syscall(nr, a, b, c, d, e, f);
}
#define arch_syscall fail_syscall

#ifdef UNIT_FAIL_MEM
#include "mem.h"
#include "pages.h"

#define FAIL_MEM (-2)

static inline void *fail_mem_get(size_t n)
{
	if (fail_nr == FAIL_MEM && ++fail_calls == fail_at)
		return NULL;
	return mem_get(n);
}
#define mem_get fail_mem_get

static inline void *fail_mem_get_anew(size_t n)
{
	if (fail_nr == FAIL_MEM && ++fail_calls == fail_at)
		return NULL;
	return mem_get_anew(n);
}
#define mem_get_anew fail_mem_get_anew

static inline void *fail_pages_get(enum pages_kind kind, size_t n, size_t align)
{
	if (fail_nr == FAIL_MEM && ++fail_calls == fail_at)
		return NULL;
	return pages_get(kind, n, align);
}
#define pages_get fail_pages_get
#endif

static inline bool fail_again(void)
{
	bool failed = fail_at == 0 || fail_calls >= fail_at;

	fail_at = failed ? fail_at + 1 : 0;
	fail_calls = 0;
	return failed;
}

/* The block runs with the nth call failing for n = 1, 2, …, and a last time in which no call fails. Do not leave it by break. */
#define FOR_EACH_FAILURE(nr, error)                                                                \
	for (fail_nr = (nr), fail_errno = (error), fail_at = 0, fail_calls = 0; fail_again();)

#endif
#endif
