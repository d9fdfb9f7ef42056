/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a probe tells an event: a record of its ring buffer, or one more that is lost.
 * It decides nothing.
 */
#ifndef LETHE_TELL_BPF_H
#define LETHE_TELL_BPF_H

#include "core_fixes.bpf.h"

#include "event.h"

/* Of who asks nothing is told: by the number of the first pid namespace. */
int self;

/* Run once, by who asks. */
SEC("raw_tp")
int tell_self(void *ctx)
{
	self = bpf_get_current_task_btf()->tgid;
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} events SEC(".maps");

/* Of which there is no record, for want of room. */
__u64 lost;

/* With who does it; a task of the kernel's has no stack in user space. */
static __always_inline struct event *tell_begin(enum event_what what, __u32 how)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct task_struct *task = bpf_get_current_task_btf();
	long bytes;

	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->when = bpf_ktime_get_ns();
	event->what = what;
	event->how = how;
	event->pid = task->tgid;
	event->tid = task->pid;
	bpf_get_current_comm(event->command, sizeof(event->command));
	bytes = bpf_get_task_stack(task, event->stack, sizeof(event->stack),
				   BPF_F_USER_STACK);
	event->depth = bytes > 0 ? bytes / sizeof(event->stack[0]) : 0;
	return event;
}

static __always_inline void tell(struct event *event)
{
	bpf_ringbuf_submit(event, 0);
}

#endif /* LETHE_TELL_BPF_H */
