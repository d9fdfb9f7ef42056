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

/* What stands in an entry that is not present: named anew, with a header. */
#ifdef LETHE_HAVE_SOFTLEAF
#include <linux/leafops.h>
#else
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

/* Of the three, stable kernels have the first already. */
#ifndef softleaf_from_pte
#define softleaf_from_pte	pte_to_swp_entry
#endif
#define softleaf_is_migration	is_migration_entry
#define pmd_is_migration_entry	is_pmd_migration_entry
#endif

/*
 * Where a task's saved registers are: behind task_struct in newer ones. What
 * x86_task_fpu() is there depends on the configuration: this, or a function
 * that checks it and is not exported.
 */
#ifdef LETHE_HAVE_FPU_BEHIND_TASK
#define lethe_fpu(task)		((struct fpu *)((task) + 1))
#else
#define lethe_fpu(task)		(&(task)->thread.fpu)
#endif
#define lethe_fpstate(task)	(lethe_fpu(task)->fpstate)

#endif /* LETHE_COMPAT_H */
