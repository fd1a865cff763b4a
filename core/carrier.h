/* carrier.h -- a kernel thread of ours
 *
 * It runs a hub, or stands spare, or is detached: its task sits in the kernel (or runs on) while another carrier has its hub.
 * One region of memory belongs to it: the stack that signals of the kernel arrive on, with the carrier's address at its very
 * top, so that a handler finds it without the thread pointer; and the stack of its loop, with this struct at the bottom. It is
 * anew in the child of a fork.
 *
 * Threads: carrier_new, carrier_give from any.  Errors: NULL.
 */
#ifndef CORE_CARRIER_H
#define CORE_CARRIER_H

#include <linux/sched.h>
#include "lock.h"
#include "task.h"

#define CARRIER_STACK 65536ul	/* of each of the two, and their alignment */

/* A kernel thread that shares all there is to share. These are exactly the flags with which pthread_create of glibc and musl makes
 * a thread, because the filters of browsers allow a clone with these flags alone. Such a kernel thread has no thread control block
 * of its own. Its thread pointer is that of its maker, and not 0, which libthread_db takes for a process that has just begun: gdb
 * crashed. */
#define CARRIER_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | \
			      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

struct carrier {
	void *sp;		/* context of its loop while a task runs */
	struct hub *hub;	/* atomic; NULL while spare or detached */
	struct task *current;	/* atomic: the task it runs; NULL in its loop and while one leaves */
	struct task *prev;	/* task whose stack was left by the last switch, to be let go by the next context */
	struct task *dead;	/* task that ended, to be reaped by the loop */
	struct task *requeue;	/* task that left without being readied by anyone */
	uint32_t depth;		/* in Weft: written by itself, read by the monitor after a membarrier */
	uint32_t retake;	/* atomic: the monitor has taken its hub, or is about to */
	uint32_t inside;	/* in a call that no signal of ours may cut short; written by itself */
	uint32_t signalled;	/* atomic: the monitor is about to send it a signal, unless it is inside */
	uint32_t owed;		/* atomic: what a signal or the monitor could not do where the task stood: CARRIER_OWES_… */
	uint32_t owed_turn;	/* atomic: the hub's turn in which that was */
	struct lock lock;	/* hub against the monitor */
	int tid;
	int tid_word;		/* set while its thread lives; the kernel clears it */
	uint32_t given;		/* futex: bumped when a spare is given a hub, and when a bound task is woken */
	struct carrier *next;	/* among the spares */
	int64_t cpu_ns;		/* monitor's: CPU time when it looked last */
	uint32_t sample;	/* atomic: charge the next task that leaves with CPU time (cputime.c) */
	uint32_t stamps;	/* atomic: odd while a charge is made */
	int64_t stamped_ns;	/* its CPU time at the last charge; written while stamps is odd */
	uint64_t native_pc;	/* behind the `syscall' of the call it was last left to */
	uint64_t native_nr;
	uint64_t gs;		/* GS base of the task that left it last; it still has that */
	uint32_t pkru;		/* the same of its rights by protection keys */
	uint64_t mask;		/* atomic: what the kernel blocks on it */
	uint32_t generation;	/* atomic: of the last change that it has made */
	long asked;		/* atomic: CARRIER_PREEMPT or CARRIER_KICK, where the signal itself cannot say it */
	bool bound;		/* its task's own: it has no hub, never gets one, and ends with the task */
	struct carrier *older;	/* among all that ever were. The last field: it stays when the rest is cleared */
};

/* Carriers are spoken to by a signal that debuggers pass and that by default does nothing; its si_value says what for. */
#define CARRIER_SIGNAL	SIGURG
#define CARRIER_PREEMPT 0x57656674l	/* its task has run for long enough */
#define CARRIER_KICK	0x57656675l	/* look at signals and masks; end the wait */

/* What a carrier owes. A signal that finds it in Weft cannot take the task from there; the next exit of the gate pays. */
#define CARRIER_OWES_TURN    1u	/* its task has run for long enough */
#define CARRIER_OWES_SIGNALS 2u	/* its task has signals to take */

/* carrier_owe -- note a debt of the task that runs in the hub's turn `turn'. From any thread, and from a signal handler. */
static inline void carrier_owe(struct carrier *c, uint32_t what, uint32_t turn)
{
	store_relaxed(&c->owed_turn, turn);
	__atomic_fetch_or(&c->owed, what, __ATOMIC_RELAXED);
}

