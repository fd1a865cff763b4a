/* thread.c -- what the kernel does for threads, done for tasks
 *
 * clone with the flags of pthread_create makes a task that goes on behind the `syscall' with rax = 0, on the stack and thread
 * pointer that libc has built. Other threads (raw clone with other flags) stay kernel threads: foreign ones.
 *
 * The end of a task runs on the stack of the carrier's loop: robust list, clear-child-tid, wake. The store of that zero is the
 * last access to the dying stack and thread control block: libc gives both away as soon as it sees it.
 */
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include "thread/thread.h"
#include "signal/action.h"
#include "gate/bound.h"
#include "conf.h"
#include "gate/confine.h"
#include "futex.h"
#include "signal/catch.h"
#include "mem.h"
#include "monitor.h"
#include "process/process.h"
#include "process/shared.h"
#include "signal/signal.h"
#include "stack.h"
#include "gate/user.h"

#define FILTER_TRIES 10000	/* at least some milliseconds */
#define PTHREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS | \
		       CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define ROBUST_MOST   2048
#define BLOCKED_AT_END (signal_bit(SIGKILL) | signal_bit(SIGSTOP) | 3ull << 31)	/* may be let through: libc's own, and what cannot be blocked */

struct birth {
	uint64_t flags;
	uintptr_t stack_lo, stack_top, tls;
	int *parent_tid, *child_tid;
};

static long start_bound(struct task *parent, struct task *t)
{
	long tid = t->tid;
	int r = sched_start_bound(parent->carrier, t);	/* from here on it may have ended */

	if (r < 0) {
		signal_task_ended(t);
		task_free(t);
		return r;
	}
	STAT_ADD(sched_hub(parent), tasks_created, 1);
	return tid;
}

static long make_task(struct task *parent, struct arch_frame *f, const struct birth *b)
{
	struct task *t = NULL;

	if (user_copy(parent, (char *)b->tls + ARCH_TCB_TASK, &t, sizeof t) < 0)
		return GATE_NATIVE;	/* no thread control block of libc's: the kernel's affair */
	t = task_new(0);
	if (!t)
		return -EAGAIN;
	t->fs = b->tls;
	t->stack_lo = b->stack_lo;
	t->stack_size = b->stack_top - b->stack_lo;
	t->clear_tid = b->child_tid;
	t->hub = sched_helper(parent);
	t->policy = parent->policy;
	t->apart = parent->apart;
	memcpy(t->name, parent->name, sizeof t->name);
	sched_save_registers(parent->carrier, parent);
	t->gs = parent->gs;
	t->pkru = parent->pkru;
	signal_task_started(t, parent);
	if (parent->affinity && (t->affinity = mem_get(task_affinity_size)))
		memcpy(t->affinity, parent->affinity, task_affinity_size);
	arch_tcb_set_task(b->tls, t);
	if (load_relaxed(arch_tcb_stack(b->tls)))
		stack_resume(arch_tcb_stack(b->tls));
	user_copy(parent, b->parent_tid, &t->tid, sizeof t->tid);
	t->sp = arch_prepare_clone((void *)b->stack_top, f);
	stat_settle();
	long tid = t->tid;

	if (parent->bound)
		return start_bound(parent, t);
	STAT_ADD(t->hub, tasks_created, 1);
	monitor_start();
	sched_grow(parent);
	ready_put(sched_hub(parent), t);
	return tid;
}

static long clone_any(struct task *t, struct arch_frame *f, const struct birth *b)
{
	uint64_t flags = b->flags & ~0xffull & ~(uint64_t)CLONE_DETACHED;

	if (flags == PTHREAD_FLAGS && b->stack_top)
		return make_task(t, f, b);
	if (flags & CLONE_THREAD)
		return GATE_NATIVE;
	if (flags & CLONE_VM) {
		t->sharers |= !(flags & CLONE_VFORK);
		return process_vfork(t, f);
	}
	return b->stack_top ? GATE_NATIVE : process_fork(t, f);
}

