/* registers.h -- call code with every register set, and see what it left
 *
 * registers_call fills the general registers, the flags, the vector and control registers and the
 * red zone that the called code finds below its stack pointer, and notes all of them behind it.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "check.h"

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, GENERALS };

#define FLAG_BITS 0x8d5 /* carry, parity, adjust, zero, sign, overflow */

struct registers {
	uint64_t general[GENERALS], flags;
	uint32_t mxcsr, x87_control;
	uint64_t vector[16][2];
	uint64_t red_zone[16];
};

/* What is to be the same afterwards. */
enum {
	GENERAL = 1,   /* all but rax, rcx, r11 */
	CALLEE = 2,    /* rbx, rbp, r12 to r15 */
	WITH_RAX = 4,  /* rax and r11 as well */
	FLAGS = 8,     /* those of FLAG_BITS */
	CONTROL = 16,  /* mxcsr, x87 control word */
	VECTOR = 32,   /* xmm0 to xmm15 */
	RED_ZONE = 64, /* 128 bytes */
};

/* A function of its own, described for unwinders. */
#define SITE(name, body)                                                                           \
	".text\n .globl " name "\n .type " name ", @function\n .balign 64\n" name ":\n"            \
	".cfi_startproc\n" body "\n .cfi_endproc\n .size " name ", . - " name "\n .balign 64\n"

void registers_call(const struct registers *before, struct registers *after, void (*code)(void));

/* Counts rcx down to zero and touches nothing else. */
void registers_spin(void);

/* The frame: +0 return address, +8 after, +16 code, +24 mxcsr, x87 control, +32 rax. The return
 * address lies where `call' would push it, so that nothing but the red zone is below it. */
__asm__(".text\n .globl registers_call\n .type registers_call, @function\n registers_call:\n"
	".cfi_startproc\n"
	"push %rbp\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbp, 0\n"
	"push %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset rbx, 0\n"
	"push %r12\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r12, 0\n"
	"push %r13\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r13, 0\n"
	"push %r14\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r14, 0\n"
	"push %r15\n .cfi_adjust_cfa_offset 8\n .cfi_rel_offset r15, 0\n"
	"sub $48, %rsp\n .cfi_adjust_cfa_offset 48\n"
	"lea 1f(%rip), %rax\n mov %rax, (%rsp)\n"
	"mov %rsi, 8(%rsp)\n mov %rdx, 16(%rsp)\n stmxcsr 24(%rsp)\n fnstcw 28(%rsp)\n"
	"ldmxcsr 128(%rdi)\n fldcw 132(%rdi)\n"
	".set i, 0\n .rept 16\n"
	".altmacro\n"
	".macro registers_xmm n\n movups 136+16*\\n(%rdi), %xmm\\n\n .endm\n"
	"registers_xmm %i\n .purgem registers_xmm\n .noaltmacro\n .set i, i + 1\n .endr\n"
	"push 120(%rdi)\n popfq\n"
	".set i, 0\n .rept 16\n mov 392+8*i(%rdi), %rax\n mov %rax, 8*i-128(%rsp)\n"
	".set i, i + 1\n .endr\n"
	"mov (%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rdx\n"
	"mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n"
	"mov 72(%rdi), %r10\n mov 80(%rdi), %r11\n mov 88(%rdi), %r12\n mov 96(%rdi), %r13\n"
	"mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n mov 40(%rdi), %rdi\n"
	"jmp *16(%rsp)\n"
	"1: lea -8(%rsp), %rsp\n mov %rax, 32(%rsp)\n mov 8(%rsp), %rax\n"
	"mov %rbx, 8(%rax)\n mov %rcx, 16(%rax)\n mov %rdx, 24(%rax)\n mov %rsi, 32(%rax)\n"
	"mov %rdi, 40(%rax)\n mov %rbp, 48(%rax)\n mov %r8, 56(%rax)\n mov %r9, 64(%rax)\n"
	"mov %r10, 72(%rax)\n mov %r11, 80(%rax)\n mov %r12, 88(%rax)\n mov %r13, 96(%rax)\n"
	"mov %r14, 104(%rax)\n mov %r15, 112(%rax)\n mov 32(%rsp), %rcx\n mov %rcx, (%rax)\n"
	".set i, 0\n .rept 16\n mov 8*i-128(%rsp), %rcx\n mov %rcx, 392+8*i(%rax)\n"
	".set i, i + 1\n .endr\n"
	"pushfq\n pop 120(%rax)\n"
	"stmxcsr 128(%rax)\n movl $0, 132(%rax)\n fnstcw 132(%rax)\n"
	".set i, 0\n .rept 16\n"
	".altmacro\n"
	".macro registers_xmm n\n movups %xmm\\n, 136+16*\\n(%rax)\n .endm\n"
	"registers_xmm %i\n .purgem registers_xmm\n .noaltmacro\n .set i, i + 1\n .endr\n"
	"ldmxcsr 24(%rsp)\n fldcw 28(%rsp)\n"
	"add $48, %rsp\n .cfi_adjust_cfa_offset -48\n"
	"pop %r15\n .cfi_adjust_cfa_offset -8\n pop %r14\n .cfi_adjust_cfa_offset -8\n"
	"pop %r13\n .cfi_adjust_cfa_offset -8\n pop %r12\n .cfi_adjust_cfa_offset -8\n"
	"pop %rbx\n .cfi_adjust_cfa_offset -8\n pop %rbp\n .cfi_adjust_cfa_offset -8\n"
	"ret\n .cfi_endproc\n .size registers_call, . - registers_call\n");

