/* poll.h -- what a hub does between tasks: timers, events, sleep */
#ifndef CORE_POLL_H
#define CORE_POLL_H

#include "hub.h"

/* poll_hub -- fire timers, take the inbox and events; wait for them until the next deadline when `wait'. The carrier's. */
void poll_hub(struct hub *h, bool wait);

#endif
