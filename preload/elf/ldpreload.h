/* ldpreload.h -- this library in the value of LD_PRELOAD
 *
 * For `weft run', which puts it there, and for the library, which takes it out for a program that it cannot help. Neither libc
 * nor a heap is needed.
 */
#ifndef PRELOAD_LDPRELOAD_H
#define PRELOAD_LDPRELOAD_H

#include <stdbool.h>

#define LDPRELOAD_LIBRARY "libweft.so"
#define LDPRELOAD_SONAME  "libweft.so.0"

/* ldpreload_others -- copy a list without the entries that are ours.
 *
 * others  as large as the list; "" when it holds nothing else. NULL: only look
 * Returns whether there was one of ours.
 */
bool ldpreload_others(const char *list, char *others);

#endif
