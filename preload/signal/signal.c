/* signal.c -- signals of the program: who blocks what, who gets which, and the calls about them */
#include "signal/signal.h"
#include "signal/action.h"
#include "signal/catch.h"
#include "pages.h"
#include "signal/frame.h"
#include "signal/threadtimer.h"
#include "gate/user.h"

#define INTERNAL  (3ull << 31)		/* SIGCANCEL and SIGSETXID: only libc itself ever blocks these, for a moment */
#define SETXID	  33
#define MASK_YIELDS 1000		/* looks before the caller sleeps between two */
#define MASK_NAP_NS 50000ll
#define MASK_NAPS   2000

static struct lock lock ANEW;		/* of the counts */
static uint32_t blockers[SIGNALS] ANEW;	/* how many tasks block a signal, libc's moments left out */
static uint32_t tasks ANEW;
static uint64_t process_pending ANEW;	/* atomic */
static bool held ANEW;		/* atomic: all tasks block CARRIER_SIGNAL */
static siginfo_t process_info[SIGNALS + 1] ANEW;
static uint32_t user;		/* atomic: who ran the process when that was asked last, for tasks that may not ask */

static bool has_mask(const struct carrier *c, uint64_t mask)
{
	uint64_t now = load_relaxed(&c->mask);

	return now == mask || now == CARRIER_BLOCKS || !load_acquire(&c->tid_word);
}

/* Make another carrier take on the mask, one that runs a hub or one whose hub was taken, and wait for it: a signal that it still took
 * would not be pending. Its CPU may be busy for some slices; one that is stopped or cannot be interrupted is waited for in vain, so not
 * for ever. Spares, workers and the monitor block all. */
static void spread_mask(struct carrier *c, uint64_t mask)
{
	const struct __kernel_timespec nap = {0, MASK_NAP_NS};
	struct hub *h = load_acquire(&c->hub);
	uint32_t word = 0;		/* nobody wakes it: a nap by a call that we make anyway */

	if (h)
		hub_interrupt(h);
	carrier_signal(c, CARRIER_KICK);
	for (int n = 0; n < MASK_YIELDS + MASK_NAPS && !has_mask(c, mask); n++) {
		if (n < MASK_YIELDS)
			SYS(__NR_sched_yield);
		else
			sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, &nap, NULL, 0);
	}
}

/* The caller sees to this carrier. Others must take it on at once where it blocks more, or a blocked signal would act through them;
 * and where this one may end with its task: somebody must be there for what is let through. */
static void set_real_mask(struct task *t, uint64_t mask)
{
	bool more = mask & ~load_relaxed(&carrier_mask);

	store_seq(&carrier_mask, mask);
	store_relaxed(&t->carrier->mask, mask);
	for (struct carrier *c = more || t->bound ? carrier_each(NULL) : NULL; c; c = carrier_each(c))
		if (c != t->carrier && (load_acquire(&c->hub) || load_relaxed(&c->current) || (c->bound && load_acquire(&c->tid_word))))
			spread_mask(c, mask);
}

/* Under the lock: count the change of one task's mask. */
static void count(struct task *t, uint64_t mask)
{
	uint64_t changed = t->sigcounted ^ mask;

	t->sigcounted = mask;
	for (; changed; changed &= changed - 1) {
		int i = __builtin_ctzll(changed);

		blockers[i] += mask >> i & 1 ? 1u : ~0u;
	}
}

/* What carriers are to block: what all tasks do. The signal that preempts comes through all the same; when it is the program's,
 * catch.c asks whether it is held back. Faults come through as well: they may be those of our own accesses (user.h). */
static uint64_t blocked_by_all(void)
{
	uint64_t all = 0;

	for (int i = 0; i < SIGNALS; i++)
		all |= (uint64_t)(blockers[i] && blockers[i] >= tasks) << i;
	store_relaxed(&held, (all & signal_bit(CARRIER_SIGNAL)) != 0);
	return all & ~(signal_bit(CARRIER_SIGNAL) | signal_bit(SIGSEGV) | signal_bit(SIGBUS));
}

bool signal_held(void)
{
	return load_relaxed(&held);
}

