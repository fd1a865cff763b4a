/* cpuclock.h -- the CPU clocks of tasks */
#ifndef PRELOAD_CPUCLOCK_H
#define PRELOAD_CPUCLOCK_H

#include "gate/gate.h"

/* cpuclock_is -- does the id name a clock of CPU time? Weft itself asks the vdso for others only. */
static inline bool cpuclock_is(uint64_t id)
{
	return (int)id < 0 || (int)id == CLOCK_THREAD_CPUTIME_ID;
}

gate_handler cpuclock_gettime, cpuclock_known;

#endif
