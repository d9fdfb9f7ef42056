/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What C cannot say: wipe the stack below a function, up to its very frame. Never
 * touches anything above the return address of its own caller.
 */
#include "section.h"

	.text

/*
 * int wipe_below(int (*far)(void *arg, char *here, char **near), void *arg)
 *
 * Calls far(@arg, here, &near), which wipes what lies far below here and says where
 * that ends: what is between, its own frames among it, is zeroed after it. Nothing is
 * if it says NULL. Returns what far() returned; below the return address there are
 * zeros then, and rbp, which is the caller's.
 */
	.globl	wipe_below
	.hidden	wipe_below
	.type	wipe_below, @function
	.p2align 4
wipe_below:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq	$0
	pushq	$0
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rsp, %rsi
	movq	%rsp, %rdx
	call	*%rax

	movq	(%rsp), %rdi
	testq	%rdi, %rdi
	jz	1f
	/* The stack pointer goes first: a signal's frame lies below what is zeroed. */
	movl	%eax, %edx
	andq	$-16, %rdi
	movq	%rdi, %rsp
	movq	%rbp, %rcx
	subq	%rdi, %rcx
	xorl	%eax, %eax
	rep stosb
	movl	%edx, %eax
1:	leave
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	wipe_below, . - wipe_below

/*
 * int wipe_stack_in_room(pid_t tid, void *start, size_t length)
 * int wipe_thread_in_room(void)
 * int do_with_in_room(const struct lethe_options *options, void (*fn)(void *), void *arg,
 *		       struct lethe_report *report)
 *
 * Go on as the function without "_in_room", after zeroing WIPE_ROOM bytes below the
 * caller's frame. Its frames, and those that it calls, down to wipe_below()'s, have
 * nothing old in their gaps then: there wipe_below() cannot wipe. So nothing of the
 * compiler's may come before it.
 */
	.macro	in_room name
	.globl	\name\()_in_room
	.hidden	\name\()_in_room
	.type	\name\()_in_room, @function
	.p2align 4
\name\()_in_room:
	.cfi_startproc
	endbr64
	subq	$WIPE_ROOM, %rsp
	.cfi_def_cfa_offset WIPE_ROOM + 8
	movq	%rdi, %r8
	movq	%rcx, %r9
	movq	%rsp, %rdi
	movl	$WIPE_ROOM, %ecx
	xorl	%eax, %eax
	rep stosb
	movq	%r9, %rcx
	movq	%r8, %rdi
	addq	$WIPE_ROOM, %rsp
	.cfi_def_cfa_offset 8
	jmp	\name
	.cfi_endproc
	.size	\name\()_in_room, . - \name\()_in_room
	.endm

	in_room	wipe_stack
	in_room	wipe_thread
	in_room	do_with

	.section .note.GNU-stack, "", @progbits
