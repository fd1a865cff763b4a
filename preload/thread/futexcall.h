/* futexcall.h -- the futex system call, on tasks and on foreign threads */
#ifndef PRELOAD_FUTEXCALL_H
#define PRELOAD_FUTEXCALL_H

#include "gate/gate.h"

gate_handler futexcall_futex;

/* Text that could not be redirected may wait in the kernel: wakes go there as well. */
extern bool futexcall_unseen;

/* futexcall_foreign -- the same from a thread that is no task. */
long futexcall_foreign(struct arch_frame *f);

#endif
