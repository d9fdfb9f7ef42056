/* SPDX-License-Identifier: MIT */
/*
 * What the rows cannot say in C: general registers that are left full, all
 * registers emptied, and a stop that changes none.
 */
#include "../../selftests/registers.h"

	.text

/* void row_fill_general(const uint8_t *secret): its four words, twice. */
	.globl	row_fill_general
	.type	row_fill_general, @function
row_fill_general:
	movq	0(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	movq	24(%rdi), %rsi
	movq	0(%rdi), %r8
	movq	8(%rdi), %r9
	movq	16(%rdi), %r10
	movq	24(%rdi), %r11
	ret
	.size	row_fill_general, . - row_fill_general

/* void row_clear_registers(void): all that registers_fill() fills. */
	.globl	row_clear_registers
	.type	row_clear_registers, @function
row_clear_registers:
	.irp n, 0,1,2,3,4,5,6,7
	pxor	%mm\n, %mm\n
	.endr
	emms
	movl	registers_have(%rip), %ecx
	cmpl	$HAVE_AVX, %ecx
	jb	.Lsse
	je	.Lavx
	.irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vpxorq	%zmm\n, %zmm\n, %zmm\n
	.endr
	.irp n, 0,1,2,3,4,5,6,7
	kxorq	%k\n, %k\n, %k\n
	.endr
.Lavx:
	vzeroall
	jmp	.Lgeneral
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	pxor	%xmm\n, %xmm\n
	.endr
.Lgeneral:
	.irp r, eax,ecx,edx,esi,edi,r8d,r9d,r10d,r11d
	xorl	%\r, %\r
	.endr
	ret
	.size	row_clear_registers, . - row_clear_registers

/*
 * void row_stop(void): pause() for good. Changes rax, rcx and r11 alone; the
 * kernel changes the last two at any system call.
 */
	.globl	row_stop
	.type	row_stop, @function
row_stop:
	movl	$34, %eax
	syscall
	jmp	row_stop
	.size	row_stop, . - row_stop

	.section .note.GNU-stack, "", @progbits
