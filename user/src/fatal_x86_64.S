/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where the kernel begins the handler of a fatal signal. The kernel zeroes the vector
 * registers there, but not the general ones, which C would push on the stack that the
 * handler is on: under LETHE_FAST, the program's. The kernel has them all in the
 * signal's frame, and nobody wants them back.
 */
	.text
	.globl	fatal_enter
	.hidden	fatal_enter
	.type	fatal_enter, @function
fatal_enter:
	.cfi_startproc
	endbr64
	.irp	r, ebx,ebp,r12d,r13d,r14d,r15d
	xorl	%\r, %\r
	.endr
	jmp	fatal_handler
	.cfi_endproc
	.size	fatal_enter, . - fatal_enter

	.section .note.GNU-stack, "", @progbits
