/* process.h -- fork, vfork, exec, waiting for children */
#ifndef PRELOAD_PROCESS_H
#define PRELOAD_PROCESS_H

#include "gate/gate.h"

long process_fork(struct task *t, struct arch_frame *f);
long process_vfork(struct task *t, struct arch_frame *f);

/* process_vfork_child -- the task was marked by process_vfork: are we its child? Clears the mark in the parent. */
bool process_vfork_child(struct task *t);

gate_handler process_fork_call, process_vfork_call, process_execve, process_wait4, process_waitid;

#endif
