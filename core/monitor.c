/* monitor.c -- the kernel thread that sees to it that a hub never stands still */
#include <linux/membarrier.h>
#include "monitor.h"
#include "asleep.h"
#include "clock.h"
#include "conf.h"
#include "futex.h"
#include "log.h"
#include "mem.h"
#include "pages.h"
#include "poll.h"
#include "sched.h"
#include "stack.h"
#include "sys.h"

#define TICK_NS	   2000000ll
#define BRISK_NS   8000000ll	/* a tick where tasks have followed one another quickly for a while: */
#define TURN_NS	   100000ll	/* after less than this each, */
#define BRISK_LEAST 4		/* at so many looks on end. A look costs 20 us of the hub's CPU, and of its cache */
#define STILL_NS   20000ll
#define LEAST_NS   1000000ll	/* a task's least share, even when a deadline is due */
#define SOONEST_NS 200000ll
#define SLICE_NS   100000ull
#define QUIET_MOST 10		/* ticks without a busy hub before it lies down: to be nudged costs the hub less than a tick a time */
#define SWEEP_NS   100000000ll
#define STACKS_NS  20000000ll
#define LAZIEST_NS 2048000000ll	/* between two looks at carriers without a hub that do not move */
#define STACK	   16384ul

bool (*monitor_on_sweep)(void);

static uint32_t started ANEW;	/* atomic */
static uint32_t nudges ANEW;	/* futex */
static uint32_t stopped ANEW;	/* atomic */
static int tid_word ANEW;
static uint32_t generation ANEW;	/* atomic, as a carrier's */
static uint64_t usual_slice ANEW;	/* ns; owner: the monitor */

/* Whose time or descriptor has come would natively preempt a thread that computes. */
static bool urgent(struct hub *h, int64_t now)
{
	return load_relaxed(&h->timer_first) <= now || hub_signals_due() || poll_due(h);
}

static bool somebody_waits(struct hub *h)
{
	return load_relaxed(&h->queued) || load_relaxed(&h->inbox);
}

/* Carriers whose hub was taken: one whose task computes again is made to queue for a hub. Meanwhile it takes nobody's hub, but
 * runs beside them, and its next call brings it back in any case. So looks follow one another ever less often while nothing
 * moves: a process that waits costs nothing. */
static int64_t detached_at ANEW, detached_pause ANEW;	/* the next look, and how long after the last */

/* Make the task that the carrier runs give way. By a signal where it computes; inside a call that a signal could cut short it
 * gives way at the gate's exit, by itself. One that sleeps may do so in a call that never passed the gate: the question comes last,
 * since nothing could put such a call back. Returns whether the carrier is inside. */
static bool preempt(struct carrier *c, uint32_t turn)
{
	store_seq(&c->signalled, 1);
	SYS(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	bool inside = load_seq(&c->inside);

	if (inside)
		carrier_owe(c, CARRIER_OWES_TURN, turn);
	else if (!asleep(c->tid, false))
		carrier_signal(c, CARRIER_PREEMPT);
	store_release(&c->signalled, 0);
	return inside;
}

/* How long a slice the monitor gets, where the kernel takes wishes (Linux 6.12); nothing else of its scheduling changes. Returns what
 * it was. */
static uint64_t change_slice(uint64_t ns)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} s;

	if (SYS(__NR_sched_getattr, 0, &s, sizeof s, 0) || (s.policy != SCHED_NORMAL && s.policy != SCHED_BATCH))
		return ns;
	uint64_t old = s.runtime;

	s.runtime = ns;
	SYS(__NR_sched_setattr, 0, &s, 0);
	return old;
}

/* The carrier sits in the kernel: give its hub to a spare, unless it came back meanwhile. A spare that is made now inherits how the
 * monitor is scheduled: as usual, then. */
