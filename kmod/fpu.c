// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register residue: what the kernel keeps of a task's user registers. Pages out
 * of the direct map do not help against it: whatever a section had in its vector
 * registers when it was preempted or killed was saved to memory that is mapped.
 *
 * Here is what can be erased of a task that never runs its program again. Of one
 * that lives on, see xsave.c and kstack.c.
 */
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>

#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "fpu.h"

/*
 * All of the saved registers, in each component that this processor has: the
 * area is as long as they need. Its header is kept but for what it says is
 * there, so that it stays a state that could be loaded.
 */
static void wipe_saved_registers(struct fpstate *fpstate)
{
	struct xregs_state *xsave = &fpstate->regs.xsave;

	memzero_explicit(&xsave->i387, sizeof(xsave->i387));
	if (fpstate->size <= sizeof(*xsave))
		return;
	xsave->header.xfeatures = 0;
	memzero_explicit(xsave->extended_state_area,
			 fpstate->size - sizeof(*xsave));
}

/*
 * What the last way into the kernel pushed: all general registers come before
 * orig_ax. Where from and how, which come after it, the kernel may still ask.
 */
static void wipe_general_registers(struct pt_regs *regs)
{
	memzero_explicit(regs, offsetof(struct pt_regs, orig_ax));
}

/**
 * lethe_fpu_wipe_exiting() - erase the caller's registers if it is on its way out
 *
 * For a task that gives up its last region as it ends, by SIGKILL in the middle
 * of a section perhaps: its task_struct and its kernel stack are freed as they
 * are, with its registers in them. Does nothing in a task that goes on.
 */
void lethe_fpu_wipe_exiting(void)
{
	if (!(current->flags & PF_EXITING) || current->flags & PF_KTHREAD)
		return;

	/*
	 * What is still in the registers is saved now, and then not once more:
	 * that they are to be loaded again is noted, and never comes.
	 */
	kernel_fpu_begin();
	wipe_saved_registers(lethe_fpstate(current));
	kernel_fpu_end();
	wipe_general_registers(task_pt_regs(current));
}
