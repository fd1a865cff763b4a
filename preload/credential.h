/* credential.h -- ids and groups of the process, on every kernel thread of ours
 *
 * The kernel keeps credentials per thread; libc makes a change for the process by asking every thread it knows, which are tasks.
 * Here the caller's carrier makes it, and all other kernel threads of ours make it before they next run anything of the program:
 * at gate entry, in a carrier's loop, before a job of the offload pool. A change is never undone by a late one: each thread makes
 * all it has missed, in order.
 *
 * A call by libc's syscall() is meant for one thread alone: it stays the kernel's, and so the carrier's.
 */
#ifndef PRELOAD_CREDENTIAL_H
#define PRELOAD_CREDENTIAL_H

#include "gate.h"

void credential_init(void);

gate_handler credential_change;

#endif