bool signal_mask_moved(struct task *t)
{
	uint64_t mask = t->sigmask;
	bool moved = false;

	if (load_relaxed(&t->sigpending) & ~mask)
		store_relaxed(&t->attention, 1);
	if (load_relaxed(&process_pending) & ~mask)
		store_relaxed(&hub_signals, 1);
	if ((mask & INTERNAL) || mask == t->sigcounted)
		return false;
	lock_take(&lock);
	count(t, mask);
	uint64_t all = blocked_by_all();

	if (all != load_relaxed(&carrier_mask)) {
		set_real_mask(t, all);
		moved = true;
	}
	lock_drop(&lock);
	return moved;
}

/* Until a changed mask is the kernel's, a signal that it blocks may still come: it is noted then, and stays pending. */
void signal_mask_changed(struct task *t)
{
	if (signal_mask_moved(t))
		sys_sigmask(SIG_SETMASK, &t->carrier->mask, NULL);
}

void signal_task_started(struct task *t, const struct task *parent)
{
	t->sigmask = parent->sigmask;
	lock_take(&lock);
	tasks++;
	count(t, parent->sigcounted);
	lock_drop(&lock);
}

void signal_task_ended(struct task *t)
{
	lock_take(&lock);
	tasks--;
	count(t, 0);
	lock_drop(&lock);
	if (t->siginfo) {	/* it was the process's, and this task will not take it any more */
		__atomic_fetch_or(&process_pending, signal_bit((int)(t->siginfo - process_info)), __ATOMIC_SEQ_CST);
		store_seq(&hub_signals, 1);
	}
}

/* Note a signal for one task, and see that it looks. */
static void note(struct hub *me, struct task *t, int sig)
{
	__atomic_fetch_or(&t->sigpending, signal_bit(sig), __ATOMIC_SEQ_CST);
	if (t->sigmask & signal_bit(sig) && !(t->sigwait & signal_bit(sig)))
		return;
	store_seq(&t->attention, 1);
	const struct task *self = me ? me->carrier->current : task_self();

	if (ready_wake(me, t, WAKE_SIGNAL) || !load_relaxed(&t->on_cpu) || t == self)
		return;
	if (self && self->apart && hub_on_busy) {	/* who knows what it may call: the monitor sends the kick */
		__atomic_fetch_or(&t->carrier->owed, CARRIER_OWES_SIGNALS, __ATOMIC_SEQ_CST);
		hub_on_busy();
	} else {
		catch_kick(t);
	}
}

void signal_default(int sig)
{
	struct uapi_sigaction dfl = {0};

	if (action_ours(&dfl, sig))
		sys_sigaction(sig, &dfl, NULL);
	SYS(__NR_tgkill, sys_getpid(), sys_gettid(), sig);
}

void signal_send(struct hub *me, struct task *t, int sig)
{
	struct uapi_sigaction act = action_get(sig);
	bool blocked = t->sigmask & signal_bit(sig);

	if (!blocked && (void *)act.handler == (void *)SIG_IGN)
		return;
	if (!blocked && !action_caught(&act)) {
		signal_default(sig);
		return;
	}
	note(me, t, sig);
}

/* Of several that would have a pending signal one gets it. */
static bool take_pending(uint64_t *pending, int sig)
{
	return __atomic_fetch_and(pending, ~signal_bit(sig), __ATOMIC_SEQ_CST) & signal_bit(sig);
}

static bool lets_through(struct task *t, void *sig)
{
	uint64_t bit = signal_bit((int)(intptr_t)sig);

	return !(t->sigmask & bit) || t->sigwait & bit;
}

/* Give out what somebody lets through. Returns what nobody does: it stays pending until somebody unblocks it. */
static uint64_t hand_out_once(struct hub *me)
{
	uint64_t stays = 0;
	struct task *due;
	int its;

	while ((due = threadtimer_due(&its)))
		signal_send(me, due, its);
	for (uint64_t left = load_seq(&process_pending); left; left &= left - 1) {
		int sig = __builtin_ctzll(left) + 1;
		struct task *t = task_each(lets_through, (void *)(intptr_t)sig);

		if (!t) {
			stays |= signal_bit(sig);
		} else if (take_pending(&process_pending, sig)) {
			t->siginfo = &process_info[sig];
			note(me, t, sig);
		}
	}
	return stays;
}

/* hub_signals stays set until all are given out: who leaves the gate meanwhile comes here, waits for the lock, and then finds
 * what has become its own. */
