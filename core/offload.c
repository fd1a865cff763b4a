/* offload.c -- kernel threads that block in a task's place */
#include "offload.h"
#include "carrier.h"
#include "mem.h"
#include "pages.h"
#include "sched.h"
#include "sys.h"

#define WORKERS	   256
#define STACK	   16384ul
#define IDLE_NS	   100000000ll

struct job {
	struct job *next;
	struct task *task;
	long nr, arg[6], result;
	bool watch;
	struct job *other;	/* among the watches; under lock, as is */
	struct watcher *watchers;
};

/* A task that waits for a watch to be done, on its stack. */
struct watcher {
	struct task *task;
	struct watcher *next;
	struct job *job;	/* NULL: it is done */
	long result;
};

static struct worker {
	int tid_word;		/* nonzero while the kernel thread lives */
	bool used;		/* under lock */
	uint32_t generation;	/* atomic, as a carrier's */
	uint32_t busy;		/* atomic: it has a job, for which it has looked or is about to look at the changes */
	char *stack;
} workers[WORKERS] ANEW;
static struct lock lock ANEW;	/* of all that follows */
static struct job *first ANEW, *last ANEW;
static uint32_t queued ANEW;		/* jobs nobody has taken */
static uint32_t idle ANEW;		/* workers that stand in the futex below */
static uint32_t posted ANEW;		/* futex: bumped for each job */
static struct job *watches ANEW;	/* that are not done */

static struct job *job_take(void)
{
	struct job *j = first;

	if (j) {
		first = j->next;
		queued--;
	}
	return j;
}

/* Wait for a job; NULL when none came for a while. */
static struct job *job_wait(struct worker *w)
{
	struct __kernel_timespec ts = {0, IDLE_NS};
	long r = 0;

	for (;;) {
		lock_take(&lock);
		struct job *j = job_take();
		uint32_t seen = load_relaxed(&posted);

		if (!j && r == -ETIMEDOUT)
			w->used = false;
		else if (!j)
			idle++;
		lock_drop(&lock);
		if (j || r == -ETIMEDOUT)
			return j;
		carrier_follow(&w->generation, false);
		r = sys_futex(&posted, FUTEX_WAIT_PRIVATE, seen, &ts, NULL, 0);
		lock_take(&lock);
		idle--;
		lock_drop(&lock);
	}
}

static void watch_remove(struct job *j)
{
	struct job **at = &watches;

	while (*at != j)
		at = &(*at)->other;
	*at = j->other;
}

/* The lock is kept while tasks are woken: a task leaves under the lock, so no wake comes late. */
static void watch_done(struct job *j)
{
	struct watcher *w, *next;

	lock_take(&lock);
	watch_remove(j);
	for (w = j->watchers; w; w = next) {
		next = w->next;
		w->job = NULL;
		w->result = j->result;
		ready_wake(NULL, w->task, WAKE_EVENT);
	}
	lock_drop(&lock);
	mem_put(j, sizeof *j);
}

static void work(void *arg)
{
	struct worker *w = arg;
	uint32_t tid = (uint32_t)sys_gettid();
	struct job *j;

	stat_carrier_set(tid, CARRIER_OFFLOAD);
	while ((j = job_wait(w))) {
		store_seq(&w->busy, 1);
		carrier_follow(&w->generation, false);
		j->result = arch_syscall(j->nr, j->arg[0], j->arg[1], j->arg[2], j->arg[3], j->arg[4], j->arg[5]);
		if (j->watch)
			watch_done(j);
		else
			ready_wake(NULL, j->task, WAKE_EVENT);
		store_seq(&w->busy, 0);
		carrier_follow(&w->generation, false);
	}
	stat_carrier_set(tid, CARRIER_NONE);
	for (;;)
		SYS(__NR_exit, 0);
}

/* A row may be used again when its kernel thread has left its stack: the kernel clears tid_word then. */
static int worker_start(void)
{
	uint64_t all = CARRIER_BLOCKS, mask;
	long r = -EAGAIN;

	for (struct worker *w = workers; w < workers + WORKERS && r < 0; w++) {
		if (w->used || load_acquire(&w->tid_word))
			continue;
		if (!w->stack && !(w->stack = pages_get(PAGES_ANEW, STACK, PAGE)))
			return -ENOMEM;
		store_seq(&carrier_others, 1);
		w->generation = 0;
		sys_sigmask(SIG_SETMASK, &all, &mask);
		r = arch_clone(CARRIER_THREAD_FLAGS, w->stack + STACK, work, w, &w->tid_word);
		sys_sigmask(SIG_SETMASK, &mask, NULL);
		if (r < 0)
			return (int)r;
		w->used = true;
	}
	return r < 0 ? (int)r : 0;
}

