/* mem.h -- memory of ours, in a few sizes
 *
 * Threads: any. Errors: NULL when there is no memory. Locks: one a size, short.
 */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include "base.h"

void *mem_get(size_t n);		/* zeroed; the child of a fork finds it as it was */
void *mem_get_anew(size_t n);		/* zeroed, and gone in the child (pages.h) */
void mem_put(void *p, size_t n);	/* of either; n as it was asked for; NULL does nothing */

/* mem_claim -- in the child of a fork: the block of mem_get_anew at p, wiped as it is, is in use again. One a chunk. */
void mem_claim(void *p, size_t n);

/* Around a fork: the child must find the lists whole. */
void mem_lock_all(void);
void mem_unlock_all(void);

#endif
