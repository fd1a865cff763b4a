/* sleep.h -- nanosleep and clock_nanosleep */
#ifndef PRELOAD_SLEEP_H
#define PRELOAD_SLEEP_H

#include "gate/gate.h"

gate_handler sleep_nanosleep, sleep_clock_nanosleep;

#endif
