// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a task's stacks are in user space, and what of them is dead. It reads what
 * the kernel knows of a task that does not run there meanwhile, and nothing of what
 * lies on the stacks.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>

#include "resident.h"
#include "ustack.h"

/* What a function may use below its stack pointer without moving that: psABI. */
#define RED_ZONE	128

/* As the kernel itself decides it: the stack grows down, away from its end. */
static bool on_signal_stack(struct task_struct *task, unsigned long sp)
{
	return sp > task->sas_ss_sp && sp - task->sas_ss_sp <= task->sas_ss_size;
}

/* Where the mapping begins that @sp is in; @sp where there is none. */
static int find_start(unsigned long sp, unsigned long *start)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, sp);
	/* Nothing has been pushed yet. What begins there would be another's. */
	if (!vma)
		vma = vma_lookup(mm, sp - 1);
	*start = vma ? vma->vm_start : sp;
	mmap_read_unlock(mm);
	return 0;
}

/* Below the last guard page in [start, end) somebody else's memory may lie. */
static unsigned long above_fences(unsigned long start, unsigned long end)
{
	unsigned long addr = start;
	unsigned long next;

	while (addr < end) {
		if (lethe_resident_run(addr, end, &next) == LETHE_FENCED)
			start = next;
		addr = next;
		cond_resched();
	}
	return start;
}

/**
 * lethe_ustack_dead() - what of a task's stack holds frames that have returned
 * @task: itself, or one whose memory current->mm is; not in user space meanwhile
 * @sp: its stack pointer there
 * @dead: set to it
 *
 * Return: 0, or -EINTR where the caller was killed.
 */
int lethe_ustack_dead(struct task_struct *task, unsigned long sp,
		      struct lethe_extent *dead)
{
	int err;

	*dead = (struct lethe_extent){};
	if (sp <= RED_ZONE || sp > TASK_SIZE_MAX)
		return 0;
	err = find_start(sp, &dead->start);
	if (err)
		return err;
	dead->end = sp - RED_ZONE;
	if (on_signal_stack(task, sp))
		dead->start = max(dead->start, task->sas_ss_sp);
	if (dead->start < dead->end)
		dead->start = above_fences(dead->start, dead->end);
	return 0;
}

/**
 * lethe_ustack_signal() - the alternate signal stack
 * @task: as above
 * @sp: likewise
 * @stack: set to it; empty if there is none
 *
 * Return: 0, -EBUSY if the task is on it, or -EFAULT if it is no memory of a
 * program's.
 */
int lethe_ustack_signal(struct task_struct *task, unsigned long sp,
			struct lethe_extent *stack)
{
	unsigned long start = task->sas_ss_sp;
	unsigned long size = task->sas_ss_size;

	*stack = (struct lethe_extent){};
	if (!size)
		return 0;
	if (on_signal_stack(task, sp))
		return -EBUSY;
	if (start > TASK_SIZE_MAX || size > TASK_SIZE_MAX - start)
		return -EFAULT;
	stack->start = start;
	stack->end = start + size;
	return 0;
}
