/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom a system call is about: the process that a number names to its caller, in
 * whichever pid namespace that lives, or that a descriptor of /proc belongs to.
 */
#ifndef LETHE_TARGET_BPF_H
#define LETHE_TARGET_BPF_H

#include "core_fixes.bpf.h"
#include "find_task.bpf.h"

static __always_inline struct task_struct *task_of(struct pid *pid)
{
	void *link = BPF_CORE_READ(pid, tasks[PIDTYPE_PID].first);

	if (!link)
		return NULL;
	return link - bpf_core_field_offset(struct task_struct, pid_links);
}

/* A thread, as the caller numbers threads; NULL is none. */
static __always_inline struct task_struct *find_target(int number)
{
	return number > 0 ? find_task(find_namespace(true), number) : NULL;
}

/* A descriptor of the current task's. */
static __always_inline struct file *file_of(__u32 descriptor)
{
	struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
	struct file **files = table->fd, *file = NULL;

	if (descriptor < table->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file;
}

/* Whose file of /proc it is. */
static __always_inline struct task_struct *task_of_file(struct file *file)
{
	void *inode = BPF_CORE_READ(file, f_inode);
	struct proc_inode *proc = inode -
				  bpf_core_field_offset(struct proc_inode, vfs_inode);
	struct pid *pid = BPF_CORE_READ(proc, pid);

	return pid ? task_of(pid) : NULL;
}

#endif /* LETHE_TARGET_BPF_H */
