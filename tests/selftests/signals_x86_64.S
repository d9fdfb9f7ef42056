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

	.macro	restore
	.irp r, r15, r14, r13, r12, rbp, rbx
	popq	%\r
	.cfi_adjust_cfa_offset -8
	.cfi_restore \r
	.endr
	ret
	.cfi_endproc
	.endm

	/* Empties the x87 registers of MMX's use, as the psABI wants them. */
	.macro	restore_and_return
	emms
	restore
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

/*
 * void signals_spin(void *secret)
 *
 * Fills every register and does nothing for some 30 us, then leaves them as they
 * are then, the x87 ones too: for registers_after() to look at.
 */
	.globl	signals_spin
	.type	signals_spin, @function
signals_spin:
	save
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	registers_fill
	fill_preserved rbx, rbp, r12, r13, r14, r15
	movl	$20000, (%rsp)
1:	decl	(%rsp)
	jnz	1b
	/* One that was changed meanwhile shows in one that is looked at. */
	.irp r, rbx, rbp, r12, r13, r14, r15
	andq	%\r, %rax
	.endr
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	restore
	.size	signals_spin, . - signals_spin

	.section .note.GNU-stack, "", @progbits