__asm__(SITE("registers_spin", "1: jrcxz 2f\n lea -1(%rcx), %rcx\n jmp 1b\n 2: ret"));

/* All bits at random, as far as a register takes them: exceptions stay masked. */
static inline void registers_random(struct registers *r, uint64_t *state)
{
	for (size_t i = 0; i < sizeof(*r); i += sizeof(uint32_t)) {
		uint32_t word = random_next(state);

		memcpy((char *)r + i, &word, sizeof(word));
	}
	r->flags = (r->flags & FLAG_BITS) | 0x202;
	r->mxcsr = (r->mxcsr & 0xe07f) | 0x1f80;
	r->x87_control = (r->x87_control & 0xf00) | 0x7f;
	if ((r->x87_control & 0x300) == 0x100)
		r->x87_control |= 0x200;
}

static inline void registers_equal(uint64_t before, uint64_t after, const char *name,
				   const char *what)
{
	if (before != after)
		check_fail(__FILE__, __LINE__, 0, "%s: %s was %#llx and is %#llx", what, name,
			   (unsigned long long)before, (unsigned long long)after);
}

static inline void registers_same(const struct registers *a, const struct registers *b,
				  unsigned kept, const char *what)
{
	static const char names[GENERALS][4] = {"rax", "rbx", "rcx", "rdx", "rsi",
						"rdi", "rbp", "r8",  "r9",  "r10",
						"r11", "r12", "r13", "r14", "r15"};
	const unsigned callee = 1 << RBX | 1 << RBP | 1 << R12 | 1 << R13 | 1 << R14 | 1 << R15;
	const unsigned destroyed = 1 << RAX | 1 << RCX | 1 << R11;
	unsigned set = kept & GENERAL ? ~destroyed : kept & CALLEE ? callee : 0;
	char name[32];

	if (kept & WITH_RAX)
		set |= 1 << RAX | 1 << R11;
	for (int i = 0; i < GENERALS; i++)
		if (set >> i & 1)
			registers_equal(a->general[i], b->general[i], names[i], what);
	if (kept & FLAGS)
		registers_equal(a->flags & FLAG_BITS, b->flags & FLAG_BITS, "flags", what);
	if (kept & CONTROL) {
		registers_equal(a->mxcsr, b->mxcsr, "mxcsr", what);
		registers_equal(a->x87_control, b->x87_control, "x87 control word", what);
	}
	for (int i = 0; kept & VECTOR && i < 32; i++) {
		snprintf(name, sizeof(name), "xmm%d, half %d", i / 2, i % 2);
		registers_equal(a->vector[i / 2][i % 2], b->vector[i / 2][i % 2], name, what);
	}
	for (int i = 0; kept & RED_ZONE && i < 16; i++) {
		snprintf(name, sizeof(name), "stack at -%d", 128 - 8 * i);
		registers_equal(a->red_zone[i], b->red_zone[i], name, what);
	}
}

#endif
