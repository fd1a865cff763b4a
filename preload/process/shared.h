/* shared.h -- which memory may be shared with other processes
 *
 * A futex without FUTEX_PRIVATE_FLAG may still be nobody else's: libstdc++ waits so for a std::future, libc for a join. What
 * matters is the mapping: only one that was made MAP_SHARED (or by shmat) has waiters and wakers elsewhere. Such ranges are noted
 * as they are made and taken out before they go; those before activation are read from /proc/self/maps at the first question. One
 * that stays noted does no harm: too many calls are left to the kernel, by all alike. The end of a task wakes in the kernel as well
 * wherever somebody may wait there (shared_any). Where there is no descriptor to read that file with, all memory is taken for
 * shared, and who wakes a word of our table wakes in the kernel as well from then on (shared_guessed).
 *
 * Threads: any. Locks: one, short; a fork holds it, so that the child finds the list whole. Memory: a list that grows; a call that
 * would make more of shared memory is refused with -ENOMEM when there is no room for a range.
 */
#ifndef PRELOAD_SHARED_H
#define PRELOAD_SHARED_H

#include "gate/gate.h"

bool shared_memory(const void *addr);
extern bool shared_guessed;	/* atomic, only ever set */

/* shared_any -- may anybody wait in the kernel because of a range? */
bool shared_any(void);

/* shared_room -- before a call that makes a range: is there memory to note it? */
bool shared_room(void);
void shared_add(uintptr_t lo, size_t n);

/* shared_munmap, shared_mmap_over -- make the call if it ends a range; else GATE_NATIVE. */
long shared_munmap(uintptr_t lo, size_t n);
long shared_mmap_over(struct arch_frame *f);

/* Around a fork. */
void shared_hold(void);
void shared_drop(void);

gate_handler shared_shmat, shared_shmdt, shared_mremap;

#endif
