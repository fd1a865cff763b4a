/* poll.h -- what a hub does between tasks: timers, events, sleep
 *
 * There are two ways to wait. A hub with descriptors asks its epoll set: what tasks wait for is registered there, once, edge by
 * edge, and a write to its eventfd ends the wait. A hub that has given its descriptors to the program (own.h) waits in
 * ppoll for a list that is made anew each time from the descriptors that its tasks wait for; nothing is registered, and a signal
 * to its carrier ends the wait. It is slower by the length of the list, and never goes back. Which of the two it is, epfd says;
 * it may change under a hub that sleeps, whose wait is then ended.
 *
 * The list belongs to the carrier that holds the hub. ppoll's time-out stands in it: the signal's handler sets it to zero
 * (poll_cut), so that a kick that comes after the last look at the inbox and before the call ends the wait as well; a carrier
 * that blocks the signal lets it through in ppoll alone. What a descriptor's close does to a wait that has begun: the kernel
 * holds the description until the wait ends, and its report is of an old generation then. In the child of a fork the list is
 * made anew as at any other time.
 *
 * Rejected: a list that joins and leaves keep up to date (a lock and a search at each wait, to save a walk at each sleep).
 *
 * Threads: poll_control, poll_due, poll_joined from any; the rest from the carrier that holds the hub.
 */
#ifndef CORE_POLL_H
#define CORE_POLL_H

#include "hub.h"

/* poll_hub -- fire timers, take the inbox and events; wait for them until the next deadline when `wait'. The carrier's. */
void poll_hub(struct hub *h, bool wait);

/* poll_control -- epoll_ctl on the hub's set; 0 where it has none. */
long poll_control(struct hub *h, int op, int number, struct epoll_event *ev);

/* poll_joined -- a task of another hub waits for a descriptor of this one from now on: its list must hold it. */
void poll_joined(struct hub *h);

/* poll_due -- has something come that the hub has not seen, or can only the hub tell? */
bool poll_due(struct hub *h);

/* poll_cut -- for the handler of CARRIER_KICK: the wait ends at once, even if it has not begun. */
void poll_cut(struct hub *h);

/* Calls fn for every descriptor of the hub that tasks wait for, with the events they want and the data to report them with. Set
 * by the layer that registers them. */
typedef void poll_visit(struct hub *h, int number, uint32_t events, uint64_t data);
extern void (*poll_each)(struct hub *h, poll_visit *fn);

#endif
