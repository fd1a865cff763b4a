/* stack.h -- stacks of tasks, from slabs with guards
 *
 * pthread_create's own mmap(MAP_STACK) is answered from here. A slab is one NORESERVE mapping cut into slots of one size, each
 * with a guard at its low end; the first of a size holds 1 MiB, each later one as much as all before it, up to 64 GiB. MADV_GUARD_INSTALL makes
 * a guard without a mapping of its own, so a million stacks are a few lines in /proc/self/maps; where the kernel has none, mprotect
 * does. Slots given back are kept warm up to a bound, then their pages go back to the kernel; a slab that is wholly free goes too.
 *
 * A thread that ends tells the kernel, by libc, that the deep part of its stack is not needed. That call takes longer than to
 * create and end a task, and most stacks are used again at once. So the stack is noted, and the monitor's next sweep gives its pages
 * back unless a task runs on it again. One word in the thread control block, which belongs to whoever has the stack, holds its state:
 *
 *	end of a thread		rests and noted
 *	a task begins there	does not rest; waits while it is swept
 *	sweep			rests and noted -> swept -> 0; noted alone -> 0
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

/* stack_rest -- the thread of this stack ends: the n bytes from `addr' on, the stack's low end, are not needed any more.
 *
 * state  its word in the thread control block
 * Returns false where the caller has to tell the kernel itself.
 */
bool stack_rest(uint32_t *state, void *addr, size_t n);

/* stack_resume -- a task is to run on it. */
void stack_resume(uint32_t *state);

/* stack_sweep -- give back what rests. Returns whether there was anything. */
bool stack_sweep(void);
bool stack_resting(void);	/* is there anything? */

#define STACK_RESTS 1u
#define STACK_NOTED 2u
#define STACK_SWEPT 4u

/* Around a fork. */
void stack_lock(void);
void stack_unlock(void);

#endif
