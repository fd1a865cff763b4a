/* user.S -- accesses to memory of the program that may not be there
 *
 * No routine here pushes anything: wherever one faults, arch_user_fault returns to its caller. Words of eight bytes rather than
 * `rep movs', which takes longer to begin than most of what is copied here.
 */
#include "asm.h"

	.text

	.globl	arch_user_start, arch_user_end
	.hidden	arch_user_start, arch_user_end
arch_user_start:

/* long arch_user_copy(void *to, const void *from, size_t n) */
function arch_user_copy
	.cfi_startproc
	mov	%rdx, %rcx
	shr	$3, %rcx
	jz	2f
1:	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
	dec	%rcx
	jnz	1b
2:	test	$4, %edx
	jz	5f
	mov	(%rsi), %eax		/* a futex word, say, at once */
	mov	%eax, (%rdi)
	add	$4, %rsi
	add	$4, %rdi
5:	and	$3, %edx
	jz	4f
3:	movzbl	(%rsi), %eax
	mov	%al, (%rdi)
	inc	%rsi
	inc	%rdi
	dec	%edx
	jnz	3b
4:	xor	%eax, %eax
	ret
	.cfi_endproc
	.size	arch_user_copy, . - arch_user_copy

/* long arch_user_cas(uint32_t *at, uint32_t *was, uint32_t next) */
function arch_user_cas
	.cfi_startproc
	mov	(%rsi), %eax
	lock cmpxchg %edx, (%rdi)
	mov	%eax, (%rsi)
	mov	$0, %eax
	ret
	.cfi_endproc
	.size	arch_user_cas, . - arch_user_cas
arch_user_end:

function arch_user_fault
	.cfi_startproc
	mov	$-14, %rax		/* -EFAULT */
	ret
	.cfi_endproc
	.size	arch_user_fault, . - arch_user_fault

	.section .note.GNU-stack, "", @progbits
