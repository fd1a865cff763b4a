/* blocked.h -- in which system calls the carriers of a run are asleep
 *
 * A carrier is to run tasks or wait in its hub's epoll_pwait2; asleep in any other call it is blocked: no other task runs there
 * until it is back or somebody takes its hub over. Every 10 ms all carriers that the statistics name are looked at, from outside,
 * which costs the program nothing but the CPU time of the looks: not for runs that count.
 *
 * Threads: one.    Errors: none: what cannot be read is not counted.    Memory: static.
 */
#ifndef CLI_COMPARE_BLOCKED_H
#define CLI_COMPARE_BLOCKED_H

#include "load/outcome.h"

/* blocked_watch -- look while a child is waited for (child_every), by the statistics in `dir', until blocked_end. */
void blocked_watch(const char *dir);

/* blocked_end -- say what was seen. */
void blocked_end(struct outcome_looks *to);

/* blocked_sleeps_in -- the number of the call that a kernel thread is asleep in; -1 where it runs, or cannot be asked. */
long blocked_sleeps_in(unsigned pid, unsigned tid);

/* blocked_call -- the name of a system call; "" for an unknown one. */
const char *blocked_call(long number);

#endif
