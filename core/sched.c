/* sched.c -- park, ready, switch */
#include <asm/prctl.h>
#include "sched.h"
#include "cputime.h"
#include "log.h"
#include "own.h"
#include "pages.h"
#include "sys.h"
#include "poll.h"
#include "timer.h"

void (*sched_on_exit)(struct hub *, struct task *);
int arch_has_fsgsbase = 1, arch_uses_pkru;

#define HOG_TIMES 16

static struct lock grow_lock ANEW;

/* Finish a switch, in the context that was switched to: the stack that was left may be used by others now. */
static inline void finish(struct carrier *c)
{
	struct task *prev = c->prev;

	c->prev = NULL;
	if (prev)
		store_release(&prev->on_cpu, 0);
}

void sched_started(void)
{
	finish(task_self()->carrier);
}

static inline void load_registers(struct carrier *c, struct task *t)
{
	if (unlikely(t->gs != c->gs))
		arch_set_gs_base(t->gs);
	if (unlikely(load_relaxed(&arch_uses_pkru)) && t->pkru != c->pkru)
		arch_set_pkru(t->pkru);
}

/* Let the task run on this carrier; the caller has saved nothing yet. */
static inline void enter(struct carrier *c, struct hub *h, struct task *t)
{
	for (unsigned n = 0; unlikely(load_acquire(&t->on_cpu)); n++)
		lock_pause(n);
	store_relaxed(&t->on_cpu, 1);
	load_registers(c, t);
	t->carrier = c;
	t->hub = h;
	t->park = PARK_RUNNING;
	store_relaxed(&c->current, t);
	store_relaxed(&h->turns, h->turns + 1);
	h->budget--;
	STAT_ADD(h, switches, 1);
}

static inline uintptr_t fs_for(struct task *t)
{
	if (likely(arch_has_fsgsbase))
		return t->fs;
	SYS(__NR_arch_prctl, ARCH_SET_FS, t->fs);
	return 0;
}

static __attribute__((noinline)) void switch_vector(struct task *t, void *sp, uintptr_t fs)
{
	struct arch_vector v;

	arch_vector_save(&v);
	arch_switch(&t->sp, sp, fs);
	arch_vector_load(&v);
}

/* The program may hold values in vector registers across the call that the task is in. Nothing of ours touches these (but a
 * handler's frame, which keeps them): they change only while other tasks run. */
static inline void switch_from(struct task *t, void *sp, uintptr_t fs)
{
	if (unlikely(t->frame && arch_frame_vector(t->frame)))
		switch_vector(t, sp, fs);
	else
		arch_switch(&t->sp, sp, fs);
}

/* Leave the task's stack: for the next ready task, or the loop. Comes back when the task runs again. */
static void leave(struct task *t)
{
	struct carrier *c = t->carrier;
	struct hub *h = c->hub;
	struct task *next = h->budget && !load_relaxed(&h->hurry) ? hub_dequeue(h) : NULL;

	if (next == t) {
		t->park = PARK_RUNNING;
		store_relaxed(&h->turns, h->turns + 1);
		h->budget--;
		return;
	}
	c->prev = t;
	store_relaxed(&c->current, NULL);
	sched_save_registers(c, t);
	cputime_leave(c, t);
	if (next) {
		enter(c, h, next);
		switch_from(t, next->sp, fs_for(next));
	} else {
		switch_from(t, c->sp, 0);
	}
	finish(t->carrier);
}

/* A bound task waits for its claim. Signals of ours end the sleep, and claim nothing. */
static void sleep_bound(struct task *t, int64_t deadline_ns)
{
	for (;;) {
		uint32_t seen = carrier_seen(t->carrier), armed = load_seq(&t->wake);

		if (armed > WAKE_HELD)
			break;
		if (carrier_sleep(t->carrier, seen, deadline_ns) == -ETIMEDOUT)
			cas(&t->wake, armed, WAKE_TIMEOUT);
	}
	t->park = PARK_RUNNING;
}

enum wake sched_park(struct task *t, int64_t deadline_ns)
{
	struct hub *h = sched_hub(t);	/* NULL: bound */
	struct timer_late late;

	/* A signal that came before we were armed found nobody to wake. */
	if (unlikely(load_seq(&t->sigpending) & (~t->sigmask | t->sigwait)) && cas(&t->wake, WAKE_ARMED, WAKE_SIGNAL)) {
		t->park = PARK_RUNNING;
		store_relaxed(&t->attention, 1);
		store_relaxed(&t->wake, WAKE_NONE);
		return WAKE_SIGNAL;
	}
	if (unlikely(!h)) {
		stat_shared(parks, 1);
		sleep_bound(t, deadline_ns);
	} else {
		STAT_ADD(h, parks, 1);
		if (deadline_ns != FOREVER)
			timer_add(h, t, deadline_ns, &late);
		leave(t);
		if (deadline_ns != FOREVER)
			timer_cancel(t, &late);
	}
	enum wake why = load_relaxed(&t->wake);

	INVARIANT(why > WAKE_HELD);
	store_relaxed(&t->wake, WAKE_NONE);
	return why;
}

