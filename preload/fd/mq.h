/* mq.h -- POSIX message queues */
#ifndef PRELOAD_MQ_H
#define PRELOAD_MQ_H

#include "fd/fd.h"

gate_handler mq_send, mq_receive;

#endif