static void take_over(struct hub *h, struct carrier *c, uint32_t turns)
{
	struct carrier *spare = carrier_spare_take(NULL);

	if (!spare) {
		change_slice(usual_slice);
		spare = carrier_spare_take(sched_loop);
		change_slice(SLICE_NS);
	}
	if (!spare)
		return;
	lock_take(&c->lock);
	store_seq(&c->retake, 1);
	SYS(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	bool take = !load_seq(&c->depth) && load_relaxed(&h->turns) == turns && c->hub == h;

	if (take) {
		store_release(&c->hub, NULL);
		stat_carrier_set((uint32_t)c->tid, CARRIER_DETACHED);
		store_release(&h->carrier, spare);
		stat_shared(handoffs, 1);
	} else {
		c->retake = 0;
	}
	lock_drop(&c->lock);
	if (take) {
		detached_at = detached_pause = 0;
		carrier_give(spare, h);
	} else {
		carrier_spare_return(spare);
	}
}

/* A carrier whose hub was taken and whose task computes again is made to queue for a hub. True: the next look is due after a tick or
 * little more. */
static bool look_at_detached(int64_t now)
{
	bool any = false, computes = false;

	if (now < detached_at)
		return detached_at != FOREVER && detached_pause < BRISK_NS;

	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c)) {
		if (load_acquire(&c->hub) || !load_relaxed(&c->current) || c->bound)
			continue;
		any = true;
		if (unlikely(load_relaxed(&c->owed) & CARRIER_OWES_SIGNALS)) {
			__atomic_fetch_and(&c->owed, ~CARRIER_OWES_SIGNALS, __ATOMIC_RELAXED);
			carrier_signal(c, CARRIER_KICK);
		}
		int64_t cpu = clock_thread_ns(c->tid), ran = cpu - c->cpu_ns;

		c->cpu_ns = cpu;
		if (ran > TICK_NS / 4) {
			computes = true;
			preempt(c, 0);
		}
	}
	detached_pause = computes || !detached_pause ? TICK_NS : 2 * detached_pause;
	if (detached_pause > LAZIEST_NS)
		detached_pause = LAZIEST_NS;
	detached_at = any ? now + detached_pause : FOREVER;
	return any && detached_pause < BRISK_NS;
}

/* When is the next look worth while, after a tick at most? At a deadline that comes before: whose time has come natively preempts
 * a thread that computes, so a task that has had its least share gives way at once. */
static int64_t next_look(struct hub *h, int64_t now, int64_t tick)
{
	int64_t at = load_relaxed(&h->timer_first), share = h->seen_ns + LEAST_NS;

	if (at < share)
		at = share;
	return at - now < SOONEST_NS ? SOONEST_NS : at - now < tick ? at - now : tick;
}

/* Its tasks follow one another, but each keeps the CPU for so long that the hub has not looked at timers and events for a tick
 * or more, and one of these is due: the hub is to look when the present one leaves. */
static bool overdue(struct hub *h, int64_t now)
{
	uint64_t polls = load_relaxed(&h->count[STAT_polls]);
	bool same = polls == h->seen_polls;

	h->seen_polls = polls;
	return same && h->seen_ns && now - h->seen_ns >= LEAST_NS && urgent(h, now);
}

/* After so many looks at which nothing moved: is the hub to be given to another carrier? At once when something is due there; when
 * nothing is, after a while, and ever less often if that fails: the hub sleeps then, and nobody need look at it. */
static bool is_stuck(uint32_t looks, bool due)
{
	return due ? looks >= 2 : looks >= 8 && (looks & (looks - 1)) == 0;
}

