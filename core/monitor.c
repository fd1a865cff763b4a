/* monitor.c -- the kernel thread that sees to it that a hub never stands still */
#include <linux/membarrier.h>
#include "monitor.h"
#include "asleep.h"
#include "clock.h"
#include "conf.h"
#include "futex.h"
#include "log.h"
#include "pages.h"
#include "poll.h"
#include "sched.h"
#include "sys.h"

#define TICK_NS	   2000000ll
#define BRISK_NS   8000000ll	/* a tick where tasks have followed one another quickly for a while: */
#define TURN_NS	   100000ll	/* after less than this each, */
#define BRISK_LEAST 4		/* at so many looks on end. A look costs 20 us of the hub's CPU, and of its cache */
#define STILL_NS   20000ll
#define LEAST_NS   1000000ll	/* a task's least share, even when a deadline is due */
#define SOONEST_NS 200000ll
#define SLICE_NS   100000ull
#define QUIET_MOST 50		/* ticks without a busy hub before it lies down */
#define SWEEP_NS   100000000ll
#define STACK	   16384ul

bool (*monitor_on_sweep)(void);

static uint32_t started ANEW;	/* atomic */
static uint32_t nudges ANEW;	/* futex */
static int tid_word ANEW;
static uint32_t generation ANEW;	/* atomic, as a carrier's */

/* Whose time or descriptor has come would natively preempt a thread that computes. */
static bool urgent(struct hub *h, int64_t now)
{
	return load_relaxed(&h->timer_first) <= now || hub_signals_due() || poll_due(h);
}

static bool somebody_waits(struct hub *h)
{
	return load_relaxed(&h->queued) || load_relaxed(&h->inbox);
}

/* Carriers whose hub was taken: one whose task computes again is made to queue for a hub. */
static struct carrier *detached[64] ANEW;

static void remember(struct carrier *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(detached); i++)
		if (!detached[i]) {
			detached[i] = c;
			return;
		}
}

/* The carrier sits in the kernel: give its hub to a spare, unless it came back meanwhile. */
static void take_over(struct hub *h, struct carrier *c, uint32_t turns)
{
	struct carrier *spare = carrier_spare_take(sched_loop);

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
		remember(c);
		carrier_give(spare, h);
	} else {
		carrier_spare_return(spare);
	}
}

static bool look_at_detached(void)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(detached); i++) {
		struct carrier *c = detached[i];

		if (!c)
			continue;
		if (load_acquire(&c->hub) || !load_relaxed(&c->current) || c->bound) {
			detached[i] = NULL;
			continue;
		}
		any = true;
		int64_t cpu = clock_thread_ns(c->tid), ran = cpu - c->cpu_ns;

		c->cpu_ns = cpu;
		if (ran > TICK_NS / 4 && !asleep(c->tid, false))
			carrier_signal(c, CARRIER_PREEMPT);
	}
	return any;
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
	if (unlikely(load_relaxed(&c->refused)) && exchange(&c->refused, 0))
		carrier_signal(c, CARRIER_PREEMPT);
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
	if (ran_for < LEAST_NS || !((ran_for >= patience && somebody_waits(h)) || urgent(h, now)))
		return next_look(h, now, TICK_NS);
	int64_t cpu = clock_thread_ns(c->tid), ran = cpu - c->cpu_ns;

	c->cpu_ns = cpu;
	if (ran > TICK_NS / 8 && !asleep(c->tid, false))
		carrier_signal(c, CARRIER_PREEMPT);
	if (ran > STILL_NS)
		h->still = 0;	/* it computes */
	else if (++h->still >= 2 && asleep(c->tid, true))
		take_over(h, c, turns);
	return TICK_NS;
}

static void get_up(void)
{
	if (exchange(&hub_unwatched, 0)) {
		add_relaxed(&nudges, 1);
		sys_futex(&nudges, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

static uint32_t *words[64] ANEW;	/* atomic entries */

/* A word may lie in memory that is gone by now: it is read as another process would. */
static bool cleared(uint32_t *word)
{
	uint32_t value = 1;
	struct iovec to = {&value, sizeof value}, from = {word, sizeof value};

	return SYS(__NR_process_vm_readv, sys_getpid(), &to, 1, &from, 1, 0) < 0 || value == 0;
}

static bool look_at_words(void)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		uint32_t *word = load_acquire(&words[i]);

		if (word && cleared(word)) {
			store_release(&words[i], NULL);
			futex_wake(NULL, word, INT32_MAX, ~0u);
		}
		any |= word != NULL;
	}
	return any;
}

void monitor_watch(uint32_t *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		uint32_t *none = NULL;

		if (__atomic_compare_exchange_n(&words[i], &none, word, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			break;
	}
	get_up();
}

/* A bound task that was kicked where it could take no signal, and may not come to its gate for long. */
static bool look_at_bound(void)
{
	bool any = false;

	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c)) {
		if (!c->bound || !load_relaxed(&c->refused) || !exchange(&c->refused, 0))
			continue;
		any = true;
		carrier_signal(c, CARRIER_KICK);
	}
	return any;
}

static bool all_sleep(void)
{
	uint32_t n = load_seq(&hubs_running);

	return n == HUB_MOST || load_seq(&hubs_sleeping) == (1ull << n) - 1;
}

/* True while there is more to look at. */
static bool sweep(int64_t now)
{
	static int64_t last ANEW;
	static bool more ANEW;

	if (now - last >= SWEEP_NS && monitor_on_sweep) {
		last = now;
		more = monitor_on_sweep();
	}
	return more;
}

static void watch(void *arg)
{
	struct __kernel_timespec pause = {0, TICK_NS};
	unsigned quiet = 0;

	(void)arg;
	/* On a CPU that a task keeps busy we must not wait for the end of its slice: ask for short ones (Linux 6.12). */
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; } attr = {
		.size = 48, .runtime = SLICE_NS,
	};

	SYS(__NR_sched_setattr, 0, &attr, 0);
	stat_carrier_set((uint32_t)sys_gettid(), CARRIER_MONITOR);
	for (;;) {
		uint32_t seen = load_acquire(&nudges);

		carrier_follow(&generation, false);
		if (quiet >= QUIET_MOST) {
			store_seq(&hub_unwatched, 1);
			if (!all_sleep())	/* one got up before it could see that */
				quiet = 0;
		}
		sys_futex(&nudges, FUTEX_WAIT_PRIVATE, seen, quiet >= QUIET_MOST ? NULL : &pause, NULL, 0);
		store_relaxed(&hub_unwatched, 0);
		int64_t now = clock_now();

		bool often = look_at_detached();

		often |= look_at_words();
		often |= look_at_bound();
		quiet = sweep(now) || often ? 0 : quiet + 1;
		pause.tv_nsec = often ? TICK_NS : BRISK_NS;
		for (uint32_t i = 0; i < load_acquire(&hubs_running); i++) {
			int64_t next = look(&hubs[i], now);

			if (next)
				quiet = 0;
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
	uint64_t all = ~0ull, mask;

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
