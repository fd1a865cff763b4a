/* action.h -- what the program has said is to be done with each signal
 *
 * From activation on the actions are ours; the kernel knows one handler, catch_signal (signal/catch.h), for every signal that the
 * program catches. SIG_IGN and SIG_DFL are real, but for SIGPIPE's default and for those of faults.
 *
 * Threads: any. Locks: one for the changes; a signal's handler may ask where it has interrupted the program and not us.
 */
#ifndef PRELOAD_ACTION_H
#define PRELOAD_ACTION_H

#include "gate/gate.h"

#define SIGNALS 64

/* Tells the kernel. Called under the lock; set by the layer that catches. */
extern void (*action_on_change)(int sig, const struct uapi_sigaction *act);

void action_init(void);		/* take over from the kernel what was set before activation */

bool action_caught(const struct uapi_sigaction *act);			/* by a handler */
bool action_ignored(const struct uapi_sigaction *act, int sig);		/* SIG_IGN, or what the default ignores */

/* action_ours -- is the kernel told of catch_signal and not of this action? Of what is caught; and of a broken pipe's default: that
 * signal is the writer's alone, and may be blocked by it; and of SIGSEGV and SIGBUS, always, as our own accesses to the program's
 * memory may fault (user.h). */
bool action_ours(const struct uapi_sigaction *act, int sig);

/* action_get -- how it stands just now. action_set -- change it; `next' may be NULL. */
struct uapi_sigaction action_get(int sig);
void action_set(int sig, const struct uapi_sigaction *next, struct uapi_sigaction *was);

/* action_claim -- the action by which one signal is now taken. With SA_RESETHAND it holds for the first who asks, and the action
 * is the default from there on. Who gets true enters act->handler. */
bool action_claim(int sig, struct uapi_sigaction *act);

#endif