void signal_hand_out(struct hub *me)
{
	uint64_t stays;

	lock_take(&task_lock);
	do {
		stays = hand_out_once(me);
		store_seq(&hub_signals, 0);
	} while (load_seq(&process_pending) & ~stays || threadtimer_waits());
	lock_drop(&task_lock);
}

void signal_announce(struct carrier *c, void *context)
{
	store_seq(&hub_signals, 1);
	hub_interrupt(c && c->hub ? c->hub : &hubs[0]);	/* it may be on its way to sleep, past its look */
	if (c)
		catch_restart(c, context);
}

void signal_for_process(struct carrier *c, int sig, const siginfo_t *info, void *context)
{
	process_info[sig] = *info;
	__atomic_fetch_or(&process_pending, signal_bit(sig), __ATOMIC_SEQ_CST);
	signal_announce(c, context);
}

void signal_information(struct task *t, int sig, siginfo_t *info)
{
	memset(info, 0, sizeof *info);
	if (t->siginfo == &process_info[sig]) {
		*info = process_info[sig];
		t->siginfo = NULL;
		return;
	}
	if (threadtimer_information(t, sig, info))
		return;
	info->si_signo = sig;
	info->si_code = sig == SIGPIPE ? SI_USER : SI_TKILL;	/* a broken pipe, as a rule */
	info->si_pid = (int)sys_getpid();
	info->si_uid = t->apart ? load_relaxed(&user) : (unsigned)SYS(__NR_getuid);
	store_relaxed(&user, info->si_uid);
}

int signal_take(struct task *t, uint64_t set, siginfo_t *info)
{
	uint64_t mine = load_seq(&t->sigpending) & set, all = load_seq(&process_pending) & set;
	int sig = mine ? __builtin_ctzll(mine) + 1 : all ? __builtin_ctzll(all) + 1 : 0;

	if (mine && take_pending(&t->sigpending, sig))
		signal_information(t, sig, info);
	else if (!mine && all && take_pending(&process_pending, sig))
		*info = process_info[sig];
	else
		return 0;
	return sig;
}

struct call {
	void (*handler)(int, siginfo_t *, void *);
	struct sigframe *frame;
};

static void enter_handler(void *arg)
{
	struct call *call = arg;

	call->handler(call->frame->info.si_signo, &call->frame->info, call->frame->context);
}

/* What the handler has made of the registers is what the program goes on with. */
static void take_registers(struct sigframe *frame, struct arch_frame *f, long *result)
{
	ucontext_t *uc = (ucontext_t *)frame->context;
	char before[FRAME_CONTEXT];
	greg_t *r = uc->uc_mcontext.gregs, *was = ((ucontext_t *)before)->uc_mcontext.gregs;

	catch_describe(before, f, *result);
	if (r[REG_RIP] != was[REG_RIP] || r[REG_RSP] != was[REG_RSP])
		catch_returned(uc);	/* somewhere else */
	if (r[REG_RAX] != was[REG_RAX])
		*result = r[REG_RAX];
	catch_undescribe(f, uc);
}

/* Run one handler as a call, on the way out of the gate. It may never come back. A handler starts with clean floating point, and
 * what it does to it is undone. */
static void run(struct task *t, struct arch_frame *f, long *result, int sig, const struct uapi_sigaction *act)
{
	bool apart = act->flags & SA_ONSTACK && t->sigalt_size && arch_stack_pointer() - t->sigalt_sp >= t->sigalt_size;
	char context[FRAME_CONTEXT] = {0}, room[apart ? 1 : frame_room()];
	uintptr_t top = apart ? t->sigalt_sp + t->sigalt_size : (uintptr_t)room + sizeof room;
	siginfo_t info;

	signal_information(t, sig, &info);
	catch_describe(context, f, *result);
	struct sigframe *frame = frame_push(t, top, context, t->sigrestore ? t->sigsaved : t->sigmask, &info);
	struct call call = {act->handler, frame};

	frame->restorer = (void *)catch_restorer;
	t->sigrestore = false;
	t->sigmask = signal_mask_in(t->sigmask, sig, act);
	signal_mask_changed(t);
	STAT_ADD(sched_hub(t), signals, 1);
	t->frame = NULL;
	arch_vector_reset();
	sched_native_begin(t);
	if (apart)
		arch_call_on(frame, enter_handler, &call);
	else
		enter_handler(&call);
	take_registers(frame, f, result);
	sched_native_end(t);
	frame_vector_load(frame);
	t->frame = f;
	t->sigmask = *frame_mask(frame->context) & SIGNAL_MASKABLE;
	signal_mask_changed(t);
}

