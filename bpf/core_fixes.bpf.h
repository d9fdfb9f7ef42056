/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels, for every probe: found by what this kernel's types
 * have, never by its version. A type whose name ends in ___ and a word is another
 * kernel's form of it.
 */
#ifndef LETHE_CORE_FIXES_BPF_H
#define LETHE_CORE_FIXES_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Until 6.15: inside task_struct. */
struct thread_struct___inside {
	struct fpu fpu;
} __attribute__((preserve_access_index));

/* Since: right behind it, in the same allocation. */
static __always_inline struct fpu *fix_task_fpu(struct task_struct *task)
{
	struct thread_struct___inside *thread = (void *)&task->thread;

	if (bpf_core_field_exists(thread->fpu))
		return &thread->fpu;
	return (void *)task + bpf_core_type_size(struct task_struct);
}

/* THREAD_SIZE is no type. Where stacks are mapped page by page, those are counted. */
static __always_inline unsigned int fix_stack_size(struct task_struct *task)
{
	if (bpf_core_field_exists(task->stack_vm_area))
		return BPF_CORE_READ(task, stack_vm_area, nr_pages) * 4096;
	return 4 * 4096;
}

/* An int, or (7.3) a byte with others right behind it: read as wide as it is. */
static __always_inline bool fix_on_cpu(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED(task, on_cpu);
}

#endif /* LETHE_CORE_FIXES_BPF_H */
