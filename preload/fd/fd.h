/* fd.h -- what is remembered of the program's descriptors, and waiting for them
 *
 * One entry a number. What it says of kind, O_NONBLOCK and readiness is a hint, corrected by what the kernel answers: a number
 * may have been closed by text that does not pass the gate, and other processes may share the description.
 *
 * A descriptor is registered once, edge-triggered, for both directions, in the epoll set of the hub whose task waited first.
 * Edges are counted. Who waits says what the count was before its trial; if it has moved, it tries again:
 *
 *	seen = edges;  trial -> EAGAIN;  lock;  edges == seen ? join the list : try again;  unlock;  park
 *
 * So no edge is lost, and nobody takes one away from another who waits for the same descriptor.
 *
 * Who else may touch an entry: waiters of other hubs (its lock); close and dup2 (they move waiters to a duplicate of ours, so
 * that these go on waiting on the same description, as on Linux); a fork (the child starts with no registrations and no waiters).
 * A wait that is older than two sweeps of the monitor is looked at once: its registration is renewed, which reports what is
 * ready now. So even a number that was closed and opened again where we could not see does not leave a task waiting for ever.
 *
 * Epoll data holds number and generation: an event of a number that was closed meanwhile is dropped.
 *
 * Threads: any task. Locks: one an entry, short; held while the descriptor is added to an epoll set.
 */
#ifndef PRELOAD_FD_H
#define PRELOAD_FD_H

#include "gate/gate.h"
#include "own.h"
#include "poll.h"

enum fd_kind {
	FD_UNKNOWN,
	FD_PLAIN,	/* never waits, or has no way to wait: files, directories, /dev/null */
	FD_SOCKET,
	FD_PIPE,	/* honours RWF_NOWAIT */
	FD_NOWAIT_IN,	/* honours it for reads only: eventfd */
	FD_TIMER,	/* the same, and a write never waits */
	FD_POLLED,	/* only poll tells: FIFO */
	FD_POLLED_IN,	/* the same of reads; a write never waits: inotify, fanotify, userfaultfd */
	FD_TTY,		/* the same, and a raw one may want more than poll says */
	FD_EPOLL,
	FD_RING,	/* of io_uring, made here, and for any kernel thread */
	FD_SIGNAL,	/* a signalfd made here: send_ns holds its set */
	FD_NAME,	/* stands for the name of a task (procname.c) */
};

struct fd_waiter {
	struct fd_waiter *next, **prev;	/* prev NULL: not in a list. Under the entry's lock */
	struct fd *fd;			/* where it waits; changes when the descriptor is closed under it */
	struct task *task;
	uint32_t events;
	uint32_t since;		/* edges of the entry when it joined */
	int number;
};

struct fd {
	struct lock lock;
	uint32_t generation;
	uint8_t kind;		/* enum fd_kind; atomic hint */
	uint8_t flags;		/* FD_*, atomic hints */
	uint8_t lent;		/* FD_ORPHAN, FD_LENT: the number is ours (own.h). Under lock */
	uint8_t moved;		/* waits begun on another hub than the registration's */
	union {
		uint32_t epoch;		/* fork epoch in which O_NONBLOCK was last known */
		uint32_t users;		/* of an orphan: calls that wait for it, or are about to use it. Under lock */
	};
	uint32_t edges;		/* how many epoll reported; written under lock, read by anyone */
	uint32_t drained;	/* atomic hint: edges before the read that took all there was, and one more; 0: none did */
	struct hub *hub;	/* whose epoll set it is in; NULL: none. Under lock */
	struct fd_waiter *first;	/* under lock */
	struct task *last;		/* who joined the list last: a hint of what an event will touch */
	int64_t receive_ns, send_ns;	/* SO_RCVTIMEO, SO_SNDTIMEO; 0: none */
} __attribute__((aligned(64)));

/* What is ours waits for the tasks in its list, and moves with them. */
#define FD_ORPHAN 1	/* a duplicate for waiters whose number was closed */
#define FD_LENT	  2	/* made by us for one task: fd_lend */

