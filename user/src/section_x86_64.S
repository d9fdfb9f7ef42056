/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The two things that C cannot say: call a function on another stack, and erase
 * every register. Keeps to the psABI, and describes its frames so that gdb,
 * backtrace() and C++ exceptions walk from the secret stack to main().
 */
#include "section.h"

	.text

/*
 * void section_call(void (*fn)(void *), void *arg, void *top)
 *
 * Calls fn(arg) on the stack that ends at @top. Comes back with every register
 * as fn left it, for section_erase_registers() to be called next, but for those
 * that the psABI preserves: rbx, rbp, rsp and r12 to r15 have the caller's
 * values, fn having put them back; MXCSR and the x87 control word those that they
 * had on entry.
 */
	.globl	section_call
	.hidden	section_call
	.type	section_call, @function
	.p2align 4
section_call:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	/*
	 * From here on the frame is found through rbp, which fn preserves,
	 * whichever stack rsp is on.
	 */
	.cfi_def_cfa_register %rbp
	subq	$16, %rsp
	stmxcsr	-8(%rbp)
	fnstcw	-4(%rbp)

	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsp
	call	*%rax
	leaq	-16(%rbp), %rsp

	ldmxcsr	-8(%rbp)
	fldcw	-4(%rbp)
	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	section_call, . - section_call

/*
 * void section_erase_registers(void)
 *
 * Every register that a called function may leave anything in: the general ones
 * that it need not preserve, x87 and MMX, xmm0 to xmm15, and, where they are,
 * the upper parts of ymm and zmm, zmm16 to zmm31 and k0 to k7. The control bits
 * of MXCSR and the x87 control word stay; the flags of both are cleared.
 */
	.globl	section_erase_registers
	.hidden	section_erase_registers
	.type	section_erase_registers, @function
	.p2align 4
section_erase_registers:
	.cfi_startproc
	endbr64
	/*
	 * fninit marks the x87 registers, which MMX shares, as empty, and leaves
	 * what is in them: fill all eight with zero between two of them. It also
	 * clears the last instruction's and operand's address.
	 */
	fnstcw	-4(%rsp)
	fninit
	.rept 8
	fldz
	.endr
	fninit
	fldcw	-4(%rsp)
	stmxcsr	-8(%rsp)
	andl	$MXCSR_CONTROL_MASK, -8(%rsp)
	ldmxcsr	-8(%rsp)

	movzbl	registers_vectors(%rip), %eax
	cmpl	$VECTORS_AVX, %eax
	jb	.Lsse
	je	.Lavx
	/* vzeroall knows registers 0 to 15 alone. */
	.irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vpxord	%zmm\n, %zmm\n, %zmm\n
	.endr
	.irp n, 0,1,2,3,4,5,6,7
	kxorw	%k\n, %k\n, %k\n
	.endr
.Lavx:
	/* Also the uppers of zmm0 to zmm15. */
	vzeroall
	jmp	.Lgeneral
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	pxor	%xmm\n, %xmm\n
	.endr
.Lgeneral:
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	ret
	.cfi_endproc
	.size	section_erase_registers, . - section_erase_registers

	.section .note.GNU-stack, "", @progbits
