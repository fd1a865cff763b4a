/* procname.h -- files of /proc that speak of threads: the names of tasks
 *
 * libc names and asks another thread through /proc/self/task/ID/comm. For a task's id the program gets a file in memory in its
 * place: it holds the name, and what is written to it becomes the name.
 */
#ifndef PRELOAD_PROCNAME_H
#define PRELOAD_PROCNAME_H

#include "fd/transfer.h"

gate_handler procname_open;		/* open, openat, creat: all names pass here */
long procname_write(struct transfer *x);

#endif
