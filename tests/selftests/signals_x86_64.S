/* SPDX-License-Identifier: MIT */
/*
 * A signal that comes when every register is full: what C cannot say, since it
 * would have to have the arguments of the system call somewhere.
 */
#include <asm/unistd.h>

	.text

	.macro	save
	.cfi_startproc
	.irp r, rbx, rbp, r12, r13, r14, r15
	pushq	%\r
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \r, 0
	.endr
	.endm

	/* Empties the x87 registers of MMX's use, as the psABI wants them. */
	.macro	restore_and_return
	emms
	.irp r, r15, r14, r13, r12, rbp, rbx
	popq	%\r
	.cfi_adjust_cfa_offset -8
	.cfi_restore \r
	.endr
	ret
	.cfi_endproc
	.endm

	.macro	fill_preserved, registers:vararg
	.irp r, \registers
	movq	%rax, %\r
	.endr
	.endm

/* void signals_fill_and_send(void *secret, int process, int thread, int number) */
	.globl	signals_fill_and_send
	.type	signals_fill_and_send, @function
signals_fill_and_send:
	save
	movl	%esi, %r12d
	movl	%edx, %r13d
	movl	%ecx, %r14d
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	registers_fill
	fill_preserved rbx, rbp, r15
	movl	%r12d, %edi
	movl	%r13d, %esi
	movl	%r14d, %edx
	fill_preserved r12, r13, r14
	movl	$__NR_tgkill, %eax
	syscall
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	restore_and_return
	.size	signals_fill_and_send, . - signals_fill_and_send

/* void signals_fill(void *secret) */
	.globl	signals_fill
	.type	signals_fill, @function
signals_fill:
	save
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	registers_fill
	fill_preserved rbx, rbp, r12, r13, r14, r15
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	restore_and_return
	.size	signals_fill, . - signals_fill

	.section .note.GNU-stack, "", @progbits
