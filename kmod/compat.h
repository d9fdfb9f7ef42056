/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that this module is built for, and
 * nothing else: included before all other files, so that those read as if
 * written for the newest of them. Kbuild defines LETHE_HAVE_* after looking
 * into the kernel's headers.
 */
#ifndef LETHE_COMPAT_H
#define LETHE_COMPAT_H

#ifndef LETHE_HAVE_VM_FLAGS_SET
#include <linux/mm.h>

static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif /* LETHE_HAVE_VM_FLAGS_SET */

/* Where a task's saved registers are: out of task_struct's own in newer ones. */
#ifdef LETHE_HAVE_X86_TASK_FPU
#define lethe_fpstate(task)	(x86_task_fpu(task)->fpstate)
#else
#define lethe_fpstate(task)	((task)->thread.fpu.fpstate)
#endif

#endif /* LETHE_COMPAT_H */
