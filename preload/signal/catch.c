/* catch.c -- contexts that the kernel interrupted: preempt them, or make them enter a signal handler */
#include <ucontext.h>
#include "signal/catch.h"
#include "signal/action.h"
#include "poll.h"
#include "signal/frame.h"
#include "signal/threadtimer.h"

#define BUFFER	     16384ul
#define LOW_STACK    2048ul	/* at the low end of the buffer: the stack on which a preempted task is resumed */

extern char __ehdr_start[] __attribute__((visibility("hidden")));

static uintptr_t text_start, text_end;

bool catch_allowed(struct carrier *c, const void *context)
{
	const ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	return c->current && !load_relaxed(&c->depth) && pc - text_start >= text_end - text_start;
}

/* The interrupted context becomes what the kernel would restore on this carrier. */
static void carry(ucontext_t *uc, struct carrier *c)
{
	uc->uc_stack.ss_sp = (char *)((uintptr_t)c - CARRIER_STACK);
	uc->uc_stack.ss_size = CARRIER_STACK - 64;
	uc->uc_stack.ss_flags = 0;
}

/* Does the program counter stand behind the `syscall' by which the last call was left to the kernel? Where there was no room for
 * the instruction at its site, it stands in the slot. */
static bool behind_call(const struct carrier *c, uintptr_t pc)
{
	uintptr_t slots = (uintptr_t)weft_slots, slot = pc & ~(uintptr_t)(ARCH_SLOT_SIZE - 1);

	if (!c->native_pc || pc == c->native_pc)
		return c->native_pc;
	return pc - slots < (uintptr_t)weft_slots_end - slots && pc - slot >= 2 && !memcmp((void *)(pc - 2), "\x0f\x05", 2) &&
	       *(uint64_t *)(slot + ARCH_SLOT_RESUME) == c->native_pc;
}

/* The mask that a context is to be restored with on this carrier. */
static void take_mask(struct carrier *c, ucontext_t *uc)
{
	uint64_t mask = load_seq(&carrier_mask);

	store_seq(&c->mask, mask);
	*frame_mask(uc) = mask;
}

/* Leave Weft for the context. A signal that said that the mask has changed must not come between our look at it and its return:
 * all wait for that. */
static __attribute__((noreturn)) void go_on(struct task *t, ucontext_t *uc)
{
	uint64_t all = ~0ull;

	sys_sigmask(SIG_SETMASK, &all, NULL);
	take_mask(t->carrier, uc);
	carry(uc, t->carrier);
	sched_native_begin(t);
	arch_sigreturn(uc, 0);
}

void catch_restart(struct carrier *c, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;

	if (r[REG_RAX] == -EINTR && behind_call(c, (uintptr_t)r[REG_RIP])) {
		if (c->native_nr == __NR_close) {	/* it has closed the number, which may be another's by now */
			r[REG_RAX] = 0;
			return;
		}
		r[REG_RIP] -= 2;
		r[REG_RAX] = (greg_t)c->native_nr;
	}
}

/* The kernel has interrupted the context, and restores its mask: so it gets what the task's new mask means for this carrier. */
static void change_mask(struct task *t, void *context, uint64_t mask)
{
	t->sigmask = mask;
	if (signal_mask_moved(t))
		take_mask(t->carrier, context);
}

void inject(struct task *t, void *context, const struct uapi_sigaction *act, const siginfo_t *info)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	uintptr_t sp = (uintptr_t)r[REG_RSP] - ARCH_RED_ZONE;

	if (act->flags & SA_ONSTACK && t->sigalt_size && sp - t->sigalt_sp >= t->sigalt_size)
		sp = t->sigalt_sp + t->sigalt_size;
	struct sigframe *f = frame_push(t, sp, uc, t->sigmask, info);

	f->restorer = (void *)catch_restorer;
	change_mask(t, uc, signal_mask_in(t->sigmask, info->si_signo, act));
	stat_shared(signals, 1);
	r[REG_RIP] = (greg_t)act->handler;
	r[REG_RSP] = (greg_t)f;
	r[REG_RDI] = info->si_signo;
	r[REG_RSI] = (greg_t)&f->info;
	r[REG_RDX] = (greg_t)f->context;
	r[REG_RAX] = 0;
	r[REG_EFL] &= ~0x400;	/* direction flag */
}