#define FD_NONBLOCK  1	/* O_NONBLOCK, if the epoch is the present one */
#define FD_STREAM    2
#define FD_HANGUP    8	/* an RDHUP, HUP, ERR or PRI was seen: no trial is ever skipped */
#define FD_TCP	     16
#define FD_OWN	     32	/* made here and not shared since */

/* fd_get -- the entry of a number; NULL when it is out of range or there is no memory: leave the call to the kernel. */
struct fd *fd_get(int number);

/* Entries are made FD_CHUNK at a time, few: a fork copies what was written, and the monitor and the child of a fork read all that
 * were made. fd_known: were those around the number? fd_end: the number behind the last that was made. */
#define FD_CHUNK  128
#define FD_CHUNKS 8192	/* so the highest number is that of own.c as well */
bool fd_known(unsigned number);
unsigned fd_end(void);

/* fd_kind_of -- its kind, asked of the kernel where not known: the hub may be handed on meanwhile. For a task. */
enum fd_kind fd_kind_of(struct fd *e, int number);

enum fd_kind fd_ask_kind(struct fd *e, int number);	/* fdkind.c: always of the kernel; fills in what goes with the kind */

/* fd_new -- this call has made `number': note what is known. */
void fd_new(int number, enum fd_kind kind, uint8_t flags);

/* fd_nonblocking -- has the program set O_NONBLOCK on the description? */
bool fd_nonblocking(struct fd *e, int number);

static inline uint32_t fd_edges(const struct fd *e)
{
	return load_acquire(&e->edges);
}

/* fd_wait -- park until an edge with any of `events' (EPOLLIN, EPOLLOUT, EPOLLPRI), or deadline_ns.
 *
 * number  in and out: another one when the program closed it meanwhile
 * seen    fd_edges before the trial that failed
 * Returns 0 (try again), -ETIMEDOUT, -ERESTARTSYS (a signal), or -EBADF. Where no epoll set takes it, the carrier waits in the
 * kernel.
 */
long fd_wait(struct task *t, int *number, uint32_t events, int64_t deadline_ns, uint32_t seen);

/* fd_join, fd_part -- the pieces of fd_wait, for waiting on several: join all, try, park. Where fd_join returns -errno, none of
 * them can wait in this way. */
int fd_join(struct fd_waiter *w, struct task *t, int number, uint32_t events);
void fd_part(struct fd_waiter *w);

/* fd_lend -- a descriptor of ours, made by this call, for the task to wait on. Returns its number, -1 where the call has failed.
 * fd_wait may change it, also to -1: the program needed the room. */
int fd_lend(long nr, long a, long b, long c, long d);

/* fd_take_back -- the task is done with what was lent to it. */
void fd_take_back(int number);

/* fd_let_go -- a call used *number after fd_wait had changed it: close our duplicate if it was the last. */
void fd_let_go(int number, int original);

/* fd_closing -- this number is about to be closed or replaced: move its waiters, forget it. */
void fd_closing(int number);

/* fd_limit -- SO_RCVTIMEO or SO_SNDTIMEO of a socket (0: none); asked anew where another number may have set it. */
int64_t fd_limit(struct fd *e, int number, bool in);
int64_t fd_ask_limit(int number, bool in);	/* fdkind.c: of the kernel */

/* fd_rearm -- under the lock of an entry with waiters and a hub: report to them anew what is ready now. */
void fd_rearm(struct fd *e, int number);

/* fd_poke -- something has happened that epoll does not tell: who waits there looks again. */
void fd_poke(int number);

/* fd_shared -- descriptions may be shared with another process from now on (fork, SCM_RIGHTS). Returns the fork epoch, which
 * the child of a fork is told by fd_child. */
uint32_t fd_shared(void);
void fd_child(uint32_t epoch);

void fd_events(struct hub *h, const struct epoll_event *ev, unsigned n);	/* for hub_on_events */
void fd_each_waiting(struct hub *h, poll_visit *fn);			/* for poll_each */
extern const struct own_kind fd_lent;					/* for own_kinds */

#endif
