/* sock.h -- calls on sockets; see transfer.h for how they wait */
#ifndef PRELOAD_SOCK_H
#define PRELOAD_SOCK_H

#include "fd/transfer.h"

long sock_simple(struct task *t, struct arch_frame *f, bool in);	/* read, write */
long sock_vector(struct transfer *x);					/* readv, writev */

gate_handler sock_recvfrom, sock_sendto, sock_recvmsg, sock_sendmsg, sock_recvmmsg, sock_sendmmsg, sock_accept, sock_accept4,
	sock_connect, sock_shutdown, sock_setsockopt, sock_socket, sock_socketpair;

#endif
