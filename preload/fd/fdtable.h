/* fdtable.h -- calls that make, copy and close descriptor numbers, as far as they change what fd.c remembers */
#ifndef PRELOAD_NUMBER_H
#define PRELOAD_NUMBER_H

#include "fd/fd.h"

gate_handler number_close, number_dup, number_dup2, number_dup3, number_close_range, number_fcntl, number_ioctl, number_pipe,
	number_eventfd, number_timerfd, number_make, number_known, number_long, number_fstatat, number_getdents;

/* number_again -- a call has made a descriptor, or could not. True: it met EMFILE, ours have made room for it, make it again.
 * Where it got a number behind ours, *result becomes the one it would have got without us. The attempt began before the call. */
struct attempt {
	uint32_t moves, tries;
	unsigned least;		/* the number asked for, or one above it */
};
bool number_again(long *result, struct attempt *a);
long number_pair(struct task *t, int made[2], int *to, struct attempt *a);	/* the same for a call that has made two */

static inline struct attempt number_attempt(void)
{
	return (struct attempt){own_moves(), 0, 0};
}

/* number_refused -- the result for a descriptor that no handler takes: ours look closed. */
long number_refused(int number);

/* number_start -- before there is a second thread */
void number_start(void);

#endif