static void owe(struct carrier *c, uint32_t what)
{
	struct hub *h = load_relaxed(&c->hub);

	carrier_owe(c, what, h ? load_relaxed(&h->turns) : 0);
}

/* The injected handler has returned; `context' is the frame's, on the task's stack. What is due by now is seen to as soon as the
 * task is out of our text again. */
void catch_returned(void *context)
{
	struct task *t = task_self();
	ucontext_t *uc = context;

	sched_native_end(t);
	t->sigmask = *frame_mask(uc) & SIGNAL_MASKABLE;
	signal_mask_moved(t);
	if (load_relaxed(&t->attention))
		owe(t->carrier, CARRIER_OWES_SIGNALS);
	go_on(t, uc);
}

/* Our own signal has interrupted a call that was left to the kernel, and the kernel makes it again. A handler without SA_RESTART
 * would have ended it. */
static void end_call(struct carrier *c, ucontext_t *uc)
{
	greg_t *r = uc->uc_mcontext.gregs;

	if (c->native_pc && (uint64_t)r[REG_RIP] == c->native_pc - 2 && (uint64_t)r[REG_RAX] == c->native_nr) {
		r[REG_RIP] += 2;
		r[REG_RAX] = -EINTR;
	}
}

/* Enter the handler of a signal that is due for the task, if there is one. */
static bool inject_due(struct task *t, ucontext_t *uc)
{
	struct uapi_sigaction act;
	siginfo_t info;
	int sig = load_relaxed(&t->attention) ? signal_next(t, &act) : 0;

	if (!sig)
		return false;
	if (!(act.flags & SA_RESTART))
		end_call(t->carrier, uc);
	signal_information(t, sig, &info);
	inject(t, uc, &act, &info);
	return true;
}

/* A preempted task runs again: on the low stack of its buffer, until rt_sigreturn. */
static void resume(void *arg)
{
	struct task *t = arg;
	ucontext_t *uc = (ucontext_t *)((char *)t->preempt + LOW_STACK);

	sched_started();
	inject_due(t, uc);
	go_on(t, uc);
}

/* Keep the interrupted context in the task's buffer and leave the carrier's signal stack. */
static void preempt(struct carrier *c, ucontext_t *uc)
{
	struct task *t = c->current;
	size_t vector = frame_vector_size(uc);
	char *at;

	if (vector + FRAME_CONTEXT + 64 + LOW_STACK > BUFFER)
		return;
	if (!t->preempt) {
		long p = sys_mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p < 0 && p > -4096)
			return;
		t->preempt = (void *)p;
	}
	store_relaxed(&c->depth, 1);
	barrier();
	if (unlikely(load_relaxed(&c->retake))) {	/* let the monitor's decision be made first */
		lock_take(&c->lock);
		c->retake = 0;
		lock_drop(&c->lock);
	}
	at = (char *)t->preempt + LOW_STACK;
	memcpy(at, uc, FRAME_CONTEXT);
	char *fp = (char *)(((uintptr_t)at + FRAME_CONTEXT + 63) & ~63ul);

	memcpy(fp, uc->uc_mcontext.fpregs, vector);
	((ucontext_t *)at)->uc_mcontext.fpregs = (void *)fp;
	t->sp = arch_prepare((char *)t->preempt + LOW_STACK, resume, t);
	stat_shared(preemptions, 1);
	sys_sigmask(SIG_SETMASK, &c->mask, NULL);	/* no sigreturn on this way out */
	sched_preempted(c, t);
}

/* A fault in a task that catches it enters the handler; another is died of, as the kernel would have it: one of ours or of no
 * task, one that the task blocks, one whose action was for once. */
static void take_fault(struct carrier *c, struct task *t, int sig, const siginfo_t *info, void *context)
{
	struct uapi_sigaction act, dfl = {0};

	if (t && catch_allowed(c, context) && !(t->sigmask & signal_bit(sig)) && action_claim(sig, &act))
		inject(t, context, &act, info);
	else
		sys_sigaction(sig, &dfl, NULL);
}