long thread_clone(struct task *t, struct arch_frame *f)
{
	struct birth b = {
		.flags = ARG1(f), .stack_lo = ARG2(f) - 65536, .stack_top = ARG2(f), .parent_tid = (int *)ARG3(f),
		.child_tid = (int *)ARG4(f), .tls = ARG5(f),
	};

	return clone_any(t, f, &b);
}

long thread_clone3(struct task *t, struct arch_frame *f)
{
	struct clone_args a;

	if (ARG2(f) < CLONE_ARGS_SIZE_VER0 || user_copy(t, &a, (void *)ARG1(f), CLONE_ARGS_SIZE_VER0) < 0)
		return GATE_NATIVE;
	struct birth b = {
		.flags = a.flags, .stack_lo = a.stack, .stack_top = a.stack + a.stack_size,
		.parent_tid = (int *)a.parent_tid, .child_tid = (int *)a.child_tid, .tls = a.tls,
	};

	return clone_any(t, f, &b);
}

/* What the kernel does to the robust mutexes that a thread held at its end. */
static void robust_death(struct hub *h, struct task *t, uint32_t *word, bool pi)
{
	uint32_t was, found;

	while ((uintptr_t)word % sizeof *word == 0 && user_load(NULL, word, &was) == 0) {
		if ((was & FUTEX_TID_MASK) != t->tid)
			return;
		found = was;
		if (user_cas(NULL, word, &found, (was & FUTEX_WAITERS) | FUTEX_OWNER_DIED) < 0)
			return;
		if (found != was)
			continue;
		if (was & FUTEX_WAITERS) {
			futex_wake(h, word, 1, ~0u);
			sys_futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);	/* a shared one may have waiters in the kernel */
		}
		return;
	}
}

/* It may hold anything: as in the kernel, what cannot be read ends it. */
static void walk_robust_list(struct hub *h, struct task *t)
{
	struct robust_list_head head;

	if (!t->robust || user_copy(NULL, &head, t->robust, sizeof head) < 0)
		return;
	uintptr_t pending = (uintptr_t)head.list_op_pending, entry = (uintptr_t)head.list.next, next;

	for (int i = 0; i < ROBUST_MOST && (entry & ~1ul) != (uintptr_t)t->robust; i++) {
		if (user_copy(NULL, &next, (void *)(entry & ~1ul), sizeof next) < 0)
			break;
		if (entry != pending)
			robust_death(h, t, (uint32_t *)((entry & ~1ul) + (uintptr_t)head.futex_offset), entry & 1);
		entry = next;
	}
	if (pending)
		robust_death(h, t, (uint32_t *)((pending & ~1ul) + (uintptr_t)head.futex_offset), pending & 1);
}

