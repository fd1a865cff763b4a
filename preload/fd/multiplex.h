/* multiplex.h -- poll, select and the program's own epoll sets */
#ifndef PRELOAD_MULTIPLEX_H
#define PRELOAD_MULTIPLEX_H

#include "fd/fd.h"

gate_handler multiplex_poll, multiplex_ppoll, multiplex_select, multiplex_pselect6, multiplex_epoll_wait, multiplex_epoll_pwait,
	multiplex_epoll_pwait2;

#endif
