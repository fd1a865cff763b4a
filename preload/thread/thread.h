/* thread.h -- what the kernel does for threads, done for tasks: birth, death, ids, stacks, scheduling calls */
#ifndef PRELOAD_THREAD_H
#define PRELOAD_THREAD_H

#include "gate/gate.h"

void thread_init(struct task *t);	/* the first task: name, hook for ends */

gate_handler thread_pkey_alloc, thread_clone, thread_clone3, thread_exit, thread_gettid, thread_set_tid_address, thread_set_robust_list,
	thread_get_robust_list, thread_rseq, thread_sched_yield, thread_sched_tid, thread_priority, thread_sched_setaffinity,
	thread_sched_getaffinity, thread_prctl, thread_seccomp, thread_mmap, thread_munmap, thread_mprotect, thread_madvise;

#endif
