/* asleep.h -- does a kernel thread of ours sleep, or does it wait for a CPU?
 *
 * Its CPU clock stands still in both cases. The kernel tells in /proc/self/task/TID/stat, which is opened when the question first
 * comes up for a thread, and kept: the number is one of ours (own.h). Nobody is told when the number goes to the program; a look
 * at that moment reads, at worst, the start of a file of the program's, and makes nothing of it. There are a few dozen rows; where
 * none is free, the one that gave way longest ago does so again.
 *
 * It is asked before a hub is taken from a carrier, and before a carrier is sent a signal that preempts: one that sleeps in a
 * call which never passed the gate (a site that could not be moved) could not be put back into it.
 *
 * Threads: asleep the monitor's alone; the kind whoever holds all of ours alone.    Errors: none. Where no descriptor is left it
 * cannot be known, and the caller says what then holds: one that has just used its CPU time computes, one that used none sleeps.
 */
#ifndef CORE_ASLEEP_H
#define CORE_ASLEEP_H

#include "own.h"

bool asleep(int tid, bool unknown);

extern const struct own_kind asleep_kind;	/* for own_kinds */

#endif
