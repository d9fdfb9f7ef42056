/* SPDX-License-Identifier: MIT */
/*
 * What rows cannot say in C: one class of registers filled with a secret's 32 bytes, and
 * no other touched but rax. What fills general ones, empties all, and stops, is the
 * peers'.
 */
#include "../../selftests/registers.h"

	.text

	.macro function name
	.globl	\name
	.type	\name, @function
\name:
	.endm

	.macro done name
	xorl	%eax, %eax
	ret
	.size	\name, . - \name
	.endm

/* void fill_x87(const uint8_t *secret): as MMX; a register has a word of it. */
	function fill_x87
	.irp n, 0,1,2,3
	movq	8 * \n(%rdi), %mm\n
	.endr
	.irp n, 4,5,6,7
	movq	8 * (\n - 4)(%rdi), %mm\n
	.endr
	done fill_x87

/* void fill_vector(const uint8_t *secret): all of ymm0 to ymm15, or what there is. */
	function fill_vector
	cmpl	$HAVE_AVX, registers_have(%rip)
	jb	.Lsse
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	(%rdi), %ymm\n
	.endr
	jmp	.Lfilled
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movdqu	(%rdi), %xmm\n
	.endr
.Lfilled:
	done fill_vector

/* void fill_upper(const uint8_t *secret): the upper half of zmm0 to zmm15, no more. */
	function fill_upper
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vpxorq	%zmm\n, %zmm\n, %zmm\n
	vinserti64x4 $1, (%rdi), %zmm\n, %zmm\n
	.endr
	done fill_upper

/* void fill_high(const uint8_t *secret): zmm16 to zmm31, which no VZEROALL empties. */
	function fill_high
	.irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vbroadcasti64x4 (%rdi), %zmm\n
	.endr
	done fill_high

/* void fill_masks(const uint8_t *secret) */
	function fill_masks
	.irp n, 0,1,2,3
	kmovq	8 * \n(%rdi), %k\n
	.endr
	.irp n, 4,5,6,7
	kmovq	8 * (\n - 4)(%rdi), %k\n
	.endr
	done fill_masks

/* void fill_red_zone(const uint8_t *secret): all of its own, which nothing is called in. */
	function fill_red_zone
	.irp at, 0,8,16,24
	movq	\at(%rdi), %rax
	movq	%rax, \at - 128(%rsp)
	movq	%rax, \at - 96(%rsp)
	movq	%rax, \at - 64(%rsp)
	movq	%rax, \at - 32(%rsp)
	.endr
	done fill_red_zone

/*
 * void signal_full(const uint8_t *secret, long pid, long tid, long number): every register
 * that can be is full of the secret's first eight bytes as the signal comes, which is at
 * the end of the system call. The caller empties them.
 */
	function signal_full
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	movq	%rsi, %rbx
	movq	%rdx, %rbp
	movq	%rcx, %r12
	call	registers_fill
	emms
	movq	%rbx, %rdi
	movq	%rbp, %rsi
	movq	%r12, %rdx
	movl	$234, %eax
	syscall
	popq	%r12
	popq	%rbp
	popq	%rbx
	done signal_full

/* void fault_full(const uint8_t *secret): likewise, and the signal is a SIGSEGV. */
	function fault_full
	subq	$8, %rsp
	call	registers_fill
	emms
	movb	$0, 0
	addq	$8, %rsp
	done fault_full

	.section .note.GNU-stack, "", @progbits
