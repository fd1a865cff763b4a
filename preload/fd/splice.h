/* splice.h -- calls that move bytes between two descriptors inside the kernel */
#ifndef PRELOAD_SPLICE_H
#define PRELOAD_SPLICE_H

#include "fd/fd.h"

gate_handler splice_sendfile, splice_splice, splice_tee, splice_vmsplice;

#endif
