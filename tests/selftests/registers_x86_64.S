/* SPDX-License-Identifier: MIT */
/*
 * What tests of the register erase cannot say in C: fill every register that a
 * called function may leave anything in, and look at all of them right after a
 * call. Never erases anything itself.
 */
#include "registers.h"

	.text

/*
 * void registers_fill(void *pattern)
 *
 * Leaves the eight bytes at @pattern in every caller-saved general register, in
 * all eight x87/MMX registers, in every lane of every vector register and in
 * every mask register that the processor has, by registers_have.
 */
	.globl	registers_fill
	.type	registers_fill, @function
registers_fill:
	.cfi_startproc
	movq	(%rdi), %rax
	.irp n, 0,1,2,3,4,5,6,7
	movq	%rax, %mm\n
	.endr
	movl	registers_have(%rip), %ecx
	cmpl	$HAVE_AVX, %ecx
	jb	.Lsse
	je	.Lavx
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vpbroadcastq %rax, %zmm\n
	.endr
	.irp n, 0,1,2,3,4,5,6,7
	kmovq	%rax, %k\n
	.endr
	jmp	.Lgeneral
.Lavx:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vbroadcastsd (%rdi), %ymm\n
	.endr
	jmp	.Lgeneral
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movddup	(%rdi), %xmm\n
	.endr
.Lgeneral:
	movq	%rax, %rcx
	movq	%rax, %rdx
	movq	%rax, %rsi
	movq	%rax, %rdi
	movq	%rax, %r8
	movq	%rax, %r9
	movq	%rax, %r10
	movq	%rax, %r11
	ret
	.cfi_endproc
	.size	registers_fill, . - registers_fill

/*
 * void registers_after(void (*fn)(void *), void *arg, struct registers *out)
 *
 * Calls fn(arg), and stores every register as it was at its return.
 */
	.globl	registers_after
	.type	registers_after, @function
registers_after:
	.cfi_startproc
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq	%rdx, %rbx
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	movq	%rax, 0(%rbx)
	movq	%rcx, 8(%rbx)
	movq	%rdx, 16(%rbx)
	movq	%rsi, 24(%rbx)
	movq	%rdi, 32(%rbx)
	movq	%r8, 40(%rbx)
	movq	%r9, 48(%rbx)
	movq	%r10, 56(%rbx)
	movq	%r11, 64(%rbx)
	stmxcsr	72(%rbx)
	fnstcw	76(%rbx)
	/* Of what is looked at, no more: with AMX's tiles all would not fit. */
	movl	$REGISTERS_COMPONENTS, %eax
	xorl	%edx, %edx
	xsave64	REGISTERS_XSAVE(%rbx)
	/* Leave the x87 registers as the psABI wants them: empty. */
	emms
	popq	%rbx
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size	registers_after, . - registers_after

	.section .note.GNU-stack, "", @progbits