/* A fault in one of our own accesses to the program's memory is that access's result. */
static bool take_user_fault(ucontext_t *uc)
{
	greg_t *pc = &uc->uc_mcontext.gregs[REG_RIP];

	for (const struct arch_fixup *x = __start_arch_fixups; x < __stop_arch_fixups; x++)
		if (*pc == (greg_t)&x->at + x->at) {
			*pc = (greg_t)&x->to + x->to;
			return true;
		}
	if ((uintptr_t)*pc - (uintptr_t)arch_user_start >= (uintptr_t)(arch_user_end - arch_user_start))
		return false;
	*pc = (greg_t)arch_user_fault;
	return true;
}

static bool is_broken_pipe(int sig, const ucontext_t *uc)
{
	return sig == SIGPIPE && uc->uc_mcontext.gregs[REG_RAX] == -EPIPE;
}

/* Behind a call that was left to the kernel all is as it was before. */
static bool behind_native(struct carrier *c, const ucontext_t *uc)
{
	return !load_relaxed(&c->depth) && behind_call(c, (uintptr_t)uc->uc_mcontext.gregs[REG_RIP]);
}

/* The task has written where nobody reads: the signal is its own, whatever others do, and comes before the call returns. */
static void take_broken_pipe(struct carrier *c, struct task *t, const siginfo_t *info, void *context)
{
	bool blocked = t->sigmask & signal_bit(SIGPIPE), here = catch_allowed(c, context) || behind_native(c, context);
	struct uapi_sigaction act;

	if (!blocked && here && action_claim(SIGPIPE, &act)) {
		inject(t, context, &act, info);
	} else if (!blocked && here && (void *)act.handler == (void *)SIG_DFL) {
		signal_default(SIGPIPE);
	} else {
		__atomic_fetch_or(&t->sigpending, signal_bit(SIGPIPE), __ATOMIC_SEQ_CST);
		if (!blocked)
			store_relaxed(&t->attention, 1);
	}
}

/* A filter of system calls has trapped a call of ours; the handler that the program has for that knows nothing of it. The call that
 * the program asked for is left to the kernel at the program's own site, where the handler may do as it likes; others fail. */
static bool take_trapped(struct carrier *c, const siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	struct task *t = c ? c->current : NULL;
	bool asked = t && t->frame && (int)t->frame->nr == info->si_syscall;

	if (pc - text_start >= text_end - text_start)
		return false;
	uc->uc_mcontext.gregs[REG_RAX] = asked ? GATE_NATIVE : -ENOSYS;
	return true;
}

/* A child of vfork or of clone with CLONE_VM, whose signals are its own: the handler runs here and now, as the kernel would have
 * it, and writes nothing of ours. */
static void child_takes(int sig, siginfo_t *info, ucontext_t *uc)
{
	struct uapi_sigaction act = action_get(sig);
	uint64_t mask = signal_mask_in(*frame_mask(uc), sig, &act);

	if (!action_caught(&act)) {
		signal_default(sig);
		return;
	}
	sys_sigmask(SIG_SETMASK, &mask, NULL);
	act.handler(sig, info, uc);
}

/* Whose is it? While the mark of a vfork stands, only the process id tells the parent from the child. The parent has come back
 * from the call: what its task blocks is the kernel's no more. */
static bool is_child(struct carrier *c, ucontext_t *uc)
{
	struct task *t = c ? c->current : NULL;

	if (c && likely(!t || !t->vfork))
		return false;
	if (sys_getpid() != process_id)
		return true;
	if (t) {
		t->vfork = false;
		take_mask(c, uc);
	}
	return false;
}