/* A thread of ours that runs nothing of the program blocks all signals, but not the one by which a filter of system calls traps a
 * call: blocked, that would end the process. */
#define CARRIER_BLOCKS (~(1ull << (SIGSYS - 1)))

/* carrier_signal -- send it CARRIER_PREEMPT or CARRIER_KICK; from any thread, and from a signal handler. */
void carrier_signal(struct carrier *c, long what);

/* carrier_new -- memory for one; the thread is made by carrier_start. */
struct carrier *carrier_new(void);

/* carrier_start -- make its kernel thread, which runs `loop' on its stack for ever. Returns 0 or -errno.
 *
 * maker  the caller, where a bound one: the new thread has made the changes that the caller has. NULL: that is not known.
 */
int carrier_start(struct carrier *c, void (*loop)(void *), const struct carrier *maker);

/* What belongs to a kernel thread and must be the same on all of ours: changes are numbered, and who makes one asks all others to
 * make it as well (carrier_ask; a kick, or a wake of those that block all signals and stand in a futex of ours) and waits until
 * they have: `generation' is then the change's. A thread that is new or was in a call of the program's with all signals blocked
 * looks before it runs anything. The hook is set by the layer that knows the changes; bound: the thread is a bound task's. It is
 * called with all signals blocked. */
extern uint32_t carrier_generation;	/* atomic: how many changes there were */
extern void (*carrier_catch_up)(uint32_t *generation, bool bound);

static inline void carrier_follow(uint32_t *generation, bool bound)
{
	if (unlikely(load_relaxed(generation) != load_seq(&carrier_generation)))
		carrier_catch_up(generation, bound);
}

/* carrier_ask -- have all carriers but `me' made this change? Those that have not are asked to where `poke'. */
bool carrier_ask(const struct carrier *me, uint32_t change, bool poke);

extern uint64_t carrier_mask;	/* atomic: the signals that carriers block */

/* carrier_adopt -- the calling kernel thread becomes this carrier's. */
void carrier_adopt(struct carrier *c);

/* carrier_take_mask -- the calling thread, which is this carrier's, blocks what carriers are to block. */
void carrier_take_mask(struct carrier *c);

/* carrier_here -- the carrier on whose signal stack this handler runs; NULL on a thread that is none. */
struct carrier *carrier_here(void);

static inline void *carrier_stack_top(struct carrier *c)
{
	return (char *)((uintptr_t)c & ~(CARRIER_STACK - 1)) + CARRIER_STACK;
}

/* carrier_spare_take, carrier_spare_wait -- the pool of spares: take one (made when there is none, to run `loop'; with
 * NULL none is made), stand in it; carrier_spare_return gives back one that was taken and not used. */
struct carrier *carrier_spare_take(void (*loop)(void *));
void carrier_spare_return(struct carrier *c);
void carrier_spare_wait(struct carrier *c);
void carrier_give(struct carrier *c, struct hub *h);

/* Whether other kernel threads of ours than the first were ever made in this process. */
extern uint32_t carrier_others;	/* atomic */

/* carrier_fresh -- one without a thread, for a bound task; give it back by carrier_put. */
struct carrier *carrier_fresh(void);
void carrier_put(struct carrier *c);

/* carrier_wake -- the bound task in carrier_sleep looks at its `wake'. carrier_sleep returns -ETIMEDOUT at deadline_ns, else 0,
 * perhaps for nothing. `seen' is carrier_seen() from before the look at `wake'. */
void carrier_wake(struct carrier *c);
long carrier_sleep(struct carrier *c, uint32_t seen, int64_t deadline_ns);
static inline uint32_t carrier_seen(const struct carrier *c)
{
	return load_acquire(&c->given);
}

/* carrier_bind -- the calling thread's carrier belongs to its task from now on. */
void carrier_bind(struct carrier *c);

/* carrier_retire -- a bound task has ended, and its kernel thread does, but for the one that the process began with. */
void carrier_retire(struct carrier *c) __attribute__((noreturn));

/* carrier_each -- all that are or ever were, from the newest on: `c' NULL for the first. */
struct carrier *carrier_each(struct carrier *c);

/* carrier_child -- in the child of a fork the calling thread's is the only one, and as good as new. */
void carrier_child(struct carrier *c);

#endif
