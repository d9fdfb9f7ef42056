/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the number of a thread to its task, as find_pid_ns() and pid_task() go there:
 * the helper that does it is younger than 6.1. What is found is only to be read, and
 * with bpf_probe_read_kernel(), since nothing keeps it from going.
 */
#ifndef LETHE_FIND_TASK_BPF_H
#define LETHE_FIND_TASK_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Of an xarray: 64 to a node, and so six bits of the index to a level. */
#define XARRAY_BITS 6
#define XARRAY_LEVELS 6

static __always_inline bool find_is_node(const void *entry)
{
	return ((__u64)entry & 3) == 2 && (__u64)entry > 4096;
}

/* What is at @index of an xarray; NULL if nothing is. */
static __always_inline void *find_in_xarray(void *entry, __u32 index)
{
	__u32 level, in_node;
	__u8 shift = 0;

	if (!find_is_node(entry))
		return index ? NULL : entry;
	for (level = 0; level < XARRAY_LEVELS && find_is_node(entry); level++) {
		struct xa_node *node = entry - 2;

		shift = BPF_CORE_READ(node, shift);
		in_node = index >> shift;
		if (shift >= 32 || (!level && in_node >> XARRAY_BITS))
			return NULL;
		in_node &= (1 << XARRAY_BITS) - 1;
		entry = NULL;
		bpf_probe_read_kernel(&entry, sizeof(entry),
				      (void *)node + bpf_core_field_offset(node->slots) +
					      in_node * sizeof(entry));
	}
	return find_is_node(entry) ? NULL : entry;
}

/* The namespace in which the current task's number is that of @level; or its own. */
static __always_inline struct pid_namespace *find_namespace(bool own)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid = (void *)pid + bpf_core_field_offset(pid->numbers);

	if (own)
		upid = (void *)upid +
		       BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);
	return BPF_CORE_READ(upid, ns);
}

/* The thread whose number in @namespace is @number; NULL if there is none. */
static __always_inline struct task_struct *find_task(struct pid_namespace *namespace,
						     __u32 number)
{
	void *head = BPF_CORE_READ(namespace, idr.idr_rt.xa_head);
	struct pid *pid = find_in_xarray(head, number);
	struct hlist_node *node = BPF_CORE_READ(pid, tasks[PIDTYPE_PID].first);

	if (!pid || !node)
		return NULL;
	return (void *)node - bpf_core_field_offset(struct task_struct, pid_links);
}

#endif /* LETHE_FIND_TASK_BPF_H */
