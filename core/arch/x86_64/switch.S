/* switch.S -- the switch between stacks, and the ways into one
 *
 * A parked context is its stack pointer; there lie, from the lowest address up:
 *
 *	mxcsr, x87 control and status word	8 bytes
 *	r15 r14 r13 r12 rbx rbp		48 bytes
 *	return address
 *
 * The callee-saved part of the ABI and nothing more: the caller of arch_switch is C code.
 */
#include "asm.h"

	.text

/* void arch_switch(void **save, void *sp, uintptr_t fs) */
function arch_switch
	.cfi_startproc
	push_cfi rbp
	push_cfi rbx
	push_cfi r12
	push_cfi r13
	push_cfi r14
	push_cfi r15
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	fnstsw	6(%rsp)
	mov	%rsp, (%rdi)
	mov	%rsi, %rsp
	test	%rdx, %rdx
	jz	1f
	wrfsbase %rdx
1:	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	fnstsw	%ax
	cmp	6(%rsp), %ax
	jne	3f
2:	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	.cfi_remember_state
	pop_cfi r15
	pop_cfi r14
	pop_cfi r13
	pop_cfi r12
	pop_cfi rbx
	pop_cfi rbp
	ret
	.cfi_restore_state
	.cfi_adjust_cfa_offset 8
3:	mov	6(%rsp), %ax		/* exception flags differ: the whole environment has to be loaded */
	sub	$32, %rsp
	.cfi_adjust_cfa_offset 32
	fnstenv	(%rsp)
	mov	%ax, 4(%rsp)
	mov	36(%rsp), %ax
	mov	%ax, (%rsp)
	fldenv	(%rsp)
	add	$32, %rsp
	.cfi_adjust_cfa_offset -32
	jmp	2b
	.cfi_endproc
	.size	arch_switch, . - arch_switch

/* void arch_call_on(void *stack_top, void (*fn)(void *), void *arg) */
function arch_call_on
	.cfi_startproc
	push_cfi rbp
	mov	%rsp, %rbp
	.cfi_def_cfa_register rbp
	mov	%rdi, %rsp
	and	$-16, %rsp
	mov	%rdx, %rdi
	call	*%rsi
	mov	%rbp, %rsp
	pop	%rbp
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	ret
	.cfi_endproc
	.size	arch_call_on, . - arch_call_on

/* First context of a carrier's stack: r12 = fn, r13 = arg. */
function arch_enter
	.cfi_startproc
	.cfi_undefined rip
	xor	%ebp, %ebp
	mov	%r13, %rdi
	and	$-16, %rsp
	call	*%r12
	ud2
	.cfi_endproc
	.size	arch_enter, . - arch_enter

/* First context of a child of clone: rsp points at a copy of the parent's struct arch_frame. */
function arch_enter_clone
	.cfi_startproc
	.cfi_undefined rip
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	sched_started
	mov	%rbp, %rsp
	xor	%r11d, %r11d
	mov	$1, %ecx
	jmp	arch_frame_return
	.cfi_endproc
	.size	arch_enter_clone, . - arch_enter_clone

/* arch_frame_return -- the end of every gate passage. rsp points at a struct arch_frame, r11 is what rax becomes, rcx tells
 * the slot whether the call was ours. Nothing between `add' and `sahf' may touch the flags. */
function arch_frame_return
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 120
	.cfi_offset rip, -8
	.cfi_offset r15, -120
	.cfi_offset r14, -112
	.cfi_offset r13, -104
	.cfi_offset r12, -96
	.cfi_offset rbx, -88
	.cfi_offset rbp, -80
	pop_cfi r15
	pop_cfi r14
	pop_cfi r13
	pop_cfi r12
	pop_cfi rbx
	pop_cfi rbp
	pop	%r9
	.cfi_adjust_cfa_offset -8
	pop	%r8
	.cfi_adjust_cfa_offset -8
	pop	%r10
	.cfi_adjust_cfa_offset -8
	pop	%rdx
	.cfi_adjust_cfa_offset -8
	pop	%rsi
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	mov	8(%rsp), %eax
	add	$0x7f, %al
	sahf
	mov	%r11, %rax
	lea	16(%rsp), %rsp
	.cfi_adjust_cfa_offset -16
	ret
	.cfi_endproc
	.size	arch_frame_return, . - arch_frame_return

/* void *arch_prepare(void *stack_top, void (*fn)(void *), void *arg) */
function arch_prepare
	.cfi_startproc
	and	$-16, %rdi
	lea	-80(%rdi), %rax
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	fnstsw	6(%rax)
	movq	$0, 8(%rax)		/* r15 */
	movq	$0, 16(%rax)		/* r14 */
	mov	%rdx, 24(%rax)		/* r13 */
	mov	%rsi, 32(%rax)		/* r12 */
	movq	$0, 40(%rax)		/* rbx */
	movq	$0, 48(%rax)		/* rbp */
	lea	arch_enter(%rip), %rcx
	mov	%rcx, 56(%rax)
	ret
	.cfi_endproc
	.size	arch_prepare, . - arch_prepare

/* void *arch_prepare_clone(void *stack_top, const struct arch_frame *f) */
function arch_prepare_clone
	.cfi_startproc
	lea	-248(%rdi), %rdi	/* red zone and frame; the child's stack pointer is stack_top again */
	lea	-64(%rdi), %rax
	cld
	mov	$15, %ecx
	rep movsq
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	fnstsw	6(%rax)
	lea	arch_enter_clone(%rip), %rcx
	mov	%rcx, 56(%rax)
	ret
	.cfi_endproc
	.size	arch_prepare_clone, . - arch_prepare_clone

/* void arch_sigreturn(void *frame, uintptr_t fs) */
function arch_sigreturn
	.cfi_startproc
	.cfi_undefined rip
	mov	%rdi, %rsp
	test	%rsi, %rsi
	jz	1f
	wrfsbase %rsi
1:	mov	$15, %eax
	syscall
	ud2
	.cfi_endproc
	.size	arch_sigreturn, . - arch_sigreturn

/* long arch_clone(unsigned long flags, void *stack_top, void (*fn)(void *), void *arg, int *tid_word) */
function arch_clone
	.cfi_startproc
	and	$-16, %rsi
	sub	$16, %rsi
	mov	%rdx, (%rsi)
	mov	%rcx, 8(%rsi)
	mov	%r8, %rdx		/* parent_tid */
	mov	%r8, %r10		/* child_tid */
	cmpl	$0, arch_has_fsgsbase(%rip)
	je	2f
	rdfsbase %r8			/* thread pointer */
	jmp	3f
2:	btr	$19, %rdi		/* without CLONE_SETTLS the kernel passes on the caller's */
3:	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	.cfi_undefined rip
	xor	%ebp, %ebp
	pop	%rax
	pop	%rdi
	call	*%rax
	ud2
	.cfi_endproc
	.size	arch_clone, . - arch_clone

	.section .note.GNU-stack, "", @progbits
