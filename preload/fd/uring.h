/* uring.h -- io_uring: waiting for completions */
#ifndef PRELOAD_RING_H
#define PRELOAD_RING_H

#include "fd/fd.h"

gate_handler ring_setup, ring_enter;

#endif
