/* SPDX-License-Identifier: MIT */
/*
 * What rows cannot say in C: one class of registers filled with a secret's 32 bytes and
 * no other touched but rax, and a stop that changes none.
 */
	.text

	.macro function name
	.globl	\name
	.type	\name, @function
\name:
	.endm

	.macro done name
	ret
	.size	\name, . - \name
	.endm

/* void fill_general(const uint8_t *secret): its four words, twice. */
	function fill_general
	movq	0(%rdi), %rax
	movq	8(%rdi), %rcx
	movq	16(%rdi), %rdx
	movq	24(%rdi), %rsi
	movq	0(%rdi), %r8
	movq	8(%rdi), %r9
	movq	16(%rdi), %r10
	movq	24(%rdi), %r11
	done fill_general

/*
 * void row_stop(void): pause() for good. Changes rax, rcx and r11 alone; the kernel
 * changes the last two at any system call.
 */
	function row_stop
1:	movl	$34, %eax
	syscall
	jmp	1b
	.size	row_stop, . - row_stop

	.section .note.GNU-stack, "", @progbits
