/* mem.h -- memory of ours, in a few sizes
 *
 * Threads: any. Errors: NULL when there is no memory. Locks: one a size, short.
 */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include "base.h"

void *mem_get(size_t n);		/* zeroed */
void mem_put(void *p, size_t n);	/* n as it was asked for; NULL does nothing */

/* Around a fork: the child must find the lists whole. */
void mem_lock_all(void);
void mem_unlock_all(void);

#endif
