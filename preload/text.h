/* text.h -- writing to text that is mapped r-x
 *
 * The first way is /proc/thread-self/mem (not self: that is empty once the first thread has
 * exited), which writes past the protection of private pages. Where it cannot be opened or refuses
 * (chroot, changed credentials, a kernel that restricts it), a patched copy of the pages is moved
 * over them.
 *
 * Threads: one at a time, and no other one may run what is written.
 * Errors:  0 or -errno.    Memory: the second way maps the pages it replaces.    Locks: none.
 */
#ifndef PRELOAD_TEXT_H
#define PRELOAD_TEXT_H

#include "base.h"

/* text_open, text_close -- around a series of writes: a descriptor is open between them where the
 * first way is there. */
void text_open(void);
void text_close(void);

/* text_write -- put n bytes to an address within pages that are private and r-x, and will be r-x.
 *
 * Returns 0 when they can be read back, else -errno: part of them may have been written.
 */
int text_write(uintptr_t at, const void *bytes, size_t n);

#endif