void catch_signal(int sig, siginfo_t *info, void *context)
{
	if (info->si_code > 0 && (sig == SIGSEGV || sig == SIGBUS) && take_user_fault(context))
		return;
	struct carrier *c = carrier_here();
	struct task *t = c ? c->current : NULL;
	struct uapi_sigaction act = action_get(sig);

	if (sig == SIGSYS && info->si_code > 0 && take_trapped(c, info, context))
		return;
	if (unlikely(is_child(c, context)))
		child_takes(sig, info, context);
	else if (info->si_code > 0 && (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP || sig == SIGSYS))
		take_fault(c, t, sig, info, context);
	else if (t && is_broken_pipe(sig, context))
		take_broken_pipe(c, t, info, context);
	else if (t && !(t->sigmask & signal_bit(sig)) && t->tid == (uint32_t)sys_getpid() && catch_allowed(c, context) &&
		 action_claim(sig, &act))
		inject(t, context, &act, info);
	else
		signal_for_process(c, sig, info, context);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	long what = (long)info->si_value.sival_ptr;
	bool ours = info->si_code == SI_QUEUE && info->si_pid == (int)sys_getpid() &&
		    (what == CARRIER_PREEMPT || what == CARRIER_KICK);
	struct carrier *c = carrier_here();

	if (unlikely(c && sig == CARRIER_SIGNAL && info->si_code == SI_TKILL && load_relaxed(&c->asked))) {
		what = exchange(&c->asked, 0);
		ours = true;
	}

	if (threadtimer_fired(info)) {
		signal_announce(c, context);
		return;
	}
	if (!ours) {
		struct uapi_sigaction act = action_get(sig);

		if (signal_held() || action_caught(&act))
			catch_signal(sig, info, context);
		return;
	}
	if (!c || is_child(c, context))
		return;
	carrier_follow(&c->generation, c->bound);
	if ((c->hub || c->current || c->bound) && c->mask != load_relaxed(&carrier_mask))
		take_mask(c, context);
	if (c->hub && !c->current)
		poll_cut(c->hub);
	bool allowed = catch_allowed(c, context);

	if ((what == CARRIER_KICK || c->bound) && allowed && inject_due(c->current, context))
		return;
	catch_restart(c, context);
	if (!allowed && c->current)
		owe(c, what == CARRIER_PREEMPT ? CARRIER_OWES_TURN : CARRIER_OWES_SIGNALS);
	else if (allowed && what == CARRIER_PREEMPT && !c->bound)
		preempt(c, context);
	if (!allowed && c->bound && load_relaxed(&hub_unwatched))
		hub_on_busy();
}

void catch_init(void)
{
	struct uapi_sigaction act = {
		.handler = on_signal,
		.mask = ~0ull,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | UAPI_SA_RESTORER,
		.restorer = catch_kernel_restorer,
	};

	frame_init();
	text_start = (uintptr_t)__ehdr_start;
	text_end = (uintptr_t)weft_slots_end;	/* the slots stand last */
	sys_sigaction(CARRIER_SIGNAL, &act, NULL);
}

void catch_kick(struct task *t)
{
	if (t->carrier)
		carrier_signal(t->carrier, CARRIER_KICK);
}

void catch_describe(void *context, const struct arch_frame *f, long result)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	bool again = result == -ERESTARTSYS;

	r[REG_R8] = (greg_t)f->r8;
	r[REG_R9] = (greg_t)f->r9;
	r[REG_R10] = (greg_t)f->r10;
	r[REG_R12] = (greg_t)f->r12;
	r[REG_R13] = (greg_t)f->r13;
	r[REG_R14] = (greg_t)f->r14;
	r[REG_R15] = (greg_t)f->r15;
	r[REG_RDI] = (greg_t)f->rdi;
	r[REG_RSI] = (greg_t)f->rsi;
	r[REG_RBP] = (greg_t)f->rbp;
	r[REG_RBX] = (greg_t)f->rbx;
	r[REG_RDX] = (greg_t)f->rdx;
	r[REG_RSP] = (greg_t)arch_frame_sp(f);
	r[REG_RIP] = (greg_t)arch_frame_pc(f) - (again ? 2 : 0);
	r[REG_RAX] = again ? (greg_t)f->nr : (greg_t)result;
	r[REG_RCX] = (greg_t)arch_frame_pc(f);
	r[REG_EFL] = (greg_t)arch_frame_flags(f);
	r[REG_R11] = r[REG_EFL];
	r[REG_CSGSFS] = ARCH_SEGMENTS;
}

/* The reverse, but for what only catch_returned can change. */
void catch_undescribe(struct arch_frame *f, const void *context)
{
	const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;

	f->r8 = (uint64_t)r[REG_R8];
	f->r9 = (uint64_t)r[REG_R9];
	f->r10 = (uint64_t)r[REG_R10];
	f->r12 = (uint64_t)r[REG_R12];
	f->r13 = (uint64_t)r[REG_R13];
	f->r14 = (uint64_t)r[REG_R14];
	f->r15 = (uint64_t)r[REG_R15];
	f->rdi = (uint64_t)r[REG_RDI];
	f->rsi = (uint64_t)r[REG_RSI];
	f->rbp = (uint64_t)r[REG_RBP];
	f->rbx = (uint64_t)r[REG_RBX];
	f->rdx = (uint64_t)r[REG_RDX];
}
