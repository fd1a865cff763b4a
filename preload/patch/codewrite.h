/* codewrite.h -- writing to text that is mapped r-x
 *
 * The first way is /proc/thread-self/mem (not self: that is empty once the first thread has
 * exited), which writes past the protection of private pages. Where it cannot be opened or refuses
 * (chroot, changed credentials, a kernel that restricts it), a patched copy of the pages is moved
 * over them.
 *
 * Either leaves pages that belong to this process alone, and then every fork copies the entries of
 * all pages in that mapping, of those as well that were never written: for libc's text a fifth of
 * what a fork costs. So pages can be taken beforehand: they are copied into a file in memory,
 * writes go there, and in the end it is mapped over them. Such pages a fork does not look at.
 * (Rejected: splitting mappings around what was written, which still copies some two hundred.)
 *
 * Threads: one at a time, and no other one may run what is written.
 * Errors:  0 or -errno.    Memory: the second way maps the pages it replaces.    Locks: none.
 */
#ifndef PRELOAD_CODEWRITE_H
#define PRELOAD_CODEWRITE_H

#include "base.h"

/* codewrite_open, codewrite_close -- around a series of writes; they nest. Descriptors are open between them.
 * codewrite_close puts what was taken in its place: 0, or -errno when some of it stays as it was. */
void codewrite_open(void);
int codewrite_close(void);

/* codewrite_take -- the pages from lo to hi are replaced by the outermost codewrite_close, and are mapped
 * `prot' from then on; behind the first `full' bytes, whole pages, they are empty then. Where that
 * cannot be, or pages differ from their file already (a debugger, a probe), they are written in
 * place. */
void codewrite_take(uintptr_t lo, uintptr_t hi, size_t full, int prot);

/* codewrite_write -- put n bytes to an address within pages that are private and r-x, and will be r-x.
 *
 * Returns 0 when they can be read back, else -errno: part of them may have been written. Of pages
 * that were taken it shows after codewrite_close only.
 */
int codewrite_write(uintptr_t at, const void *bytes, size_t n);

#endif