static void on_exit_task(struct hub *h, struct task *t)
{
	int *clear = t->clear_tid;

	walk_robust_list(h, t);
	signal_task_ended(t);
	if (t->preempt)
		sys_munmap(t->preempt, 16384);
	STAT_ADD(h, tasks_ended, 1);
	if (clear && user_copy(NULL, clear, &(int){0}, sizeof *clear) == 0) {
		futex_wake(h, (uint32_t *)clear, 1, ~0u);
		/* Only the address is asked for from here on: what lies there may be anything by now. */
		if (unlikely(load_seq(&shared_guessed)) || (unlikely(shared_any()) && !stack_owns(clear)))
			sys_futex(clear, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	task_free(t);	/* last: while it is in the table a joiner knows the word for a join */
}

long thread_exit(struct task *t, struct arch_frame *f)
{
	if (task_leave(t))
		SYS(__NR_exit_group, ARG1(f));
	sched_exit(t);
}

/* Has the program keys already? A new one would be the first; the kernel gives it rights, which are taken away again. */
static void find_keys(struct task *t)
{
	if (!arch_has_pkru())
		return;
	uint32_t rights = arch_pkru();

	t->pkru = rights;
	if (confine_filtered()) {	/* it may not be asked; then there may be keys */
		arch_uses_pkru = 1;
		return;
	}
	long key = SYS(__NR_pkey_alloc, 0, 0);

	if (key >= 0) {
		SYS(__NR_pkey_free, key);
		arch_set_pkru(rights);
	}
	arch_uses_pkru = key != 1;
}

void thread_init(struct task *t)
{
	sched_on_exit = on_exit_task;
	SYS(__NR_prctl, PR_GET_NAME, t->name);
	SYS(__NR_prctl, PR_GET_TID_ADDRESS, &t->clear_tid);
	find_keys(t);
}

long thread_gettid(struct task *t, struct arch_frame *f)
{
	return t->tid;
}

long thread_set_tid_address(struct task *t, struct arch_frame *f)
{
	t->clear_tid = (int *)ARG1(f);
	return t->tid;
}

long thread_set_robust_list(struct task *t, struct arch_frame *f)
{
	if (ARG2(f) != sizeof(struct robust_list_head))
		return -EINVAL;
	t->robust = (void *)ARG1(f);
	if (t->tid == (uint32_t)process_id && t->carrier->tid == (int)t->tid)	/* it dies with the process: the kernel walks it */
		return SYS(__NR_set_robust_list, ARG1(f), ARG2(f));
	return 0;
}

long thread_get_robust_list(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) != 0 && ARG1(f) != t->tid)
		return GATE_NATIVE;
	size_t size = sizeof(struct robust_list_head);

	if (user_copy(t, (void *)ARG3(f), &size, sizeof size) < 0)
		return -EFAULT;
	return user_copy(t, (void *)ARG2(f), &t->robust, sizeof t->robust);
}

/* A sequence that restarts belongs to a kernel thread; tasks move between these. libc and others go on without it. */
long thread_rseq(struct task *t, struct arch_frame *f)
{
	return -ENOSYS;
}

long thread_sched_yield(struct task *t, struct arch_frame *f)
{
	sched_yield_task(t);
	return 0;
}

static bool is_task(struct task *t, uint64_t tid)
{
	if ((int)tid < 0)
		return false;
	if (tid == 0 || tid == t->tid)
		return true;
	lock_take(&task_lock);
	bool found = task_by_tid((uint32_t)tid) != NULL;

	lock_drop(&task_lock);
	return found;
}

long thread_priority(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) == 0 /* PRIO_PROCESS */ && (!ARG2(f) || ARG2(f) == t->tid) && f->nr == __NR_setpriority)
		return bound_nice(t, f);
	if (ARG1(f) != 0 || (uint32_t)ARG2(f) < TASK_TID_FIRST)
		return GATE_NATIVE;
	return is_task(t, ARG2(f)) ? arch_syscall((long)f->nr, 0, 0, (long)ARG3(f), 0, 0, 0) : -ESRCH;
}

/* Policies without priorities mean nothing to a hub: each task has its own. The others are the carrier's, asked of the kernel. */
static long virtual_policy(struct task *who, struct arch_frame *f, int priority)
{
	if (who->policy == TASK_REAL_POLICY)
		return GATE_NATIVE;
	if (f->nr == __NR_sched_getscheduler && who->policy)
		return who->policy;
	if (f->nr != __NR_sched_setscheduler || priority != 0)
		return GATE_NATIVE;
	if (ARG2(f) != SCHED_NORMAL && ARG2(f) != SCHED_BATCH && ARG2(f) != SCHED_IDLE)
		return GATE_NATIVE;
	who->policy = (uint8_t)ARG2(f);
	return 0;
}

