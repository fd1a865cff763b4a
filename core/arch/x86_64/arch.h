/* arch.h -- what core must know of the CPU: x86-64
 *
 * Raw system calls, the thread pointer, the register frame that the gate saves, and the switch. No other file of core or
 * preload names a register, but for the gate's thunk and the patcher.
 */
#ifndef CORE_ARCH_H
#define CORE_ARCH_H

#include <stddef.h>
#include <stdint.h>

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

/* Does valgrind run us? It takes these instructions, which change nothing, for a question about what rax points at. */
static inline int arch_under_valgrind(void)
{
	uint64_t question[6] = {0x1001}, answer = 0;

	__asm__ volatile("rol $3, %%rdi; rol $13, %%rdi; rol $61, %%rdi; rol $51, %%rdi; xchg %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(question)
			 : "cc", "memory");
	return answer != 0;
}

static inline void arch_pause(void)
{
	__asm__ volatile("pause");
}

/* The word of the thread control block that says which task this is. glibc's tcbhead_t leaves 0x80..0x2bf unused (2.31 to
 * 2.41); a fresh block is zero there, so a thread that we did not make reads NULL. */
#define ARCH_TCB_TASK 0x88

/* Its neighbour: what becomes of the stack that the block stands on (stack.h). */
#define ARCH_TCB_STACK 0x90

static inline uint32_t *arch_tcb_stack(uintptr_t tcb)
{
	return (uint32_t *)(tcb + ARCH_TCB_STACK);
}

static inline void *arch_tcb_task(void)
{
	void *p;

	__asm__ volatile("mov %%fs:%c1, %0" : "=r"(p) : "i"(ARCH_TCB_TASK));
	return p;
}

static inline void arch_tcb_set_task(uintptr_t tcb, void *task)
{
	*(void *volatile *)(tcb + ARCH_TCB_TASK) = task;
}

/* The thread pointer as libc keeps it: tcbhead_t.self. */
static inline uintptr_t arch_tcb(void)
{
	uintptr_t p;

	__asm__ volatile("mov %%fs:0x10, %0" : "=r"(p));
	return p;
}

static inline uintptr_t arch_stack_pointer(void)
{
	uintptr_t p;

	__asm__ volatile("mov %%rsp, %0" : "=r"(p));
	return p;
}

/* What the gate saves of the program, from the lowest address up. ret is the return address into the site's slot. */
struct arch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, r9, r8, r10, rdx, rsi, rdi;
	uint64_t nr;		/* system call number */
	uint64_t flags;		/* as lahf and seto left them */
	uint64_t ret;
};

#define ARCH_RED_ZONE	 128
#define ARCH_SLOT_SIZE	 128	/* a slot is aligned to its size; data at its end: */
#define ARCH_SLOT_RESUME 112	/* address behind the `syscall' instruction */
#define ARCH_SLOT_FLAGS	 120	/* bit 0: vector registers live, bit 1: the instruction is gone */

#define ARG1(f) ((f)->rdi)
#define ARG2(f) ((f)->rsi)
#define ARG3(f) ((f)->rdx)
#define ARG4(f) ((f)->r10)
#define ARG5(f) ((f)->r8)
#define ARG6(f) ((f)->r9)

static inline uintptr_t arch_slot(const struct arch_frame *f)
{
	return f->ret & ~(uintptr_t)(ARCH_SLOT_SIZE - 1);
}

static inline uintptr_t arch_frame_pc(const struct arch_frame *f)
{
	return *(uint64_t *)(arch_slot(f) + ARCH_SLOT_RESUME);
}

static inline int arch_frame_vector(const struct arch_frame *f)
{
	return *(uint32_t *)(arch_slot(f) + ARCH_SLOT_FLAGS) & 1;
}

/* As lahf and seto left them; interrupts are on, and the bit that always stands. */
static inline uint64_t arch_frame_flags(const struct arch_frame *f)
{
	return (f->flags >> 8 & 0xd5) | (f->flags & 1) << 11 | 0x202;
}

#define ARCH_SEGMENTS (0x2bull << 48 | 0x33)	/* ss and cs of a 64-bit program, as a signal context has them */

/* The program's stack pointer at the site. */
static inline uintptr_t arch_frame_sp(const struct arch_frame *f)
{
	return (uintptr_t)(f + 1) + ARCH_RED_ZONE;
}

/* arch_switch -- save the callee-saved registers on this stack, note the stack pointer in *save, go on at `sp'.
 *
 * fs  thread pointer to load, 0 to keep the present one
 */
void arch_switch(void **save, void *sp, uintptr_t fs);

/* arch_call_on -- call fn(arg) on another stack and come back. */
void arch_call_on(void *stack_top, void (*fn)(void *), void *arg);

/* arch_prepare -- lay out a stack so that a switch to the result enters fn(arg), which never returns. */
void *arch_prepare(void *stack_top, void (*fn)(void *), void *arg);

