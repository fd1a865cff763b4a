/* own.h -- descriptors of ours among the program's numbers
 *
 * They look closed to the program and give way to it: they move when it names their number or has none left below its limit,
 * and what finds no place at the hard limit is done without. So a number of ours may be the program's a moment later:
 *
 *	who uses one	 makes that known before it reads the number; how, the owner says (hub.h, fd.h)
 *	who moves one	 is alone (own_take); stores the new number, waits until all who may have read the old one are done with
 *			 it, and closes that then
 *	who makes one	 is alone as well, or holds
 *	who closes by number, a fork
 *			 hold all where they are (own_hold): nothing of ours comes to stand where a call of the program closes, and
 *			 the child's copy of the table has nothing that is on its way
 *
 * Owners stand in own_kinds and are asked to move or to go without; they may take locks and memory, so that none is held before
 * own_take and own_hold. A signal handler does none of this. Which numbers are ours the child of a fork
 * knows as well: it closes them all (own_forget).
 *
 * Rejected: a kernel thread with a table of its own (it would not see what the program opens); numbers above the hard limit from
 * the start (unprivileged there are none).
 *
 * Threads: any. Errors: -errno.
 */
#ifndef CORE_OWN_H
#define CORE_OWN_H

#include <sys/resource.h>
#include "lock.h"

struct own_kind {
	bool (*move)(int fd, int least);	/* this one to `least' or above. False: not mine, or it cannot be done */
	bool (*give)(int from, int to);		/* close one of mine that stands there. False: there is none to do without */
};

#define OWN_HUBS 0
#define OWN_LENT 1
#define OWN_LOOKS 2
extern const struct own_kind *own_kinds[3];

bool own_has(int fd);
int own_next(unsigned from);	/* our lowest that is not below `from'; -1: none */

/* own_add -- a descriptor just made is ours: it goes near the top of the first 64. Returns where it stands; -errno is passed
 * through. */
int own_add(long fd);

/* own_dup -- a duplicate of ours, not below `least' (-1: as own_add), close on exec. Returns its number or -errno. */
int own_dup(int fd, int least);

void own_close(int fd);
void own_disown(int fd);	/* it is not ours any more */

/* own_take, own_release -- alone; own_hold, own_drop -- among those who want all to stay. Short but for calls that close. */
void own_take(void);
void own_release(void);
void own_hold(void);
void own_drop(void);

/* own_move -- the program wants this number. False: it stands above the soft limit, where the program can have nothing. */
bool own_move(int fd);

/* own_leave -- the program has no number left below its soft limit: all of ours move above it; where the hard limit leaves no
 * room and cannot be raised, one is given up. `before' is own_moves() from before the call that failed. */
enum own_left {
	OWN_NONE,	/* nothing of ours is in the way */
	OWN_BUSY,	/* what is in the way is being used and cannot go just now */
	OWN_ROOM,	/* a number has become free */
};
enum own_left own_leave(uint32_t before);
uint32_t own_moves(void);	/* so many times has a number of ours become free */

/* own_raise, own_lower -- room above the program's soft limit for as long as all are held alone, or there is one thread only. */
bool own_raise(struct rlimit *was);
void own_lower(const struct rlimit *was);

void own_forget(void);		/* in the child of a fork */

#endif
