// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register residue: what the kernel keeps of a task's user registers. Pages out
 * of the direct map do not help against it: whatever a section had in its vector
 * registers when it was preempted or killed was saved to memory that is mapped.
 *
 * Here is what can be erased of a task that never runs its program again. Of one
 * that lives on, see xsave.c and kstack.c.
 *
 * Of a process that is killed each thread ends by itself, and the last one alone gives
 * up the regions. So it is at the kernel's own tracepoint of a thread's end that this
 * is done, and of every thread: by then most kernels have taken its memory from it,
 * so that nobody can say any more whether it had secrets.
 */
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

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
 * For a task that ends, by SIGKILL in the middle of a section perhaps: its
 * task_struct and its kernel stack are freed as they are, with its registers in
 * them. Does nothing in a task that goes on.
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

static struct tracepoint *thread_ends;

static void LETHE_ON_THREAD_END(on_thread_end)
{
	lethe_fpu_wipe_exiting();
}

static void look_at(struct tracepoint *tracepoint, void *data)
{
	if (!strcmp(tracepoint->name, "sched_process_exit"))
		thread_ends = tracepoint;
}

/**
 * lethe_fpu_init() - from now on, erase the registers of each thread that ends
 *
 * A kernel without that tracepoint still has the last thread of a process erased,
 * by the regions that it gives up; of that the log is told.
 */
void lethe_fpu_init(void)
{
	if (IS_ENABLED(CONFIG_TRACEPOINTS))
		for_each_kernel_tracepoint(look_at, NULL);
	if (IS_ENABLED(CONFIG_TRACEPOINTS) && thread_ends &&
	    tracepoint_probe_register(thread_ends, on_thread_end, NULL))
		thread_ends = NULL;
	if (!thread_ends)
		pr_notice("the registers of killed threads are not erased, but for each process's last: no tracepoint\n");
}

/**
 * lethe_fpu_exit() - no longer
 *
 * Nothing of this is running on return. Sleeps.
 */
void lethe_fpu_exit(void)
{
	if (!IS_ENABLED(CONFIG_TRACEPOINTS) || !thread_ends)
		return;
	tracepoint_probe_unregister(thread_ends, on_thread_end, NULL);
	tracepoint_synchronize_unregister();
}
