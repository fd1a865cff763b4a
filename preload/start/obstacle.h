/* obstacle.h -- what stands in the way of activation, before anything is tried */
#ifndef PRELOAD_OBSTACLE_H
#define PRELOAD_OBSTACLE_H

/* obstacle -- the reason why this process must run natively, for a person to read; NULL: none is known. */
const char *obstacle(void);

#endif
