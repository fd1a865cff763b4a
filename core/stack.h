/* stack.h -- stacks of tasks, from slabs with guards
 *
 * pthread_create's own mmap(MAP_STACK) is answered from here. A slab is one NORESERVE mapping cut into slots of one size, each
 * with a guard at its low end; the first holds 1 MiB, the next ones twice as much each. MADV_GUARD_INSTALL makes a guard
 * without a mapping of its own, so a million stacks are one line in /proc/self/maps; where the kernel has none, mprotect does.
 * Slots given back are kept warm up to a bound, then their pages go back to the kernel; a slab that is wholly free goes too.
 *
 * Rejected: pthread_attr_setstack on a copied attribute (pthread_getattr_np then lies about the guard, and the program's own
 * attribute may say more than we know).
 *
 * Threads: any. Errors: NULL or false: the caller asks the kernel instead. Locks: one, short.
 */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include "base.h"

/* stack_get -- a stack of this many bytes (a multiple of the page size), zero where glibc expects a fresh mapping's zeroes. */
void *stack_get(size_t size);

/* stack_put -- give back what stack_get gave. False when [addr, addr+size) is not exactly that. */
bool stack_put(void *addr, size_t size);

/* stack_owns -- does the address lie in a slab? */
bool stack_owns(const void *addr);

/* stack_guard -- make the lowest `n' bytes of a slot its guard: it has one page from the start, and may have none. */
int stack_guard(void *addr, size_t n);

/* stack_open -- libc opens these bytes: up to the slot's end, so that what lies below is the guard; or a part of a guard that
 * has become smaller. */
int stack_open(void *addr, size_t n);

/* Around a fork. */
void stack_lock(void);
void stack_unlock(void);

#endif
