/* carrier.c -- a kernel thread of ours */
#include "carrier.h"
#include "stat.h"
#include "sys.h"

uint64_t carrier_mask;
uint32_t carrier_generation;
void (*carrier_catch_up)(uint32_t *);
static struct lock spares_lock;
static struct carrier *spares, *ended;	/* under spares_lock */
static uint32_t spare_count;

#define SPARES_IDLE 2

struct carrier *carrier_new(void)
{
	/* Aligned by mapping twice as much and giving back the ends. */
	size_t want = 2 * CARRIER_STACK, over = want + CARRIER_STACK;
	char *p = sys_map(over);

	if (!p)
		return NULL;
	char *alt = (char *)(((uintptr_t)p + CARRIER_STACK - 1) & ~(CARRIER_STACK - 1));

	if (alt > p)
		sys_munmap(p, (size_t)(alt - p));
	if (alt + want < p + over)
		sys_munmap(alt + want, (size_t)(p + over - (alt + want)));
	struct carrier *c = (struct carrier *)(alt + CARRIER_STACK);

	*(struct carrier **)(alt + CARRIER_STACK - 16) = c;
	c->depth = 1;	/* in Weft from its first instruction on */
	return c;
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
		.ss_sp = (char *)((uintptr_t)c - CARRIER_STACK),
		.ss_size = CARRIER_STACK - 64,
	};

	uint64_t mask = load_relaxed(&carrier_mask);	/* its maker, the monitor, blocks all */

	c->mask = mask;
	c->tid = (int)sys_gettid();
	SYS(__NR_sigaltstack, &alt, NULL);
	sys_sigmask(SIG_SETMASK, &mask, NULL);	/* not before there is a stack for them */
}

int carrier_start(struct carrier *c, void (*loop)(void *))
{
	uint64_t all = ~0ull, mask;

	sys_sigmask(SIG_SETMASK, &all, &mask);
	long tid = arch_clone(CARRIER_THREAD_FLAGS, carrier_stack_top(c), loop, c, &c->tid_word);

	sys_sigmask(SIG_SETMASK, &mask, NULL);
	return tid < 0 ? (int)tid : 0;
}

void carrier_signal(const struct carrier *c, long what)
{
	siginfo_t info = {0};

	info.si_signo = CARRIER_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_pid = (int)sys_getpid();
	info.si_value.sival_ptr = (void *)what;
	if (c->tid)
		SYS(__NR_rt_tgsigqueueinfo, info.si_pid, c->tid, CARRIER_SIGNAL, &info);
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
static struct carrier *fresh(void)
{
	struct carrier *c = pop(&ended);

	if (c && load_acquire(&c->tid_word)) {
		lock_take(&spares_lock);
		c->next = ended;
		ended = c;
		lock_drop(&spares_lock);
		c = NULL;
	}
	if (!c)
		return carrier_new();
	void *alt = (char *)c - CARRIER_STACK;

	memset(c, 0, sizeof *c);
	*(struct carrier **)((char *)alt + CARRIER_STACK - 16) = c;
	c->depth = 1;
	return c;
}

struct carrier *carrier_spare_take(void (*loop)(void *))
{
	struct carrier *c = pop(&spares);

	if (c)
		return c;
	c = fresh();
	if (c && carrier_start(c, loop) < 0) {
		sys_munmap((char *)c - CARRIER_STACK, 2 * CARRIER_STACK);
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
	if (!end)
		return;
	stat_carrier_set((uint32_t)c->tid, CARRIER_NONE);
	for (;;)
		SYS(__NR_exit, 0);
}

/* A fresh one has been taken already: it is in no list, and `given' tells. */
void carrier_spare_wait(struct carrier *c)
{
	c->mask = ~0ull;	/* no signal comes here; the loop puts carrier_mask back */
	sys_sigmask(SIG_SETMASK, &c->mask, NULL);
	stat_carrier_set((uint32_t)c->tid, CARRIER_SPARE);
	if (c->sp) {
		end_surplus(c);
		carrier_spare_return(c);
	}
	while (!load_acquire(&c->hub)) {
		uint32_t seen = load_acquire(&c->given);

		if (!load_acquire(&c->hub))
			sys_futex(&c->given, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	}
	stat_carrier_set((uint32_t)c->tid, CARRIER_HUB);
}

void carrier_give(struct carrier *c, struct hub *h)
{
	store_release(&c->hub, h);
	add_relaxed(&c->given, 1);
	sys_futex(&c->given, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void carrier_forget_others(struct carrier *c)
{
	spares = ended = NULL;
	spare_count = 0;
	spares_lock.held = 0;
	c->lock.held = 0;
	c->tid = (int)sys_gettid();
}