bool offload_ask(uint32_t change, bool poke)
{
	bool all = true;

	for (struct worker *w = workers; w < workers + WORKERS; w++)
		all &= !load_seq(&w->tid_word) || load_seq(&w->busy) || load_acquire(&w->generation) == change;
	if (!all && poke) {
		add_relaxed(&posted, 1);
		sys_futex(&posted, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	}
	return all;
}

static int job_post(struct job *j)
{
	int r = 0;
	bool wake;

	lock_take(&lock);
	wake = idle > queued;
	if (!wake)		/* jobs may wait for one another: each finds a worker of its own */
		r = worker_start();
	if (r == 0) {
		if (first)
			last->next = j;
		else
			first = j;
		last = j;
		queued++;
		add_relaxed(&posted, 1);
	}
	lock_drop(&lock);
	if (wake)
		sys_futex(&posted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return r;
}

/* A bound task has a kernel thread that may block, and rights that no worker has. A signal for another task does not end it. */
static long call_bound(struct task *t, const struct job *j)
{
	long r;

	sched_native_begin(t);
	do
		r = arch_syscall(j->nr, j->arg[0], j->arg[1], j->arg[2], j->arg[3], j->arg[4], j->arg[5]);
	while (r == -EINTR && !load_relaxed(&t->attention));
	sched_native_end(t);
	return r == -EINTR ? -ERESTARTSYS : r;
}

long offload_call(struct task *t, long nr, long a, long b, long c, long d, long e, long f)
{
	struct job j = {.task = t, .nr = nr, .arg = {a, b, c, d, e, f}};

	if (t->bound)
		return call_bound(t, &j);
	sched_arm_held(t, PARK_OFFLOAD);
	if (job_post(&j) < 0) {
		sched_disarm(t);
		sched_native_begin(t);
		j.result = arch_syscall(nr, a, b, c, d, e, f);
		sched_native_end(t);
		return j.result;
	}
	STAT_ADD(sched_hub(t), offloads, 1);
	sched_park(t, FOREVER);
	return j.result;
}

static void watch_add(struct job *j, struct watcher *w)
{
	w->job = j;
	w->next = j->watchers;
	j->watchers = w;
}

/* Wait for a watch of the same call, if there is one. */
static bool watch_join(struct watcher *w, const struct job *like)
{
	struct job *j;

	lock_take(&lock);
	for (j = watches; j; j = j->other)
		if (j->nr == like->nr && !memcmp(j->arg, like->arg, sizeof j->arg)) {
			watch_add(j, w);
			break;
		}
	lock_drop(&lock);
	return j;
}

static bool watch_begin(struct watcher *w, const struct job *like)
{
	struct job *j = mem_get_anew(sizeof *j);

	if (!j)
		return false;
	*j = *like;
	lock_take(&lock);
	watch_add(j, w);
	j->other = watches;
	watches = j;
	lock_drop(&lock);
	if (job_post(j) == 0)
		return true;
	j->result = -ENOMEM;
	watch_done(j);		/* another task may have joined it meanwhile */
	return false;
}

static void watch_leave(struct watcher *w)
{
	lock_take(&lock);
	if (w->job) {
		struct watcher **at = &w->job->watchers;

		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
	}
	lock_drop(&lock);
}

long offload_watch(struct task *t, enum park_reason why, long nr, long a, long b, long c, long d, long e)
{
	struct job like = {.watch = true, .nr = nr, .arg = {a, b, c, d, e}};
	struct watcher w = {.task = t, .result = -ERESTARTSYS};

	if (t->bound)
		return call_bound(t, &like);
	sched_arm(t, why);
	if (!watch_join(&w, &like) && !watch_begin(&w, &like)) {
		sched_disarm(t);
		return -ENOMEM;
	}
	STAT_ADD(sched_hub(t), offloads, 1);
	sched_park(t, FOREVER);
	watch_leave(&w);
	return w.result;
}
