/* user.h -- memory of the program, which may not be there
 *
 * A handler stands where the kernel stands: a pointer may lead anywhere, its page may be unmapped by another thread at any moment,
 * or be one that another thread has yet to provide (userfaultfd, a file system of the process itself). So handlers copy what they
 * need by these functions and work on the copy. A fault in them is led to their end (signal/catch.c) and is -EFAULT; while the kernel
 * waits for a page the hub can be handed on. Therefore: no lock is held, and afterwards the task may be on another hub.
 *
 * Rejected: to ask the kernel before each access (what was readable a moment ago may be gone, and a call costs more than the
 * copy); process_vm_readv (300 ns).
 *
 * What may happen in the middle of an access: the page is unmapped or protected (the access fails, what came before it stays); a
 * signal (it is not taken within our text; that of a fault is never blocked on a carrier: signal.c, action.h); the hub is handed on
 * (the task queues for another at the end); a fork by another task (its child does not have this one). A signal handler of ours
 * runs with all blocked and uses none of these; nor does a child of vfork, whose mask is the task's own.
 *
 * t   the calling task; NULL for a foreign thread, and on the stack of a carrier's loop
 *
 * Threads: any.    Errors: -EFAULT.    Memory: never allocates.
 */
#ifndef PRELOAD_USER_H
#define PRELOAD_USER_H

#include "gate/gate.h"

/* user_copy -- n bytes from or to the program's memory, or both. Part of it may have been written when it fails. */
int user_copy(struct task *t, void *to, const void *from, size_t n);

/* user_load, user_cas -- one aligned word; user_cas stores `next' where *was stands, and tells in *was what stood there. */
int user_load(struct task *t, const uint32_t *from, uint32_t *to);
int user_cas(struct task *t, uint32_t *at, uint32_t *was, uint32_t next);

/* user_text -- a string of less than n bytes, or its first n - 1. Returns its length or -EFAULT. */
long user_text(struct task *t, char *to, const char *from, size_t n);

/* user_readable -- can n <= 24 bytes be read? Asked of the kernel, for where no handler of ours catches faults: before activation
 * and in a child of vfork. */
bool user_readable(const void *p, size_t n);

/* user_deadline -- an absolute deadline from a relative timespec (NULL: FOREVER). -EFAULT, -EINVAL as negatives. */
int64_t user_deadline(struct task *t, const struct __kernel_timespec *ts);

/* user_duration -- nanoseconds of a timespec as clock_from has them. -EFAULT, -EINVAL as negatives. */
int64_t user_duration(struct task *t, const struct __kernel_timespec *ts);

#endif