/* Look at one hub. Returns how long until the next look, 0 when it sleeps. */
static int64_t look(struct hub *h, int64_t now)
{
	uint32_t turns = load_relaxed(&h->turns);
	struct carrier *c = load_acquire(&h->carrier);
	/* It has run for up to a tick longer than we have seen. */
	int64_t patience = conf.preempt * 1000000ll - TICK_NS - TICK_NS / 4;

	if (hub_asleep(h))
		return 0;
	store_relaxed(&c->sample, 1);
	if (overdue(h, now))
		store_relaxed(&h->hurry, true);
	/* One signal for each debt: where that is refused, too, there is a new one. */
	bool owes = load_relaxed(&c->owed) && load_relaxed(&c->owed_turn) == turns && exchange(&c->owed, 0);

	if (unlikely(owes))
		preempt(c, turns);
	if (turns != h->seen_turns || !h->seen_ns) {
		h->brisk = (turns - h->seen_turns) * TURN_NS > now - h->seen_ns ? h->brisk + 1 : 0;
		h->seen_turns = turns;
		h->seen_ns = now;
		h->still = 0;
		c->cpu_ns = clock_thread_ns(c->tid);
		return next_look(h, now, h->brisk > BRISK_LEAST ? BRISK_NS : TICK_NS);
	}
	int64_t ran_for = now - h->seen_ns;

	h->brisk = 0;
	if (ran_for < LEAST_NS)
		return next_look(h, now, TICK_NS);
	bool due = (ran_for >= patience && somebody_waits(h)) || urgent(h, now);
	int64_t cpu = clock_thread_ns(c->tid), ran = cpu - c->cpu_ns;

	c->cpu_ns = cpu;
	bool inside = due && ran > TICK_NS / 8 && preempt(c, turns);

	if (ran > STILL_NS && !inside)
		h->still = 0;	/* it computes */
	else if (is_stuck(++h->still, due) && (inside || asleep(c->tid, true)))
		take_over(h, c, turns);
	return due ? TICK_NS : next_look(h, now, TICK_NS);
}

