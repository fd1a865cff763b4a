/* cputime.c -- how much CPU time each task has had */
#include <linux/membarrier.h>
#include "cputime.h"
#include "clock.h"
#include "pages.h"

uint32_t cputime_exact ANEW;
static struct lock ask_lock ANEW;
static bool asked ANEW;		/* under ask_lock; atomic for those who find it set */

/* Between the two, what a question reads of the carrier and of the task that leaves it does not fit together. */
static int64_t stamp_begin(struct carrier *c)
{
	store_seq(&c->stamps, c->stamps + 1);
	return clock_own_ns();
}

static void stamp_end(struct carrier *c, int64_t now)
{
	store_relaxed(&c->stamped_ns, now);
	store_release(&c->stamps, c->stamps + 1);
}

void cputime_charge(struct carrier *c, struct task *t)
{
	int64_t now = stamp_begin(c);

	store_relaxed(&t->cpu_ns, t->cpu_ns + now - c->stamped_ns);
	store_relaxed(&c->sample, 0);
	stamp_end(c, now);
}

void cputime_skip(struct carrier *c)
{
	stamp_end(c, stamp_begin(c));
}

void cputime_start(struct carrier *c, struct task *t)
{
	c->stamped_ns = 0;
	cputime_charge(c, t);
}

void cputime_ask(void)
{
	if (likely(load_acquire(&asked)))
		return;
	lock_take(&ask_lock);
	if (!asked) {
		store_seq(&cputime_exact, 1);
		SYS(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
		SYS(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
		store_release(&asked, true);
	}
	lock_drop(&ask_lock);
}

int64_t cputime_own(const struct task *t, int64_t now)
{
	return t->cpu_ns + now - t->carrier->stamped_ns;
}

/* What the task had when it left its last carrier, and what it has used of this one since. The carrier's memory stays, whoever
 * it is by now. */
int64_t cputime_of(const struct task *t)
{
	struct carrier *c = load_acquire(&t->carrier);

	if (!load_acquire(&t->on_cpu))
		return load_relaxed(&t->cpu_ns);
	if (!c || load_acquire(&c->current) != t)
		return -EAGAIN;
	uint32_t seen = load_acquire(&c->stamps);
	int64_t had = load_relaxed(&t->cpu_ns), since = load_relaxed(&c->stamped_ns), now = clock_thread_ns(c->tid);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (seen & 1 || load_relaxed(&c->stamps) != seen || load_relaxed(&c->current) != t)
		return -EAGAIN;
	return had + (now > since ? now - since : 0);
}
