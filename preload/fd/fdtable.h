/* fdtable.h -- calls that make, copy and close descriptor numbers, as far as they change what fd.c remembers */
#ifndef PRELOAD_FDTABLE_H
#define PRELOAD_FDTABLE_H

#include "fd/fd.h"

gate_handler fdtable_close, fdtable_dup, fdtable_dup2, fdtable_dup3, fdtable_close_range, fdtable_fcntl, fdtable_ioctl, fdtable_pipe,
	fdtable_eventfd, fdtable_timerfd, fdtable_make, fdtable_known, fdtable_long, fdtable_fstatat, fdtable_getdents;

/* fdtable_again -- a call has made a descriptor, or could not. True: it met EMFILE, ours have made room for it, make it again.
 * Where it got a number behind ours, *result becomes the one it would have got without us. The attempt began before the call. */
struct attempt {
	uint32_t moves, tries;
	unsigned least;		/* the number asked for, or one above it */
};
bool fdtable_again(long *result, struct attempt *a);
long fdtable_pair(struct task *t, int made[2], int *to, struct attempt *a);	/* the same for a call that has made two */

static inline struct attempt fdtable_attempt(void)
{
	return (struct attempt){own_moves(), 0, 0};
}

/* fdtable_refused -- the result for a descriptor that no handler takes: ours look closed. */
long fdtable_refused(int number);

/* fdtable_start -- before there is a second thread */
void fdtable_start(void);

#endif
