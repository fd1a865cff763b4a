/* bound.h -- calls that change one kernel thread and what it makes
 *
 * What a thread gives up or changes for itself (Landlock, capabilities, seccomp, namespaces, a credential set by the raw call)
 * belongs to the kernel thread that makes the call, and to all that this makes. So the task owns one from then on (sched.h), and
 * the program's own instruction makes the call there. The hub goes to another carrier before that, while the caller's is as all
 * others are.
 *
 * Not bound is a task whose kernel thread is the only one of ours: what is made later is made by it. That is so in the child of a
 * fork until it makes a thread. Nor is one bound by a call that changes nothing.
 *
 * Without memory or threads for another carrier the call is refused with -ENOMEM: made all the same, it would hold for other
 * tasks, and not for this one's.
 */
#ifndef PRELOAD_BOUND_H
#define PRELOAD_BOUND_H

#include "gate.h"

/* bound_make -- bind the calling task where that is needed. Returns GATE_NATIVE (the kernel is to make the call), or -errno. */
long bound_make(struct task *t);

/* bound_prctl -- does this prctl change the calling thread alone? */
bool bound_prctl(const struct arch_frame *f);

/* bound_nice -- setpriority on the calling thread. */
long bound_nice(struct task *t, struct arch_frame *f);

gate_handler bound_call, bound_capset, bound_fsid, bound_unshare;

#endif
