/* scan.h -- where certain bytes stand in text
 *
 * All of a program's text is read once for the two bytes of `syscall', and what has some a second
 * time for branches. Both searches compare by vectors, and fetch ahead across the ends of pages,
 * where the processor does not do so by itself.
 *
 * Threads: any.    Errors: what `found' says.    Memory: never allocates; nothing outside of the
 * range is read.
 */
#ifndef PRELOAD_SCAN_H
#define PRELOAD_SCAN_H

#include "gate/near.h"

/* scan_syscalls -- call found for every 0f 05 that lies within [start, end), ascending.
 *
 * Returns 0, or the first result of found that is not 0 (the search ends there).
 */
int scan_syscalls(uintptr_t start, uintptr_t end, int (*found)(uintptr_t at, void *arg), void *arg);

/* scan_branches -- call found with the target of everything in [start, end) that may be a jmp or
 * jcc with 32 bits and lead near; in no order. Calls lead to the beginning of functions. */
void scan_branches(uintptr_t start, uintptr_t end, const struct near *near,
		    void (*found)(uintptr_t target, void *arg), void *arg);

#endif