enum wake sched_disarm(struct task *t)
{
	uint32_t armed = load_relaxed(&t->wake);

	if (armed <= WAKE_HELD && cas(&t->wake, armed, WAKE_NONE)) {
		t->park = PARK_RUNNING;
		return WAKE_NONE;
	}
	return sched_park(t, FOREVER);
}

void sched_yield_task(struct task *t)
{
	struct hub *h = sched_hub(t);

	if (unlikely(!h)) {
		SYS(__NR_sched_yield);
		return;
	}
	t->park = PARK_YIELD;
	hub_enqueue(h, t);
	leave(t);
}

void sched_exit(struct task *t)
{
	struct carrier *c = t->carrier;
	void *nowhere;

	c->dead = t;
	store_relaxed(&c->current, NULL);
	sched_save_registers(c, t);
	if (likely(!t->bound))	/* nobody asks any more, and it may be forbidden to read a clock */
		cputime_leave(c, t);
	arch_switch(&nowhere, c->sp, 0);
	__builtin_unreachable();
}

void sched_preempted(struct carrier *c, struct task *t)
{
	void *nowhere;

	t->park = PARK_PREEMPTED;
	t->hog = HOG_TIMES;
	c->prev = t;
	c->requeue = t;
	store_relaxed(&c->current, NULL);
	sched_save_registers(c, t);	/* but for the rights by keys, which the kernel's frame has: a handler begins with others */
	cputime_leave(c, t);
	arch_switch(&nowhere, c->sp, 0);
	__builtin_unreachable();
}

/* Leave for the loop, which queues the task. Comes back when it runs again. */
static void stand_in_queue(struct task *t, enum park_reason why)
{
	struct carrier *c = t->carrier;

	t->park = (uint16_t)why;
	c->prev = t;
	c->requeue = t;
	store_relaxed(&c->current, NULL);
	sched_save_registers(c, t);
	cputime_leave(c, t);
	switch_from(t, c->sp, 0);
	finish(t->carrier);
}

void sched_give_way(struct task *t)
{
	t->hog = HOG_TIMES;
	stand_in_queue(t, PARK_PREEMPTED);
}

void sched_await_signal(struct carrier *c)
{
	for (unsigned n = 0; load_acquire(&c->signalled); n++)
		lock_pause(n);
}

/* The hub of this task's carrier was given away while it blocked. Stand in a queue for a hub; the carrier becomes a spare. */
void sched_reattach(struct task *t)
{
	struct carrier *c = t->carrier;

	lock_take(&c->lock);
	bool detached = !c->hub && !c->bound;

	c->retake = 0;
	lock_drop(&c->lock);
	if (!detached)
		return;
	stand_in_queue(t, PARK_ATTACH);
	store_relaxed(&t->carrier->depth, 1);
}

/* A task that had to leave: another hub takes it if one sleeps, else it waits behind those that came by themselves. */
static void requeue(struct hub *h, struct task *t)
{
	struct hub *idle = h ? hub_idle_other(h) : NULL;

	if (!h || t->park != PARK_PREEMPTED) {
		ready_put(h, t);
	} else if (idle) {
		t->hub = idle;
		hub_push(idle, t);
	} else {
		hub_enqueue_hog(h, t);
	}
	if (h)
		h->look = true;	/* it was made to leave because something else is due */
}

static void settle(struct carrier *c)
{
	struct task *t = c->requeue, *dead = c->dead;

	finish(c);
	c->requeue = c->dead = NULL;
	if (t)
		requeue(c->hub, t);
	if (dead)
		sched_on_exit(c->hub, dead);
}

/* It is new: signals come through, which may bring it the same. */
static void follow(struct carrier *c)
{
	uint64_t every = ~0ull, mask;

	sys_sigmask(SIG_SETMASK, &every, &mask);
	carrier_follow(&c->generation, c->bound);
	sys_sigmask(SIG_SETMASK, &mask, NULL);
}

void sched_loop(void *arg)
{
	struct carrier *c = arg;

	if (c->tid == 0)
		carrier_adopt(c);
	if (c->hub)
		stat_carrier_set((uint32_t)c->tid, CARRIER_HUB);
	for (;;) {
		store_relaxed(&c->depth, 1);
		settle(c);
		if (unlikely(c->bound))
			carrier_retire(c);
		if (!load_acquire(&c->hub)) {
			carrier_spare_wait(c);
			continue;
		}
		struct hub *h = c->hub;

		WALK(hub_walk(h));
		if (unlikely(c->generation != load_acquire(&carrier_generation)))
			follow(c);
		if (unlikely(c->mask != load_relaxed(&carrier_mask)))
			carrier_take_mask(c);
		if (!h->budget || h->look || load_relaxed(&h->hurry))
			poll_hub(h, false);
		h->look = false;
		store_relaxed(&h->hurry, false);
		if (!h->budget) {
			h->budget = HUB_BUDGET;
			hub_promote_hog(h);	/* those who never leave the queue empty must not starve the others */
		}
		if (!h->queue)
			hub_collect(h);
		if (!h->queue)
			hub_promote_hog(h);
		struct task *t = hub_dequeue(h);

		if (!t) {
			poll_hub(h, true);
			continue;
		}
		cputime_enter(c);
		enter(c, h, t);
		arch_switch(&c->sp, t->sp, fs_for(t));
	}
}