/* arch_prepare_clone -- the same for a child of clone: the registers of `f', result 0, behind f's site, on `stack_top'. */
void *arch_prepare_clone(void *stack_top, const struct arch_frame *f);

/* arch_sigreturn -- resume a context that the kernel had saved; `frame' points at its ucontext. */
void arch_sigreturn(void *frame, uintptr_t fs) __attribute__((noreturn));

/* arch_clone -- make a kernel thread that calls fn(arg) on `stack_top' and never returns. Returns its tid or -errno. */
long arch_clone(unsigned long flags, void *stack_top, void (*fn)(void *), void *arg, int *tid_word);

/* Called on the stack of a task that runs for the first time; finishes the switch (sched.c). */
void sched_started(void);

/* Accesses to memory of the program that may not be there. All return 0, or -EFAULT where a page cannot be read or written: the
 * handler of SIGSEGV and SIGBUS leads a fault between arch_user_start and arch_user_end, where no stack is used, to
 * arch_user_fault, and one at an instruction of the table of fixups to where its row says.
 * A page that another thread has yet to provide is waited for by the kernel, so the caller holds no lock.
 *
 * arch_user_copy   n bytes, either side may be the program's; memory that overlaps is copied upwards
 * arch_user_load   one aligned word, at once
 * arch_user_cas    store `next' where *was stands; *was becomes what stood there
 */
long arch_user_copy(void *to, const void *from, size_t n);
long arch_user_cas(uint32_t *at, uint32_t *was, uint32_t next);
extern char arch_user_start[], arch_user_end[], arch_user_fault[];

struct arch_fixup {
	int32_t at, to;		/* from the field itself */
};
extern const struct arch_fixup __start_arch_fixups[], __stop_arch_fixups[];	/* made by the linker */

static inline long arch_user_load(const uint32_t *from, uint32_t *to)
{
	long r;

	__asm__ volatile("xor %k0, %k0\n"
			 "1:	mov %2, %1\n"
			 "2:\n"
			 "	.pushsection .text.unlikely, \"ax\", @progbits\n"
			 "3:	mov $-14, %0\n"	/* -EFAULT */
			 "	jmp 2b\n"
			 "	.popsection\n"
			 "	.pushsection arch_fixups, \"a\", @progbits\n"
			 "	.long 1b - ., 3b - .\n"
			 "	.popsection"
			 : "=&r"(r), "=&r"(*to)
			 : "m"(*(const volatile uint32_t *)from)
			 : "cc", "memory");
	return r;
}

struct arch_vector {
	uint8_t area[512];
} __attribute__((aligned(16)));

static inline void arch_vector_save(struct arch_vector *v)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*v));
}

static inline void arch_vector_load(const struct arch_vector *v)
{
	__asm__ volatile("fxrstor64 %0" : : "m"(*v));
}

static inline void arch_vector_reset(void)
{
	uint32_t mxcsr = 0x1f80;

	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

extern int arch_has_fsgsbase;	/* set once at activation, before the first switch */

/* What the kernel keeps of a thread in registers, and who keeps it of a task:
 *
 *	general registers, flags	the gate's frame, or the kernel's of a preempted task (preload/signal/catch.c)
 *	x87 and MXCSR control words	arch_switch
 *	SSE, AVX, AVX-512, AMX tiles	dead across a call of ours by the ABI, saved around the switch where the site's function uses
 *					them (preload/patch/thunk.S, SSE); the kernel's frame of a preempted task has all of them
 *	FS base				arch_switch; set by libc once for each thread
 *	GS base				read when a task leaves (1.4 ns: `wrgsbase' is no call that could tell of it), written when the
 *					next one has another. Without these instructions (Linux before 5.9) it stays the carrier's
 *	PKRU				the same, once the program has a protection key
 *	shadow stack			not supported: libc turns it on only where all objects ask for it, and then Weft is not loaded
 *	restartable sequence		none: tasks move between kernel threads (preload/thread/thread.c)
 *	TLS entries of the GDT, LDT	the carriers' (32-bit code only); the LDT is the process's
 *	debug registers			a debugger's, set for kernel threads
 *	I/O permissions			the carrier's: a task that asks for them is to be bound
 *	CPUID and TSC faulting		the carrier's: they stay with the kernel thread that asked
 */
extern int arch_uses_pkru;	/* atomic; set once, never cleared */

static inline uint64_t arch_gs_base(void)
{
	uint64_t base;

	__asm__ volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static inline void arch_set_gs_base(uint64_t base)
{
	__asm__ volatile("wrgsbase %0" : : "r"(base));
}

/* Do processor and kernel have protection keys? */
static inline int arch_has_pkru(void)
{
	uint32_t a = 0, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (a < 7)
		return 0;
	a = 7;
	c = 0;
	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 4 & 1;	/* OSPKE */
}

static inline uint32_t arch_pkru(void)
{
	uint32_t value, zero;

	__asm__ volatile("rdpkru" : "=a"(value), "=d"(zero) : "c"(0));
	return value;
}

static inline void arch_set_pkru(uint32_t value)
{
	__asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0));
}

#endif
