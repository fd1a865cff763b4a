/* pages.h -- whole pages of ours, and what the child of a fork finds of them
 *
 * A fork copies every mapping, every page table and every page that was written, and each page that the parent writes
 * afterwards is copied then. So what is ours lies together in few mappings, and in two kinds:
 *
 *	kept	the child finds it as it was: tasks, slots and lists that go on
 *	anew	the child finds zeroes, by MADV_WIPEONFORK: all locks, and what it builds anew. Nothing of it is copied,
 *		at the fork or later
 *
 * Variables are anew when they are declared so. In the child a lock is free, a list empty and a hub unborn without a line of
 * code; whoever declares one sees to it that zero is what the child is to start with.
 *
 * Threads: any. Errors: NULL. Locks: one a kind, short.
 */
#ifndef CORE_PAGES_H
#define CORE_PAGES_H

#include "base.h"

#define ANEW __attribute__((section(".bss.anew")))	/* anew.ld gives these pages of their own */

/* Large variables of which little is used lie apart: what is always used is together in few pages then, which a fork copies. */
#define SPARSE __attribute__((section(".bss.sparse")))

enum pages_kind { PAGES_KEPT, PAGES_ANEW };

/* pages_get -- n bytes of zeroes, aligned to a power of two that is at least a page. */
void *pages_get(enum pages_kind kind, size_t n, size_t align);
void pages_put(void *p, size_t n);

/* Around a fork: the child finds the account of kept pages whole. pages_child comes before all else there; pages_claim then
 * takes pages that the child stands on out of what is free. */
void pages_lock(void);
void pages_unlock(void);
void pages_child(void);
void pages_claim(void *p, size_t n);

#endif
