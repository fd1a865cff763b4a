/* shared.h -- which memory may be shared with other processes
 *
 * A futex without FUTEX_PRIVATE_FLAG may still be nobody else's: libstdc++ waits so for a std::future, libc for a join. What
 * matters is the mapping: only one that was made MAP_SHARED (or by shmat) has waiters and wakers elsewhere. Such ranges are noted
 * as they are made, those before activation are read from /proc/self/maps at the first question. Ranges that go away stay noted:
 * too many calls left to the kernel do no harm. Where there is no descriptor to read that file with, all memory is taken for
 * shared, and who wakes a word of our table wakes in the kernel as well from then on (shared_guessed).
 *
 * Threads: any. Locks: one, short. Memory: a fixed table; when it is full everything counts as shared.
 */
#ifndef PRELOAD_SHARED_H
#define PRELOAD_SHARED_H

#include "gate.h"

bool shared_memory(const void *addr);
extern bool shared_guessed;	/* atomic, only ever set */
void shared_add(uintptr_t lo, size_t n);

gate_handler shared_shmat, shared_mremap;

#endif
