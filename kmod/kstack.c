// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is dead of the kernel's own stacks, wiped: frames of earlier calls, with
 * copies of what was given to those, and general registers that interrupts
 * pushed. Only stacks of the caller and of the CPU that it is on.
 */
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>

#include <asm/cpu_entry_area.h>

#include "kstack.h"

/* Three times what is pushed: that, what a bad return adds, and a few calls. */
#define ENTRY_USED	(3 * sizeof(struct pt_regs))

/*
 * The task's own stack, from its end up to the stack pointer: the kernel has no
 * red zone. An interrupt in the middle of it uses what is below the stack
 * pointer, wiped already or not, and is done with it when the wipe goes on; a
 * task that is switched away from likewise.
 */
static __always_inline void wipe_task_stack(void)
{
	/* The lowest word is the kernel's mark that it never overflowed. */
	unsigned long *at = end_of_stack(current) + 1;
	unsigned long nr;

	asm volatile("mov %%rsp, %1\n\t"
		     "sub %0, %1\n\t"
		     "shr $3, %1\n\t"
		     "rep stosq"
		     : "+D" (at), "=&c" (nr)
		     : "a" (0UL)
		     : "memory", "cc");
}

/*
 * Where this CPU comes into the kernel from user space other than by a system
 * call: all general registers are pushed there, and copied to the task's stack
 * at once, so that no more than the top is ever used. Never by who comes from
 * the kernel, so not now.
 */
static __always_inline void wipe_entry_stack(void)
{
	unsigned long nr = ENTRY_USED / sizeof(nr);
	struct entry_stack *stack;
	unsigned long *at;

	preempt_disable();
	stack = cpu_entry_stack(smp_processor_id());
	at = (unsigned long *)(stack + 1) - nr;
	asm volatile("rep stosq"
		     : "+D" (at), "+c" (nr)
		     : "a" (0UL)
		     : "memory");
	preempt_enable();
}

/**
 * lethe_kstack_wipe() - wipe what is dead of the caller's kernel stacks
 */
void lethe_kstack_wipe(void)
{
	wipe_entry_stack();
	wipe_task_stack();
}