/* They retire as the carriers of bound tasks do. */
void sched_dismiss(const struct carrier *me)
{
	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c)) {
		if (c == me || !load_acquire(&c->tid_word))
			continue;
		store_seq(&c->bound, true);
		if (load_acquire(&c->hub))
			hub_interrupt(c->hub);
		carrier_wake(c);
	}
	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c))
		for (unsigned n = 0; c != me && load_acquire(&c->tid_word); n++)
			lock_pause(n);
}

/* The carrier runs its task on, without a hub. */
static void hand_hub_to(struct carrier *spare, struct carrier *c)
{
	struct hub *h = c->hub;

	lock_take(&c->lock);	/* the monitor may have its eye on the hub */
	store_release(&c->hub, NULL);
	store_release(&h->carrier, spare);
	lock_drop(&c->lock);
	carrier_give(spare, h);
}

/* The kernel thread that the process began with stays until the process ends, with everything that was changed in it. So only the
 * task that the process began with is bound to it; any other task moves to another carrier first. */
static bool must_move(const struct task *t)
{
	int first = (int)sys_getpid();

	return t->carrier->tid == first && t->tid != (uint32_t)first;
}

int sched_bind(struct task *t)
{
	struct carrier *spare;

	if (t->bound)
		return 0;
	while ((spare = carrier_spare_take(sched_loop)) && must_move(t)) {
		hand_hub_to(spare, t->carrier);
		sched_reattach(t);
	}
	if (!spare)
		return -ENOMEM;
	lock_take(&task_lock);
	t->bound = true;
	lock_drop(&task_lock);
	carrier_bind(t->carrier);
	hand_hub_to(spare, t->carrier);
	stat_shared(tasks_bound, 1);
	return 0;
}

static void run_bound(void *arg)
{
	struct carrier *c = arg;
	struct task *t = c->current;

	carrier_adopt(c);
	carrier_bind(c);
	follow(c);
	arch_switch(&c->sp, t->sp, fs_for(t));
	settle(c);
	carrier_retire(c);
}

int sched_start_bound(const struct carrier *maker, struct task *t)
{
	struct carrier *c = carrier_fresh();

	if (!c)
		return -EAGAIN;
	c->bound = true;
	c->current = t;
	t->bound = true;
	t->carrier = c;
	t->on_cpu = 1;
	t->park = PARK_RUNNING;
	int r = carrier_start(c, run_bound, maker);

	if (r < 0) {
		c->current = NULL;
		carrier_put(c);
		return -EAGAIN;
	}
	stat_shared(tasks_bound, 1);
	return 0;
}

static void start_hub(struct hub *h, struct carrier *c)
{
	store_release(&h->carrier, c);
	stat_page->hubs = h->index + 1;
	store_release(&hubs_running, h->index + 1);
}

/* The calling kernel thread, as task `t', is carrier `c' and holds the first hub. */
static void start_first(struct task *t, struct carrier *c)
{
	c->hub = &hubs[0];
	c->current = t;
	sched_save_registers(c, t);
	c->sp = arch_prepare(carrier_stack_top(c), sched_loop, c);
	t->carrier = c;
	t->hub = &hubs[0];
	t->on_cpu = 1;
	stat_carrier_set((uint32_t)c->tid, CARRIER_HUB);
	start_hub(&hubs[0], c);
}

int sched_start(struct task *t, unsigned wanted)
{
	struct carrier *c = carrier_new();
	int r = c ? hub_init(0) : -ENOMEM;

	if (r < 0) {
		if (c)
			carrier_put(c);
		return r;
	}
	hubs_wanted = wanted < HUB_MOST ? wanted : HUB_MOST;
	carrier_adopt(c);
	start_first(t, c);
	cputime_start(c, t);
	return 0;
}

void sched_grow(struct task *t)
{
	if (likely(load_relaxed(&hubs_running) >= hubs_wanted) || !lock_try(&grow_lock))
		return;
	uint32_t i = hubs_running;

	if (i < hubs_wanted) {
		struct carrier *c = hub_init(i) < 0 ? NULL : carrier_new();

		if (c) {
			c->hub = &hubs[i];
			store_release(&hubs[i].carrier, c);
		}
		if (!c || carrier_start(c, sched_loop, NULL) < 0) {
			LOG(WARN, "weft: no kernel thread for hub %u: %u must do\n", i, i);
			hub_close(&hubs[i]);
			hubs_wanted = i;
		} else {
			start_hub(&hubs[i], c);
		}
	}
	lock_drop(&grow_lock);
}

void sched_child(struct task *t)
{
	carrier_child(t->carrier);
	own_forget();
	hub_init(0);
	t->timer = HEAP_NONE;
	t->cpu_ns = 0;
	t->bound = false;
	start_first(t, t->carrier);
}