/* Scheduling calls that name a thread: the kernel is asked about the carrier. */
long thread_sched_tid(struct task *t, struct arch_frame *f)
{
	if ((int)ARG1(f) < 0)
		return GATE_NATIVE;
	if (!is_task(t, ARG1(f)))
		return (int)ARG1(f) >= (int)TASK_TID_FIRST ? -ESRCH : GATE_NATIVE;
	int priority = -1;

	if (f->nr == __NR_sched_setscheduler && user_copy(t, &priority, (void *)ARG3(f), sizeof priority) < 0)
		priority = -1;
	lock_take(&task_lock);
	struct task *who = ARG1(f) ? task_by_tid((uint32_t)ARG1(f)) : t;
	long r = who ? virtual_policy(who, f, priority) : -ESRCH;

	lock_drop(&task_lock);
	if (r != GATE_NATIVE)
		return r;
	r = gate_once(t, (long)f->nr, 0, (long)ARG2(f), (long)ARG3(f), (long)ARG4(f), 0, 0);
	if (r == 0 && who == t && f->nr == __NR_sched_setattr)
		t->policy = TASK_REAL_POLICY;
	if (r == 0 && who == t && f->nr == __NR_sched_setscheduler)
		t->policy = ARG2(f) == SCHED_NORMAL ? SCHED_NORMAL : TASK_REAL_POLICY;
	return r;
}

struct cpus {
	uint64_t word[TASK_CPUS / 8];
};

static struct cpus cpus_of_carrier(void)
{
	struct cpus set = {{0}};

	SYS(__NR_sched_getaffinity, 0, sizeof set, &set);
	return set;
}

/* What does the kernel make of the set? It is asked by doing it for a moment: it alone knows the process's cpuset. */
static long try_affinity(const struct cpus *was, struct cpus *set)
{
	long r = SYS(__NR_sched_setaffinity, 0, sizeof *set, set);

	if (r == 0) {
		*set = cpus_of_carrier();
		SYS(__NR_sched_setaffinity, 0, sizeof *was, was);
	}
	return r;
}

/* Under task_lock. */
static bool keep_affinity(struct task *t, const struct cpus *set)
{
	if (!t->affinity)
		t->affinity = mem_get(task_affinity_size);
	if (t->affinity)
		memcpy(t->affinity, set, task_affinity_size);
	return t->affinity;
}

static bool keep_if_none(struct task *t, void *set)
{
	if (!t->affinity)
		keep_affinity(t, set);
	return false;
}

/* A task may use CPUs that our kernel threads may not: their set grows, and there may be more hubs. Whose set was the carriers' keeps
 * it. Under task_lock. */
static void widen_carriers(struct cpus *was, const struct cpus *more)
{
	struct cpus all;
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all.word); i++) {
		all.word[i] = was->word[i] | more->word[i];
		count += (unsigned)__builtin_popcountll(all.word[i]);
	}
	if (!memcmp(&all, was, sizeof all))
		return;
	task_each(keep_if_none, was);
	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c))
		if (load_acquire(&c->tid_word))
			SYS(__NR_sched_setaffinity, c->tid, sizeof all, &all);
	for (uint32_t i = 0; i < load_acquire(&stat_page->rows); i++)
		if (stat_page->carriers[i].tid)
			SYS(__NR_sched_setaffinity, stat_page->carriers[i].tid, sizeof all, &all);
	if (!conf.hubs && hubs_wanted < count)
		hubs_wanted = count < HUB_MOST ? count : HUB_MOST;
}

/* Of the only task: what was kept for it holds no longer. */
static long real_affinity(struct task *t, struct arch_frame *f)
{
	long r = gate_once(t, __NR_sched_setaffinity, 0, (long)ARG2(f), (long)ARG3(f), 0, 0, 0);

	if (r == 0 && t->affinity) {
		lock_take(&task_lock);
		mem_put(t->affinity, task_affinity_size);
		t->affinity = NULL;
		lock_drop(&task_lock);
	}
	return r;
}

