/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Fill every vector, mask and x87 register with what is no secret, and sleep: in
 * one function, so that no compiled code changes any of them in between.
 */
#include <sys/syscall.h>

#include "section.h"

#define RUSAGE_THREAD 1
#define CLOCK_MONOTONIC 1

	.text

/*
 * int overwrite_attempt(struct rusage *before, struct rusage *after,
 *			 const struct timespec *sleep)
 *
 * Counts the switches when all registers are full, sleeps, and counts them again.
 * A system call keeps all registers but rax, rcx and r11. MXCSR and the x87 control
 * word stay as they are.
 */
	.globl	overwrite_attempt
	.hidden	overwrite_attempt
	.type	overwrite_attempt, @function
	.p2align 4
overwrite_attempt:
	.cfi_startproc
	endbr64
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	pushq	%r12
	.cfi_def_cfa_offset 24
	.cfi_offset %r12, -24
	subq	$8, %rsp
	.cfi_def_cfa_offset 32
	movq	%rsi, %rbx
	movq	%rdx, %r12

	.irp n, 0,1,2,3,4,5,6,7
	movq	junk(%rip), %mm\n
	.endr
	movzbl	registers_vectors(%rip), %eax
	cmpl	$VECTORS_AVX, %eax
	jb	.Lsse
	cmpl	$VECTORS_AVX512, %eax
	jb	.Lavx
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vbroadcastsd junk(%rip), %zmm\n
	.endr
	.irp n, 0,1,2,3,4,5,6,7
	kmovw	junk(%rip), %k\n
	.endr
	jmp	.Lfull
.Lavx:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vbroadcastsd junk(%rip), %ymm\n
	.endr
	jmp	.Lfull
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movaps	junk(%rip), %xmm\n
	.endr

.Lfull:
	/* Before: rdi has its address, and gives it up. */
	movq	%rdi, %rsi
	movl	$RUSAGE_THREAD, %edi
	movl	$__NR_getrusage, %eax
	syscall
	testq	%rax, %rax
	jnz	.Ldone

	movl	$CLOCK_MONOTONIC, %edi
	xorl	%esi, %esi
	movq	%r12, %rdx
	xorl	%r10d, %r10d
	movl	$__NR_clock_nanosleep, %eax
	syscall
	testq	%rax, %rax
	jnz	.Ldone

	movl	$RUSAGE_THREAD, %edi
	movq	%rbx, %rsi
	movl	$__NR_getrusage, %eax
	syscall
.Ldone:
	movl	%eax, %ebx
	call	section_erase_registers
	movl	%ebx, %eax
	addq	$8, %rsp
	.cfi_def_cfa_offset 24
	popq	%r12
	.cfi_def_cfa_offset 16
	popq	%rbx
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size	overwrite_attempt, . - overwrite_attempt

	.section .rodata.cst16, "aM", @progbits, 16
	.p2align 4
junk:	.quad	0x5a5a5a5a5a5a5a5a, 0x5a5a5a5a5a5a5a5a

	.section .note.GNU-stack, "", @progbits