static void get_up(void)
{
	if (exchange(&hub_unwatched, 0)) {
		add_relaxed(&nudges, 1);
		sys_futex(&nudges, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

/* The end of a thread that is no task. It announces itself in a list, a stack that is pushed by anybody and taken whole by the
 * monitor, which moves it to a list of its own. */
struct ending {
	struct ending *next;
	uint32_t *word;
	int tid;
};
static struct ending *announced ANEW;	/* atomic */
static struct ending *endings ANEW;	/* the monitor's own */
static struct ending reserve ANEW;	/* for when there is no memory */
static uint32_t reserved ANEW;		/* atomic: it is in a list */

/* A word may lie in memory that is gone by now: it is read as another process would. It may also have been used again before
 * we could see it cleared: then the thread is gone. */
static bool has_ended(const struct ending *e)
{
	uint32_t value = 1;
	struct iovec to = {&value, sizeof value}, from = {e->word, sizeof value};

	return SYS(__NR_process_vm_readv, sys_getpid(), &to, 1, &from, 1, 0) < 0 || value == 0 ||
	       SYS(__NR_tgkill, sys_getpid(), e->tid, 0) == -ESRCH;
}

/* A thread that is about to end can wait until the one record is free, but it cannot do without. */
static struct ending *ending_new(void)
{
	struct ending *e = mem_get_anew(sizeof *e);

	for (unsigned n = 0; !e; lock_pause(n++))
		if (cas(&reserved, 0, 1))
			e = &reserve;
	return e;
}

static void ending_free(struct ending *e)
{
	if (e == &reserve)
		store_release(&reserved, 0);
	else
		mem_put(e, sizeof *e);
}

static void collect_endings(void)
{
	struct ending *e, *next;

	for (e = load_relaxed(&announced) ? exchange(&announced, NULL) : NULL; e; e = next) {
		next = e->next;
		e->next = endings;
		endings = e;
	}
}

static bool look_at_endings(void)
{
	bool any = false;

	collect_endings();
	for (struct ending **at = &endings, *e; (e = *at); any = true) {
		if (!has_ended(e)) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		futex_wake(NULL, e->word, INT32_MAX, ~0u);
		ending_free(e);
	}
	return any;
}

void monitor_watch(uint32_t *word)
{
	struct ending *e = ending_new(), *top = load_relaxed(&announced);

	e->word = word;
	e->tid = (int)sys_gettid();
	do
		e->next = top;
	while (!__atomic_compare_exchange_n(&announced, &top, e, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	get_up();
}

/* A bound task that was kicked where it could take no signal, and may not come to its gate for long. */
static bool look_at_bound(void)
{
	bool any = false;

	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c)) {
		if (!c->bound || !(load_relaxed(&c->owed) & CARRIER_OWES_SIGNALS) || !exchange(&c->owed, 0))
			continue;
		any = true;
		carrier_signal(c, CARRIER_KICK);
	}
	return any;
}

static bool all_sleep(void)
{
	uint32_t n = load_seq(&hubs_running);

	return load_seq(&hubs_sleeping) == (n < 64 ? 1ull << n : 0) - 1;
}

static bool young ANEW;		/* waits may be there that have not been looked at */
static int64_t swept ANEW;	/* when they were */

static void sweep(int64_t now)
{
	static int64_t stacks ANEW;

	if (stack_resting() && now - stacks >= STACKS_NS) {
		stacks = now;
		stack_sweep();
	}
	if (!young || now - swept < SWEEP_NS)
		return;
	swept = now;
	young = monitor_on_sweep && monitor_on_sweep();
}

/* How long the monitor may lie, unless a hub gets up: then waits begin. */
static const struct __kernel_timespec *rest(struct __kernel_timespec *ts)
{
	int64_t at = young && swept + SWEEP_NS < detached_at ? swept + SWEEP_NS : detached_at, left = at - clock_now();

	if (stack_resting() && left > STACKS_NS)
		left = STACKS_NS;
	else if (at == FOREVER)
		return NULL;
	if (left < TICK_NS)
		left = TICK_NS;
	*ts = (struct __kernel_timespec){left / NSEC, left % NSEC};
	return ts;
}

static void watch(void *arg)
{
	struct __kernel_timespec pause = {0, TICK_NS}, resting;
	unsigned quiet = 0;

	(void)arg;
	/* On a CPU that a task keeps busy we must not wait for the end of a long one. */
	usual_slice = change_slice(SLICE_NS);
	stat_carrier_set((uint32_t)sys_gettid(), CARRIER_MONITOR);
	for (;;) {
		uint32_t seen = load_acquire(&nudges);

		carrier_follow(&generation, false);
		if (quiet >= QUIET_MOST) {
			store_seq(&hub_unwatched, 1);
			if (!all_sleep())	/* one got up before it could see that */
				quiet = 0;
		}
		sys_futex(&nudges, FUTEX_WAIT_PRIVATE, seen, quiet >= QUIET_MOST ? rest(&resting) : &pause, NULL, 0);
		while (unlikely(load_acquire(&stopped)))
			SYS(__NR_exit, 0);
		store_relaxed(&hub_unwatched, 0);
		int64_t now = clock_now();

		young |= load_relaxed(&nudges) != seen;
		bool often = look_at_detached(now);

		often |= look_at_endings();
		often |= look_at_bound();
		sweep(now);
		quiet = often ? 0 : quiet + 1;
		pause.tv_nsec = often ? TICK_NS : BRISK_NS;
		for (uint32_t i = 0; i < load_acquire(&hubs_running); i++) {
			int64_t next = look(&hubs[i], now);

			if (next)
				quiet = 0, young = true;
			if (next && next < pause.tv_nsec)
				pause.tv_nsec = next;
		}
		if (quiet)
			pause.tv_nsec = TICK_NS;
	}
}

bool monitor_ask(uint32_t change, bool poke)
{
	if (!load_seq(&tid_word) || load_acquire(&generation) == change)
		return true;
	if (poke) {
		add_relaxed(&nudges, 1);
		sys_futex(&nudges, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return false;
}

int monitor_start(void)
{
	uint64_t all = CARRIER_BLOCKS, mask;

	if (load_relaxed(&started) || !conf.preempt || !cas(&started, 0, 1))
		return 0;
	hub_on_busy = get_up;
	own_kinds[OWN_LOOKS] = &asleep_kind;
	SYS(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	char *stack = pages_get(PAGES_ANEW, STACK, PAGE);

	if (!stack)
		return -ENOMEM;
	store_seq(&carrier_others, 1);
	sys_sigmask(SIG_SETMASK, &all, &mask);
	long r = arch_clone(CARRIER_THREAD_FLAGS, stack + STACK, watch, NULL, &tid_word);

	sys_sigmask(SIG_SETMASK, &mask, NULL);
	if (r < 0)
		LOG(WARN, "weft: no monitor: %ld\n", r);
	return r < 0 ? (int)r : 0;
}

void monitor_stop(void)
{
	store_seq(&stopped, 1);
	add_relaxed(&nudges, 1);
	sys_futex(&nudges, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (load_acquire(&tid_word))		/* the kernel clears it at the end of the thread */
		SYS(__NR_sched_yield);
}
