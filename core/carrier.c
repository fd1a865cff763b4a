/* carrier.c -- a kernel thread of ours */
#include "carrier.h"
#include "pages.h"
#include "stat.h"
#include "sys.h"

uint64_t carrier_mask;
uint32_t carrier_generation ANEW;
void (*carrier_catch_up)(uint32_t *, bool);
static struct lock spares_lock ANEW;
static struct carrier *spares ANEW, *ended ANEW;	/* under spares_lock */
static uint32_t spare_count ANEW;
static struct carrier *newest ANEW;	/* atomic: of all */
uint32_t carrier_others ANEW;

#define SPARES_IDLE 2

static char *signal_stack(struct carrier *c)
{
	return (char *)c - CARRIER_STACK;
}

static void begin(struct carrier *c)
{
	memset(c, 0, offsetof(struct carrier, older));
	c->depth = 1;	/* in Weft from its first instruction on */
	*(struct carrier **)(signal_stack(c) + CARRIER_STACK - 16) = c;
}

static void enlist(struct carrier *c)
{
	struct carrier *older = load_relaxed(&newest);

	do
		c->older = older;
	while (!__atomic_compare_exchange_n(&newest, &older, c, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

struct carrier *carrier_each(struct carrier *c)
{
	return c ? c->older : load_seq(&newest);
}

struct carrier *carrier_new(void)
{
	char *p = pages_get(PAGES_ANEW, 2 * CARRIER_STACK, CARRIER_STACK);
	struct carrier *c = (struct carrier *)(p + CARRIER_STACK);

	if (!p)
		return NULL;
	begin(c);
	enlist(c);
	return c;
}

/* Its memory stays: whoever walks the list of all, or wakes a task that has just ended, may still look at it. */
void carrier_put(struct carrier *c)
{
	lock_take(&spares_lock);
	c->next = ended;
	ended = c;
	lock_drop(&spares_lock);
}

struct carrier *carrier_here(void)
{
	stack_t ss = {0};

	SYS(__NR_sigaltstack, NULL, &ss);
	if (!(ss.ss_flags & SS_ONSTACK) || ss.ss_size != CARRIER_STACK - 64)
		return NULL;
	return *(struct carrier **)((char *)ss.ss_sp + CARRIER_STACK - 16);
}

void carrier_adopt(struct carrier *c)
{
	stack_t alt = {
		.ss_sp = signal_stack(c),
		.ss_size = CARRIER_STACK - 64,
	};

	if (arch_has_fsgsbase)
		c->gs = arch_gs_base();	/* its maker's */
	if (arch_has_pkru())
		c->pkru = arch_pkru();
	c->tid = c->tid_word = (int)sys_gettid();
	SYS(__NR_sigaltstack, &alt, NULL);
	carrier_take_mask(c);	/* not before there is a stack for signals: its maker has blocked all */
}

/* `mask' is told when it holds: who waits for that has a signal blocked from then on. Changed meanwhile, it is taken once more. */
void carrier_take_mask(struct carrier *c)
{
	uint64_t mask;

	do {
		mask = load_seq(&carrier_mask);
		sys_sigmask(SIG_SETMASK, &mask, NULL);
		store_seq(&c->mask, mask);
	} while (mask != load_seq(&carrier_mask));
}

int carrier_start(struct carrier *c, void (*loop)(void *), const struct carrier *maker)
{
	uint64_t all = CARRIER_BLOCKS, mask;

	store_seq(&carrier_others, 1);
	sys_sigmask(SIG_SETMASK, &all, &mask);	/* its maker changes nothing meanwhile */
	c->generation = maker ? load_relaxed(&maker->generation) : 0;
	long tid = arch_clone(CARRIER_THREAD_FLAGS, carrier_stack_top(c), loop, c, &c->tid_word);

	sys_sigmask(SIG_SETMASK, &mask, NULL);
	return tid < 0 ? (int)tid : 0;
}

void carrier_signal(struct carrier *c, long what)
{
	siginfo_t info = {0};
	long r = 0;

	info.si_signo = CARRIER_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_pid = (int)sys_getpid();
	info.si_value.sival_ptr = (void *)what;
	if (c->tid)
		r = SYS(__NR_rt_tgsigqueueinfo, info.si_pid, c->tid, CARRIER_SIGNAL, &info);
	if (likely(r != -ENOSYS && r != -EPERM))
		return;
	store_seq(&c->asked, what);	/* a filter of system calls forbids it */
	sys_tgkill(info.si_pid, c->tid, CARRIER_SIGNAL);
}

bool carrier_ask(const struct carrier *me, uint32_t change, bool poke)
{
	bool all = true;

	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c)) {
		if (c == me || !load_seq(&c->tid_word) || load_acquire(&c->generation) == change)
			continue;
		all = false;
		if (!poke)
			continue;
		carrier_wake(c);
		carrier_signal(c, CARRIER_KICK);
	}
	return all;
}

static struct carrier *pop(struct carrier **list)
{
	lock_take(&spares_lock);
	struct carrier *c = *list;

	if (c) {
		*list = c->next;
		spare_count -= list == &spares;
	}
	lock_drop(&spares_lock);
	return c;
}

/* One that has ended can be used again when the kernel has cleared its word: its stack is free then. */
struct carrier *carrier_fresh(void)
{
	struct carrier *c = pop(&ended);

	if (c && load_acquire(&c->tid_word)) {
		carrier_put(c);
		c = NULL;
	}
	if (!c)
		return carrier_new();
	begin(c);
	return c;
}

struct carrier *carrier_spare_take(void (*loop)(void *))
{
	struct carrier *c = pop(&spares);

	if (c || !loop)
		return c;
	c = carrier_fresh();
	if (c && carrier_start(c, loop, NULL) < 0) {
		carrier_put(c);
		return NULL;
	}
	return c;
}

void carrier_spare_return(struct carrier *c)
{
	lock_take(&spares_lock);
	c->next = spares;
	spares = c;
	spare_count++;
	lock_drop(&spares_lock);
}

static void __attribute__((noreturn)) finish(void)
{
	stat_carrier_set((uint32_t)sys_gettid(), CARRIER_NONE);
	for (;;)
		SYS(__NR_exit, 0);
}

/* More spares than are wanted idle: this one ends, but for the kernel thread that the process began with. */
static void end_surplus(struct carrier *c)
{
	lock_take(&spares_lock);
	bool end = spare_count >= SPARES_IDLE && c->tid != (int)sys_getpid();

	if (end) {
		c->next = ended;
		ended = c;
	}
	lock_drop(&spares_lock);
	if (end)
		finish();
}

/* A fresh one has been taken already: it is in no list, and `given' tells. */
void carrier_spare_wait(struct carrier *c)
{
	c->mask = CARRIER_BLOCKS;	/* no signal comes here; the loop puts carrier_mask back */
	sys_sigmask(SIG_SETMASK, &c->mask, NULL);
	stat_carrier_set((uint32_t)c->tid, CARRIER_SPARE);
	if (c->sp) {
		end_surplus(c);
		carrier_spare_return(c);
	}
	while (!load_acquire(&c->hub) && !load_relaxed(&c->bound)) {
		uint32_t seen = load_acquire(&c->given);

		carrier_follow(&c->generation, false);
		if (!load_acquire(&c->hub))
			sys_futex(&c->given, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	}
	if (c->hub)
		stat_carrier_set((uint32_t)c->tid, CARRIER_HUB);
}

void carrier_give(struct carrier *c, struct hub *h)
{
	store_release(&c->hub, h);
	carrier_wake(c);
}

void carrier_wake(struct carrier *c)
{
	add_relaxed(&c->given, 1);
	sys_futex(&c->given, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

long carrier_sleep(struct carrier *c, uint32_t seen, int64_t deadline_ns)
{
	struct __kernel_timespec ts = {deadline_ns / NSEC, deadline_ns % NSEC};
	long r = sys_futex(&c->given, FUTEX_WAIT_BITSET_PRIVATE, seen, deadline_ns == FOREVER ? NULL : &ts, NULL, ~0u);

	return r == -ETIMEDOUT ? r : 0;
}

void carrier_bind(struct carrier *c)
{
	c->bound = true;
	stat_carrier_set((uint32_t)c->tid, CARRIER_BOUND);
}

void carrier_retire(struct carrier *c)
{
	uint64_t every = ~0ull;

	sys_sigmask(SIG_SETMASK, &every, NULL);
	if (c->tid == (int)sys_getpid()) {
		stat_carrier_set((uint32_t)c->tid, CARRIER_NONE);
		store_release(&c->tid_word, 0);		/* as good as ended */
		for (;;)
			sys_futex(&c->given, FUTEX_WAIT_PRIVATE, load_relaxed(&c->given), NULL, NULL, 0);
	}
	carrier_put(c);
	finish();
}

void carrier_child(struct carrier *c)
{
	begin(c);
	pages_claim(signal_stack(c), 2 * CARRIER_STACK);
	c->tid = c->tid_word = (int)sys_gettid();
	c->mask = load_relaxed(&carrier_mask);
	enlist(c);
}
