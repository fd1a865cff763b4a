/* thunk.S -- the way from a redirected site to dispatch, and back
 *
 * A site jumps to its slot; the slot repeats the instructions that the jump replaced, steps over the red zone and calls
 * gate_entry with the system call number in eax. Free registers: rcx and r11, which a system call destroys, and rax. All else,
 * flags included, is preserved. Flags travel as lahf and seto leave them: pushf and popf are slower by an order of magnitude.
 *
 *	site's stack pointer
 *	128 bytes red zone
 *	return address into the slot
 *	flags, number, rdi rsi rdx r10 r8 r9 rbp rbx r12 r13 r14 r15	= struct arch_frame
 *
 * To the slot: rcx = 0, rax the number: not ours, jump to the original instruction. Else rax is the result.
 */
#include "asm.h"

#define SLOTS 4096

	.text
	.globl	gate_entry
	.hidden	gate_entry
	.type	gate_entry, @function
	.p2align 6
gate_entry:
	.cfi_startproc
	mov	%eax, %r11d
	lahf
	seto	%al
	mov	%eax, %ecx
	cmp	gate_calls(%rip), %r11d
	jae	1f
	lea	gate_table(%rip), %rax
	cmpq	$0, (%rax,%r11,8)
	je	1f
	push	%rcx
	.cfi_adjust_cfa_offset 8
	push	%r11
	.cfi_adjust_cfa_offset 8
	push_cfi rdi
	push_cfi rsi
	push_cfi rdx
	push_cfi r10
	push_cfi r8
	push_cfi r9
	push_cfi rbp
	push_cfi rbx
	push_cfi r12
	push_cfi r13
	push_cfi r14
	push_cfi r15
	mov	%rsp, %rbp
	.cfi_def_cfa_register rbp
	mov	%rsp, %rdi
	and	$-16, %rsp
	cld
	call	dispatch
	mov	%rbp, %rsp
	.cfi_def_cfa_register rsp
	mov	%rax, %r11
	mov	%rdx, %rcx
	jmp	arch_frame_return
	.cfi_endproc
	.cfi_startproc
1:	mov	%ecx, %eax		/* not ours: put everything back */
	add	$0x7f, %al
	sahf
	mov	%r11d, %eax
	mov	$0, %ecx
	ret
	.cfi_endproc
	.size	gate_entry, . - gate_entry

/* p for the slots below. The byte is taken from the eight that it ends, and p is made twice, because valgrind reads the frame
 * descriptions of whatever is loaded and dies of an operation that it does not know; it knows no smaller loads and no dup. */
#define PLACE 0x80, 0, 0x08, 0x7f, 0x1a, 0x80, 0, 0x09, 0x80, 0x1a, 0x23, 114, 0x06, 0x08, 56, 0x25, 0x1c

/* The slots, written at activation. They stand in this library's own text so that one FDE of its .eh_frame describes them to
 * every unwinder: the frame below is the site's, its program counter stands in the slot at +112, that is at
 * (rip & -128) + 112. A signal frame, because that address is exact and not one behind a call.
 */
	.section .slots, "ax", @progbits
	.globl	weft_slots, weft_slots_end
	.hidden	weft_slots, weft_slots_end
	.type	weft_slots, @function
	.p2align 12
weft_slots:
	.cfi_startproc simple
	.cfi_signal_frame
	/* The red zone is stepped over from the first `lea' (its place stands in the slot's flags) for 18 bytes:
	 * with p = (rip & 127) - prefix, CFA = 5 <= p < 18 ? rsp + 128 : rsp. */
	.cfi_escape 0x0f, 44, 0x77, 0, PLACE, 0x35, 0x2a, PLACE, 0x42, 0x2d, 0x1a, 0x37, 0x24, 0x22
	.cfi_escape 0x10, 16, 7, 0x80, 0, 0x09, 0x80, 0x1a, 0x23, 112
	.fill	SLOTS * 128, 1, 0xcc
	.cfi_endproc
weft_slots_end:
	.size	weft_slots, . - weft_slots

	.section .note.GNU-stack, "", @progbits

/* Signal returns. A handler returns to the restorer, which stands behind a byte of its own FDE because unwinders look up the
 * address before a return address. The frame below is the interrupted one, described register by register in the ucontext. */
	.text
	.macro in_context column offset		/* DWARF register `column' lies at rsp + offset (two-byte sleb128) */
	.cfi_escape 0x10, \column, 3, 0x77, (\offset & 0x7f) | 0x80, \offset >> 7
	.endm
	.macro context_frame
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06	/* CFA = *(rsp + 160) */
	in_context 8 40
	in_context 9 48
	in_context 10 56
	in_context 11 64
	in_context 12 72
	in_context 13 80
	in_context 14 88
	in_context 15 96
	in_context 5 104
	in_context 4 112
	in_context 6 120
	in_context 3 128
	in_context 1 136
	in_context 0 144
	in_context 2 152
	in_context 7 160
	in_context 16 168
	.endm

	.p2align 4
	context_frame
	nop
	.globl	catch_kernel_restorer
	.hidden	catch_kernel_restorer
	.type	catch_kernel_restorer, @function
catch_kernel_restorer:
	mov	$15, %eax
	syscall
	.cfi_endproc
	.size	catch_kernel_restorer, . - catch_kernel_restorer

	.p2align 4
	context_frame
	nop
	.globl	catch_restorer
	.hidden	catch_restorer
	.type	catch_restorer, @function
catch_restorer:
	mov	%rsp, %rdi
	and	$-16, %rsp
	call	catch_returned
	ud2
	.cfi_endproc
	.size	catch_restorer, . - catch_restorer
