/* io.h -- read, write and their kin on every kind of descriptor */
#ifndef PRELOAD_IO_H
#define PRELOAD_IO_H

#include "fd/transfer.h"

gate_handler io_read, io_write, io_readv, io_writev, io_preadv2, io_pwritev2, io_long;

#endif
