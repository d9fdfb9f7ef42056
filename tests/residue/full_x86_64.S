/* SPDX-License-Identifier: MIT */
/*
 * Every register full of one word, in a system call or in a loop: what C cannot
 * say. See full.h.
 */
#include "full.h"

	.macro	save_all
	.irp r, rbx,rbp,r12,r13,r14,r15
	pushq	%\r
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\r, 0
	.endr
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	restore_all
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	.irp r, r15,r14,r13,r12,rbp,rbx
	popq	%\r
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\r
	.endr
	.endm

	/* registers_fill() leaves the word in rax too. */
	.macro	fill_all
	call	registers_fill
	.irp r, rbx,rbp,r12,r13,r14,r15
	movq	%rax, %\r
	.endr
	.endm

	.text
	.globl	full_in_call
	.type	full_in_call, @function
full_in_call:
	.cfi_startproc
	save_all
	fill_all
	movq	%rax, %r10
	movq	full_call+FULL_NUMBER(%rip), %rax
	movq	full_call+FULL_ARGUMENT(0)(%rip), %rdi
	movq	full_call+FULL_ARGUMENT(1)(%rip), %rsi
	movq	full_call+FULL_ARGUMENT(2)(%rip), %rdx
	syscall
	restore_all
	ret
	.cfi_endproc
	.size	full_in_call, . - full_in_call

	.globl	full_on_processor
	.type	full_on_processor, @function
full_on_processor:
	.cfi_startproc
	save_all
	fill_all
1:	pause
	cmpl	$0, full_end(%rip)
	je	1b
	restore_all
	ret
	.cfi_endproc
	.size	full_on_processor, . - full_on_processor

	.bss
	.globl	full_call, full_end
	.type	full_call, @object
	.type	full_end, @object
	.p2align 3
full_call:
	.zero	FULL_ARGUMENT(3)
	.size	full_call, . - full_call
full_end:
	.zero	4
	.size	full_end, . - full_end

	.section .note.GNU-stack, "", @progbits
