/* sigwait.h -- waiting for signals without handlers: sigtimedwait and signalfd */
#ifndef PRELOAD_SIGWAIT_H
#define PRELOAD_SIGWAIT_H

#include "fd/transfer.h"

gate_handler sigwait_rt_sigtimedwait, sigwait_signalfd;

/* sigwait_read -- read from a signalfd: what was sent to this task as well as what waits in the kernel. */
long sigwait_read(struct transfer *x);

#endif
