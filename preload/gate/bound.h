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
 * Under a filter of its own (seccomp), or with a table of descriptors of its own (CLONE_FILES), the task is *apart* as well: what we
 * know of descriptors is not its, and a call of ours may be forbidden to it. Its calls are left to the kernel, in which it blocks by
 * itself; what stays is what makes it a task among others: futexes, signals, making threads, its end. A process that it forks is
 * the kernel's entirely.
 *
 * Without memory or threads for another carrier the call is refused with -ENOMEM: made all the same, it would hold for other
 * tasks, and not for this one's.
 */
#ifndef PRELOAD_BOUND_H
#define PRELOAD_BOUND_H

#include "gate/gate.h"

/* bound_make -- bind the calling task where that is needed. Returns GATE_NATIVE (the kernel is to make the call), or -errno. */
long bound_make(struct task *t);

/* bound_apart -- the same, and from here on it is apart where it shares a process with others. */
long bound_apart(struct task *t);

/* bound_keeps -- is this call ours, also of a task that is apart? */
bool bound_keeps(int nr);

/* bound_prctl -- does this prctl change the calling thread alone? */
bool bound_prctl(const struct arch_frame *f);

/* bound_nice -- setpriority on the calling thread. */
long bound_nice(struct task *t, struct arch_frame *f);

gate_handler bound_call, bound_capset, bound_fsid, bound_unshare;

#endif