/* A task's affinity is kept and reported; carriers may use what any task may. It is real for the only task. */
long thread_sched_setaffinity(struct task *t, struct arch_frame *f)
{
	struct cpus was = cpus_of_carrier(), set = {{0}};

	if (!is_task(t, ARG1(f)))
		return (int)ARG1(f) >= (int)TASK_TID_FIRST ? -ESRCH : GATE_NATIVE;
	if (load_relaxed(&task_count) == 1)
		return real_affinity(t, f);
	if (user_copy(t, &set, (void *)ARG3(f), (unsigned)ARG2(f) < sizeof set ? (unsigned)ARG2(f) : sizeof set) < 0)
		return -EFAULT;
	long r = try_affinity(&was, &set);

	if (r < 0)
		return r;
	lock_take(&task_lock);
	struct task *who = ARG1(f) ? task_by_tid((uint32_t)ARG1(f)) : t;

	widen_carriers(&was, &set);
	r = !who ? -ESRCH : keep_affinity(who, &set) ? 0 : -ENOMEM;
	lock_drop(&task_lock);
	return r;
}

/* Of what the kernel has written the task's own part stays. */
static long affinity_out(struct task *t, uint64_t *user, const uint64_t *own, long n)
{
	uint64_t word;

	for (long i = 0; i < n / 8 && i < task_affinity_size / 8; i++) {
		if (user_copy(t, &word, user + i, sizeof word) < 0)
			return -EFAULT;
		word &= own[i];
		if (user_copy(t, user + i, &word, sizeof word) < 0)
			return -EFAULT;
	}
	return n;
}

long thread_sched_getaffinity(struct task *t, struct arch_frame *f)
{
	uint64_t have[TASK_CPUS / 8];
	struct task *who = t;
	long r;

	if (!is_task(t, ARG1(f)))
		return (int)ARG1(f) >= (int)TASK_TID_FIRST ? -ESRCH : GATE_NATIVE;
	r = gate_once(t, __NR_sched_getaffinity, 0, (long)ARG2(f), (long)ARG3(f), 0, 0, 0);
	lock_take(&task_lock);
	if (ARG1(f))
		who = task_by_tid((uint32_t)ARG1(f));
	bool set = r > 0 && who && who->affinity;

	for (long i = 0; set && i < r / 8 && i < task_affinity_size / 8; i++)
		have[i] = who->affinity[i];
	lock_drop(&task_lock);
	return set ? affinity_out(t, (uint64_t *)ARG3(f), have, r) : r;
}

/* A filter of system calls knows nothing of ours. With one task, everything is left to the kernel from here on. Programs ask with
 * a filter at NULL what the kernel can do: that sets none. */
static bool step_aside(struct task *t, uint64_t mode, uint64_t filter)
{
	uint64_t word;

	if (load_relaxed(&task_count) > 1 || (mode == SECCOMP_MODE_FILTER && user_copy(t, &word, (void *)filter, sizeof word) < 0))
		return false;
	signal_give_back(t);
	sched_dismiss(t->carrier);
	monitor_stop();
	gate_calls = 0;
	stat_why("the program has set a filter of system calls");
	return true;
}

/* A thread that was joined has ended as far as the kernel is concerned; the carrier of a bound task ends a little after its task,
 * and its filter stands in the way of one for all threads until then. */
static bool is_ending(long tid)
{
	for (struct carrier *c = carrier_each(NULL); c; c = carrier_each(c))
		if (c->tid == (int)tid)
			return !load_acquire(&c->current);
	return true;
}

/* The kernel returns the id of a thread that stands in the way. */
static long filter_all(struct task *t, struct arch_frame *f)
{
	long r;

	for (unsigned n = 0; (r = gate_same(t, f)) > 0 && n < FILTER_TRIES && is_ending(r); n++)
		SYS(__NR_sched_yield);
	return r;
}

long thread_seccomp(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) != SECCOMP_SET_MODE_STRICT && ARG1(f) != SECCOMP_SET_MODE_FILTER)
		return GATE_NATIVE;
	if (step_aside(t, ARG1(f) == SECCOMP_SET_MODE_FILTER ? SECCOMP_MODE_FILTER : SECCOMP_MODE_STRICT, ARG3(f)))
		return GATE_NATIVE;
	if (ARG1(f) == SECCOMP_SET_MODE_FILTER && ARG2(f) & SECCOMP_FILTER_FLAG_TSYNC)
		return filter_all(t, f);
	return bound_apart(t);
}

