/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An attempt to get at secret pages, from where it is seen first to where its result
 * is known: one of a thread's at a time, so that what is seen of it in several places
 * is told once.
 */
#ifndef LETHE_ATTEMPT_BPF_H
#define LETHE_ATTEMPT_BPF_H

#include "core_fixes.bpf.h"

#include "access.h"
#include "mapping.bpf.h"
#include "tell.bpf.h"

#define EPERM 1
#define EIO 5
#define EACCES 13
#define EFAULT 14

#define PF_EXITING 0x00000004
/* Threads that do not come back from a system call: the kernel's own. */
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD 0x00200000

/**
 * struct attempt - what is known of it so far
 * @how: enum access_way
 * @by: the process
 * @target: the process whose pages they are; 0 is not known
 * @kind: of the first secret mapping that it touches
 * @refused: the kernel refused a page of that
 * @told: it will be told, and is not only counted
 * @address: of that page, else of what is asked for
 * @length: of what is asked for
 */
struct attempt {
	__u32 how;
	int by, target;
	__u32 kind, refused, told;
	__u64 address, length;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct access_counts);
} counts SEC(".maps");

/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct attempt);
} attempts SEC(".maps");

/* Of the set of secret frames: processes that hold some, and of which kinds. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} holders SEC(".maps");

/* How many attempts are under way: at most other times nothing is looked up. */
int under_way;

static __always_inline bool is_holder(__u32 process)
{
	return bpf_map_lookup_elem(&holders, &process);
}

static __always_inline __u32 own_thread(void)
{
	return bpf_get_current_task_btf()->pid;
}

static __always_inline int own_process(void)
{
	return bpf_get_current_task_btf()->tgid;
}

/* Does what the current thread does now end where a system call does? */
static __always_inline bool is_in_system_call(void)
{
	return !(bpf_get_current_task_btf()->flags &
		 (PF_EXITING | PF_IO_WORKER | PF_KTHREAD));
}

static __always_inline void count_tried(__u64 how)
{
	__u32 zero = 0;
	struct access_counts *count = bpf_map_lookup_elem(&counts, &zero);

	if (count && how < ACCESS_WAYS)
		__sync_fetch_and_add(&count->tried[how], 1);
}

static __always_inline void count_refused(__u64 how)
{
	__u32 zero = 0;
	struct access_counts *count = bpf_map_lookup_elem(&counts, &zero);

	if (count && how < ACCESS_WAYS)
		__sync_fetch_and_add(&count->refused[how], 1);
}

/* As a number: a pointer of a known type is none to a function of its own. */
static __always_inline __u64 own_mm(void)
{
	return (__u64)BPF_CORE_READ(bpf_get_current_task_btf(), mm);
}

/*
 * Pages of @mm: which kind they are, if any, and where that begins. Not static: to the
 * verifier a function of its own, which goes through it once.
 */
__noinline int attempt_judge(struct attempt *attempt, __u64 mm, __u64 address,
			     __u64 length)
{
	struct stretch stretch;

	if (!attempt || attempt->kind || !mm || !length)
		return 0;
	stretch_begin(&stretch, (void *)mm, address, length);
	judge(&stretch);
	if (!stretch.kind)
		return 0;
	attempt->kind = stretch.kind;
	attempt->address = stretch.found;
	return 0;
}

static __always_inline struct attempt *attempt_of_this_thread(void)
{
	__u32 thread = own_thread();

	return under_way ? bpf_map_lookup_elem(&attempts, &thread) : NULL;
}

/* To be ended by this thread. */
static __always_inline void attempt_begin(struct attempt *attempt)
{
	__u32 thread = own_thread();

	attempt->told |= attempt->kind || is_holder(attempt->target);
	/* What an earlier one left that never came to its end is overwritten. */
	if (!bpf_map_update_elem(&attempts, &thread, attempt, BPF_NOEXIST))
		__sync_fetch_and_add(&under_way, 1);
	else if (bpf_map_update_elem(&attempts, &thread, attempt, BPF_EXIST))
		__sync_fetch_and_add(&lost, 1);
}

static __always_inline void attempt_forget(void)
{
	__u32 thread = own_thread();

	if (!bpf_map_delete_elem(&attempts, &thread))
		__sync_fetch_and_add(&under_way, -1);
}

static __always_inline bool is_refusal(const struct attempt *attempt, long result)
{
	if (result == -EFAULT || result == -EIO || result == -EPERM || result == -EACCES)
		return true;
	/* Ordinary pages before it were had. */
	return (attempt->refused || attempt->kind & (FRAME_KMOD | FRAME_MEMFD)) &&
	       result >= 0 && (__u64)result < attempt->length;
}

static __always_inline void attempt_tell(const struct attempt *attempt, long result)
{
	struct event *event = tell_begin(EVENT_ACCESS, attempt->how);

	if (!event)
		return;
	event->pid = attempt->by;
	event->target = attempt->target;
	event->result = result;
	event->address = attempt->address;
	event->length = attempt->length;
	event->kind = attempt->kind;
	tell(event);
}

/* Its result is known. */
static __always_inline void attempt_end(const struct attempt *attempt, long result)
{
	if (is_refusal(attempt, result))
		count_refused(attempt->how);
	if (attempt->told)
		attempt_tell(attempt, result);
}

#endif /* LETHE_ATTEMPT_BPF_H */
