/* uring.h -- io_uring: waiting for completions */
#ifndef PRELOAD_URING_H
#define PRELOAD_URING_H

#include "fd/fd.h"

gate_handler uring_setup, uring_enter;

#endif
