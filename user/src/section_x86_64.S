/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What C cannot say: call a function on another stack, erase every register, and
 * the mark by which a section is told from a signal handler. Keeps to the psABI,
 * and describes its frames so that gdb, backtrace() and C++ exceptions walk from
 * the secret stack to main().
 */
#include "section.h"

	.text

/*
 * void section_call(void (*fn)(void *), void *arg, void *top)
 *
 * Calls fn(arg) on the stack that ends at @top. Comes back with every register
 * as fn left it, but for those that the psABI preserves: rbx, rbp, rsp and r12 to
 * r15 have the caller's values, fn having put them back; MXCSR and the x87 control
 * word those that they had on entry. What fn leaves in a register, a signal could
 * copy to the caller's stack.
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
 * void section_mark(void)
 * bool section_marked(void)
 *
 * The mark is a TOP field of the x87 status word that is not zero. A signal's
 * delivery makes it zero, with the rest of the x87 state, and the handler's
 * return brings back what it was: so it is there in a section, and not in a
 * handler that interrupts it. It means nothing to x87 code, for which the register
 * stack begins wherever TOP is; longjmp() leaves it, and a context that is
 * switched to has that of the place where it was made. MMX code and fninit lose it.
 */
	.globl	section_mark
	.hidden	section_mark
	.type	section_mark, @function
	.p2align 4
section_mark:
	.cfi_startproc
	endbr64
	/* An MMX instruction makes TOP zero, whatever it was. */
	pxor	%mm0, %mm0
	emms
	fincstp
	ret
	.cfi_endproc
	.size	section_mark, . - section_mark

	.globl	section_marked
	.hidden	section_marked
	.type	section_marked, @function
	.p2align 4
section_marked:
	.cfi_startproc
	endbr64
	fnstsw	%ax
	testl	$X87_STATUS_TOP, %eax
	setne	%al
	ret
	.cfi_endproc
	.size	section_marked, . - section_marked

/*
 * void section_erase_registers(void)
 *
 * Every register that a called function may leave anything in: the general ones
 * that it need not preserve, x87 and MMX, xmm0 to xmm15, and, where they are,
 * the upper parts of ymm and zmm, zmm16 to zmm31 and k0 to k7. MXCSR and the x87
 * control word stay; the x87 status becomes zero, and the mark with it.
 */
	.globl	section_erase_registers
	.hidden	section_erase_registers
	.type	section_erase_registers, @function
	.p2align 4
section_erase_registers:
	.cfi_startproc
	endbr64
	/*
	 * Twice fninit would do the same at ten times the cost. pxor makes TOP
	 * zero; emms empties all eight registers, so that eight loads fill them
	 * without an overflow and come round to TOP zero again. The load from memory
	 * puts our address where the processor keeps that of the last operand.
	 */
	pxor	%mm0, %mm0
	emms
	flds	zero(%rip)
	.rept 7
	fldz
	.endr
	emms
	/* Rare: exception flags, or the outcome of an x87 comparison. */
	fnstsw	%ax
	testw	%ax, %ax
	jnz	.Lx87_status
.Lvectors:
	movzbl	registers_vectors(%rip), %eax
	cmpl	$VECTORS_AVX, %eax
	jb	.Lsse
	cmpl	$VECTORS_AVX512, %eax
	jb	.Lavx
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
.Lsse:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	pxor	%xmm\n, %xmm\n
	.endr
	jmp	.Lgeneral
.Lx87_status:
	fnstcw	-4(%rsp)
	fninit
	fldcw	-4(%rsp)
	jmp	.Lvectors
	.cfi_endproc
	.size	section_erase_registers, . - section_erase_registers

