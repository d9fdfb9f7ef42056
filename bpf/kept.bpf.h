/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel keeps of a thread's user registers: its XSAVE area and its kernel
 * stack, by address and size. Reads nothing of what is in them.
 */
#ifndef LETHE_KEPT_BPF_H
#define LETHE_KEPT_BPF_H

#include "core_fixes.bpf.h"
#include "find_task.bpf.h"

/* As the kernel has it since it has threads of its own; a macro there, too. */
#define PF_KTHREAD 0x00200000

static __always_inline struct fpstate *kept_area(struct task_struct *task)
{
	return BPF_CORE_READ(fix_task_fpu(task), fpstate);
}

/* It has a user's registers, and is not yet ending. */
static __always_inline bool kept_is_users(struct task_struct *task)
{
	return !(BPF_CORE_READ(task, flags) & PF_KTHREAD) && BPF_CORE_READ(task, mm);
}

#endif /* LETHE_KEPT_BPF_H */
