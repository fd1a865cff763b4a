/* base.h -- what every file of core starts with */
#ifndef CORE_BASE_H
#define CORE_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch.h"

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define barrier()	__asm__ volatile("" ::: "memory")

#define load_relaxed(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_seq(p)		__atomic_load_n((p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define store_seq(p, v)		__atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define add_relaxed(p, v)	__atomic_add_fetch((p), (v), __ATOMIC_RELAXED)
#define exchange(p, v)		__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

static inline bool cas(uint32_t *p, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#define PAGE		4096ul
#define NSEC		1000000000ll
#define FOREVER		INT64_MAX	/* no deadline */

static inline size_t page_up(size_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

/* INVARIANT -- die with one line and a backtrace when core is broken; in release builds as well. */
#define INVARIANT(cond)	\
	(likely(cond) ? (void)0 : base_die(__FILE__, __LINE__, #cond))
/* WALK -- a check that goes over a whole structure: in builds with DEBUG=1 only. */
#ifdef DEBUG
#define WALK(call) (call)
#else
#define WALK(call) ((void)0)
#endif

void base_die(const char *file, int line, const char *what) __attribute__((noreturn, cold));

/* Prints a backtrace; set by the preload layer, which may load an unwinder for it. */
extern void (*base_backtrace)(void);

/* The library's own; the compiler calls them. */
void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);

#endif