/* The next signal that is due for the task, taken out of its pending set; 0: none. */
int signal_next(struct task *t, struct uapi_sigaction *act)
{
	uint64_t due;

	store_seq(&t->attention, 0);
	while ((due = load_seq(&t->sigpending) & ~t->sigmask)) {
		int sig = __builtin_ctzll(due) + 1;

		take_pending(&t->sigpending, sig);
		if (action_claim(sig, act)) {
			store_seq(&t->attention, 1);	/* look again afterwards */
			return sig;
		}
		if ((void *)act->handler == (void *)SIG_DFL)
			signal_default(sig);
	}
	return 0;
}

bool signal_deliver(struct task *t, struct arch_frame *f, long *result)
{
	struct uapi_sigaction act;
	int sig;

	if (hub_signals_due())
		signal_hand_out(sched_hub(t));
	while ((sig = signal_next(t, &act))) {
		if (!(act.flags & SA_RESTART) && *result == -ERESTARTSYS)
			*result = -EINTR;
		run(t, f, result, sig, &act);
	}
	if (t->sigrestore) {
		t->sigrestore = false;
		t->sigmask = t->sigsaved;
		signal_mask_changed(t);
	}
	return *result == -ERESTARTSYS;
}

long signal_mask_enter(struct task *t, const uint64_t *mask, size_t size)
{
	if (!mask)
		return 0;
	if (size != UAPI_SIGSET_SIZE)
		return -EINVAL;
	uint64_t set;

	if (user_copy(t, &set, mask, sizeof set) < 0)
		return -EFAULT;
	t->sigsaved = t->sigmask;
	t->sigrestore = true;
	t->sigmask = set & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	signal_mask_changed(t);
	return 0;
}

void signal_mask_leave(struct task *t, long result)
{
	/* With a signal due its handler runs first, under the mask of the call: signal_deliver restores. */
	if (!t->sigrestore || (result == -EINTR && signal_due(t)))
		return;
	t->sigrestore = false;
	t->sigmask = t->sigsaved;
	signal_mask_changed(t);
}

void signal_expose(struct task *t)
{
	sys_sigmask(SIG_SETMASK, &t->sigmask, NULL);
}

void signal_cover(void)
{
	uint64_t mask = load_relaxed(&carrier_mask);

	sys_sigmask(SIG_SETMASK, &mask, NULL);
}

void signal_child(struct task *t)
{
	threadtimer_fork();
	t->sigpending = 0;
	t->attention = 0;
	t->siginfo = NULL;
	tasks = 1;
	t->sigcounted = 0;
	count(t, t->sigmask & ~INTERNAL);
	set_real_mask(t, blocked_by_all());
	sys_sigmask(SIG_SETMASK, &t->carrier->mask, NULL);
}

/* What the kernel is told of an action. */
static void install(int sig, const struct uapi_sigaction *act)
{
	struct uapi_sigaction real = *act;

	if (sig == CARRIER_SIGNAL) {	/* its handler is ours and knows whose each one is */
		catch_init();
		return;
	}
	if (action_ours(act, sig)) {
		real.handler = catch_signal;
		/* SA_RESTART is for a call in which the kernel has the task that gets the signal: one that nobody but the kernel
		 * sees (a lock of a file). */
		real.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | UAPI_SA_RESTORER |
			     (act->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTART));
		real.restorer = catch_kernel_restorer;
		real.mask = ~0ull;	/* one frame at a time on the carrier's signal stack */
	}
	sys_sigaction(sig, &real, NULL);
}

void signal_give_back(struct task *t)
{
	stack_t alt = {(void *)t->sigalt_sp, t->sigalt_size ? 0 : SS_DISABLE, t->sigalt_size};

	for (int sig = 1; sig <= SIGNALS; sig++) {
		struct uapi_sigaction act = action_get(sig);

		if (action_ours(&act, sig))
			sys_sigaction(sig, &act, NULL);
	}
	SYS(__NR_sigaltstack, &alt, NULL);
	sys_sigmask(SIG_SETMASK, &t->sigmask, NULL);
}