long thread_prctl(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) == PR_SET_SECCOMP)
		return step_aside(t, ARG2(f), ARG3(f)) ? GATE_NATIVE : bound_apart(t);
	if (bound_prctl(f))
		return bound_make(t);
	if (ARG1(f) == PR_GET_NAME)
		return user_copy(t, (void *)ARG2(f), t->name, sizeof t->name);
	if (ARG1(f) == PR_GET_TID_ADDRESS)
		return user_copy(t, (void *)ARG2(f), &t->clear_tid, sizeof t->clear_tid);
	if (ARG1(f) != PR_SET_NAME)
		return GATE_NATIVE;
	char name[sizeof t->name] = {0};

	if (user_text(t, name, (const char *)ARG2(f), sizeof name) < 0)
		return -EFAULT;
	memcpy(t->name, name, sizeof name);
	if (t->tid == (uint32_t)process_id)
		return GATE_NATIVE;	/* the process's name, as others see it */
	return 0;
}

/* From the first key on each switch saves and loads the rights. Until then all have those that they began with. */
long thread_pkey_alloc(struct task *t, struct arch_frame *f)
{
	long r = SYS(__NR_pkey_alloc, ARG1(f), ARG2(f));

	if (r >= 0)
		store_relaxed(&arch_uses_pkru, 1);
	return r;
}

long thread_mmap(struct task *t, struct arch_frame *f)
{
	if (unlikely((ARG4(f) & MAP_TYPE) != MAP_PRIVATE)) {
		if (!shared_room())
			return -ENOMEM;
		long at = gate_same(t, f);

		if (at > 0 || at < -4095)
			shared_add((uintptr_t)at, ARG2(f));
		return at;
	}
	if (unlikely(ARG4(f) & MAP_FIXED))
		return shared_mmap_over(f);
	if (likely(!t->in_create) || !(ARG4(f) & MAP_STACK) || ARG1(f))
		return GATE_NATIVE;
	void *p = stack_get(ARG2(f));

	if (p && ARG3(f) != PROT_NONE)		/* libc opens what is above a guard later: there is to be none */
		stack_guard(p, 0);
	return p ? (long)p : GATE_NATIVE;
}

long thread_munmap(struct task *t, struct arch_frame *f)
{
	if (!stack_owns((void *)ARG1(f)))
		return shared_munmap(ARG1(f), ARG2(f));
	if (!stack_put((void *)ARG1(f), page_up(ARG2(f))))
		sys_madvise((void *)ARG1(f), page_up(ARG2(f)), MADV_DONTNEED);
	return 0;
}

/* libc opens the stack above its guard; slots are open from the start, but for one page. */
long thread_mprotect(struct task *t, struct arch_frame *f)
{
	if (likely(!t->in_create) || !stack_owns((void *)ARG1(f)))
		return GATE_NATIVE;
	return ARG3(f) == PROT_NONE ? stack_guard((void *)ARG1(f), ARG2(f)) : stack_open((void *)ARG1(f), ARG2(f));
}

/* A thread that ends has blocked all signals and gives back what lies deep in its stack, from the low end to below where it stands. */
long thread_madvise(struct task *t, struct arch_frame *f)
{
	uintptr_t lo = ARG1(f);
	size_t n = ARG2(f);

	if (ARG3(f) != MADV_DONTNEED || lo != t->stack_lo || n > arch_frame_sp(f) - lo || n % PAGE || ~t->sigmask & ~BLOCKED_AT_END ||
	    !conf.preempt)
		return GATE_NATIVE;
	return stack_rest(arch_tcb_stack(t->fs), (void *)lo, n) ? 0 : GATE_NATIVE;
}