/*
 * char *section_wipe(char *first, ptrdiff_t step, size_t pieces, char *end)
 *
 * Zeroes each of so many pieces that is not all zero: that at @first, that @step
 * bytes further, up or down, and so on. Returns the lowest of them, or @end, which
 * lies above all, if there was none. Nothing of what it reads is ever in a
 * register, from where a signal could copy it to ordinary memory, but for what it
 * says of a word that it is zero or not: memory is compared, not loaded. Leaves every vector register zero that it uses.
 */
	.globl	section_wipe
	.hidden	section_wipe
	.type	section_wipe, @function
	.p2align 4
section_wipe:
	.cfi_startproc
	endbr64
	movq	%rcx, %rax
	cmpb	$VECTORS_AVX2, registers_vectors(%rip)
	jb	.Lwipe_sse
	vpxor	%xmm0, %xmm0, %xmm0
	.p2align 5
1:	vpcmpeqd (%rdi), %ymm0, %ymm1
	vpcmpeqd 32(%rdi), %ymm0, %ymm2
	vpcmpeqd 64(%rdi), %ymm0, %ymm3
	vpcmpeqd 96(%rdi), %ymm0, %ymm4
	vpand	%ymm1, %ymm2, %ymm1
	vpand	%ymm3, %ymm4, %ymm3
	vpcmpeqd 128(%rdi), %ymm0, %ymm2
	vpcmpeqd 160(%rdi), %ymm0, %ymm4
	vpcmpeqd 192(%rdi), %ymm0, %ymm5
	vpcmpeqd 224(%rdi), %ymm0, %ymm6
	vpand	%ymm2, %ymm4, %ymm2
	vpand	%ymm5, %ymm6, %ymm5
	vpand	%ymm1, %ymm3, %ymm1
	vpand	%ymm2, %ymm5, %ymm2
	vpand	%ymm1, %ymm2, %ymm1
	vpmovmskb %ymm1, %ecx
	incl	%ecx
	jnz	3f
2:	addq	%rsi, %rdi
	decq	%rdx
	jnz	1b
	vzeroall
	xorl	%ecx, %ecx
	ret
3:	.irp at, 0,32,64,96,128,160,192,224
	vmovdqa	%ymm0, \at(%rdi)
	.endr
	cmpq	%rax, %rdi
	cmovb	%rdi, %rax
	jmp	2b

	.p2align 5
.Lwipe_sse:
	pxor	%xmm0, %xmm0
4:	movdqa	%xmm0, %xmm1
	pcmpeqd	(%rdi), %xmm1
	.irp at, 16,32,48,64,80,96,112,128,144,160,176,192,208,224,240
	movdqa	%xmm0, %xmm2
	pcmpeqd	\at(%rdi), %xmm2
	pand	%xmm2, %xmm1
	.endr
	pmovmskb %xmm1, %ecx
	subl	$0xffff, %ecx
	jnz	6f
5:	addq	%rsi, %rdi
	decq	%rdx
	jnz	4b
	pxor	%xmm1, %xmm1
	pxor	%xmm2, %xmm2
	xorl	%ecx, %ecx
	ret
6:	.irp at, 0,16,32,48,64,80,96,112,128,144,160,176,192,208,224,240
	movdqa	%xmm0, \at(%rdi)
	.endr
	cmpq	%rax, %rdi
	cmovb	%rdi, %rax
	jmp	5b
	.cfi_endproc
	.size	section_wipe, . - section_wipe

/*
 * What rseq.h points the kernel at: a critical section that no thread is ever in,
 * so that the kernel's whole answer to it is to clear the pointer.
 */
	.p2align 4
never:
	ud2
.Lnever_end:
	.long	RSEQ_SIGNATURE
never_abort:
	ud2

	.section .data.rel.ro, "aw"
	.globl	rseq_never
	.hidden	rseq_never
	.type	rseq_never, @object
	.p2align 5
rseq_never:
	.long	0, 0
	.quad	never, .Lnever_end - never, never_abort
	.size	rseq_never, . - rseq_never

	.section .rodata
	.p2align 2
zero:	.long	0

	.section .note.GNU-stack, "", @progbits