void signal_init(struct task *t)
{
	action_on_change = install;
	action_init();
	sys_sigmask(SIG_SETMASK, NULL, &t->sigmask);
	user = (uint32_t)SYS(__NR_getuid);
	tasks = 1;
	count(t, t->sigmask);
	catch_init();
	set_real_mask(t, blocked_by_all());
	sys_sigmask(SIG_SETMASK, &t->carrier->mask, NULL);
}

/* A signal that was sent before a disposition changes acts by the old one: natively it has chosen its thread when kill returns.
 * Here it may still be in the kernel, because the carrier that it chose has had no CPU since, or, though ignored, because it
 * chose one that blocks everything. Take it out, and handle it as the calling task. */
static void settle(struct task *t, struct arch_frame *f, int sig)
{
	struct __kernel_timespec zero = {0, 0};
	uint64_t bit = signal_bit(sig), was;
	siginfo_t info;
	long r, none = 0;

	if ((t->sigmask & bit) || sig == CARRIER_SIGNAL || sig == SIGKILL || sig == SIGSTOP)
		return;
	sys_sigmask(SIG_BLOCK, &bit, &was);
	r = SYS(__NR_rt_sigtimedwait, &bit, &info, &zero, UAPI_SIGSET_SIZE);
	sys_sigmask(SIG_SETMASK, &was, NULL);
	if (r == sig && (void *)action_get(sig).handler != (void *)SIG_IGN) {
		process_info[sig] = info;
		__atomic_fetch_or(&process_pending, bit, __ATOMIC_SEQ_CST);
		store_seq(&hub_signals, 1);
	}
	if (signal_due(t))
		signal_deliver(t, f, &none);
}

static bool forget(struct task *t, void *sig)
{
	take_pending(&t->sigpending, (int)(intptr_t)sig);
	t->siginfo = t->siginfo == &process_info[(intptr_t)sig] ? NULL : t->siginfo;
	return false;
}

/* A signal that becomes ignored is not pending any more. */
static void drop_pending(int sig)
{
	lock_take(&task_lock);
	take_pending(&process_pending, sig);
	task_each(forget, (void *)(intptr_t)sig);
	lock_drop(&task_lock);
}

long signal_rt_sigaction(struct task *t, struct arch_frame *f)
{
	int sig = (int)ARG1(f);
	const struct uapi_sigaction *act = (void *)ARG2(f);
	struct uapi_sigaction *old = (void *)ARG3(f), was, next;

	if (ARG4(f) != UAPI_SIGSET_SIZE || sig < 1 || sig > SIGNALS || (act && (sig == SIGKILL || sig == SIGSTOP)))
		return -EINVAL;
	if (act) {
		if (user_copy(t, &next, act, sizeof next) < 0)
			return -EFAULT;
		settle(t, f, sig);
	}
	if (act)
		next.mask &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	action_set(sig, act ? &next : NULL, &was);
	if (act && action_ignored(&next, sig))
		drop_pending(sig);
	return old ? user_copy(t, old, &was, sizeof was) : 0;
}

long signal_rt_sigpending(struct task *t, struct arch_frame *f)
{
	uint64_t set = 0;
	long r = SYS(__NR_rt_sigpending, &set, ARG2(f) < sizeof set ? ARG2(f) : sizeof set);

	if (r < 0 || ARG2(f) > sizeof set)
		return -EINVAL;
	set = (set | load_relaxed(&t->sigpending) | load_relaxed(&process_pending)) & t->sigmask;
	return user_copy(t, (void *)ARG1(f), &set, ARG2(f));
}

static long send_to(struct task *me, uint32_t tid, int sig)
{
	long r = 0;

	if (sig < 0 || sig > SIGNALS || (int)tid <= 0)
		return -EINVAL;
	lock_take(&task_lock);
	struct task *t = task_by_tid(tid);

	if (!t)
		r = tid >= TASK_TID_FIRST ? -ESRCH : GATE_NATIVE;
	else if (sig == SETXID)
		r = -ESRCH;	/* credential.c asks kernel threads instead */
	else if (sig)
		signal_send(sched_hub(me), t, sig);
	lock_drop(&task_lock);
	return r;
}

long signal_tgkill(struct task *t, struct arch_frame *f)
{
	if (ARG1(f) != (uint64_t)sys_getpid())
		return GATE_NATIVE;
	return send_to(t, (uint32_t)ARG2(f), (int)ARG3(f));
}

long signal_tkill(struct task *t, struct arch_frame *f)
{
	return send_to(t, (uint32_t)ARG1(f), (int)ARG2(f));
}
