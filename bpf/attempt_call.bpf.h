/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An attempt by a system call, as that begins: who it is about, and which of that one's
 * pages. What comes of it is known when the call is over.
 */
#ifndef LETHE_ATTEMPT_CALL_BPF_H
#define LETHE_ATTEMPT_CALL_BPF_H

#include "attempt.bpf.h"
#include "system_call.bpf.h"
#include "target.bpf.h"
#include "user_memory.bpf.h"

/* As many buffers of one call are looked at. */
#define VECTORS_MAX 16

#define PTRACE_TRACEME 0
#define PTRACE_PEEKTEXT 1
#define PTRACE_PEEKDATA 2
#define PTRACE_POKETEXT 4
#define PTRACE_POKEDATA 5
#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206

#define SAMPLES_USER (PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER)
#define PERF_FLAG_PID_CGROUP 4

/* /proc/pid/mem is seen where the kernel reads it: then it is not asked of calls. */
const volatile bool sees_mem;

/* By what it is known; learned from a descriptor of one's own. */
__u64 mem_fops;

static __always_inline int process_of(struct task_struct *task)
{
	return task ? BPF_CORE_READ(task, tgid) : 0;
}

static __always_inline void try_ptrace(const struct system_call *call)
{
	struct task_struct *own = bpf_get_current_task_btf(), *task;
	struct attempt attempt = { .how = ACCESS_ATTACH, .by = own->tgid };

	switch (call->arg[0]) {
	case PTRACE_TRACEME:
		count_tried(ACCESS_ATTACH);
		attempt.by = own->real_parent->tgid;
		attempt.target = own->tgid;
		attempt_begin(&attempt);
		return;
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		attempt.how = ACCESS_PTRACE;
		attempt.address = call->arg[2];
		attempt.length = call->compat ? 4 : 8;
		break;
	case PTRACE_ATTACH:
	case PTRACE_SEIZE:
		break;
	default:
		return;
	}
	count_tried(attempt.how);
	task = find_target(call->arg[1]);
	attempt.target = process_of(task);
	if (attempt.length)
		attempt_judge(&attempt, (__u64)BPF_CORE_READ(task, mm), attempt.address,
			      attempt.length);
	attempt_begin(&attempt);
}

/* The buffers that a call names, one after the other. */
struct vectors {
	struct attempt *attempt;
	__u64 mm; /* of whom; 0: their lengths are added up only */
	__u64 at, nr;
	bool compat;
};

static long next_vector(__u32 index, struct vectors *vectors)
{
	struct attempt *attempt = vectors->attempt;
	struct vector vector = {};

	if (index >= vectors->nr || read_vector(&vector, vectors->at, vectors->compat))
		return 1;
	vectors->at += vectors->compat ? 8 : 16;
	if (!index && vectors->mm)
		attempt->address = vector.address;
	attempt->length += vector.length;
	attempt_judge(attempt, vectors->mm, vector.address, vector.length);
	return 0;
}

static __noinline void add_vectors(struct attempt *attempt, __u64 mm, __u64 at, __u64 nr,
				   bool compat)
{
	struct vectors vectors = {
		.attempt = attempt, .mm = mm, .at = at, .nr = nr, .compat = compat
	};

	bpf_loop(VECTORS_MAX, next_vector, &vectors, 0);
}

static __always_inline void try_process_vm(const struct system_call *call)
{
	struct attempt attempt = { .how = ACCESS_PROCESS_VM, .by = own_process() };
	struct task_struct *task = find_target(call->arg[0]);

	attempt.target = process_of(task);
	add_vectors(&attempt, (__u64)BPF_CORE_READ(task, mm), call->arg[3], call->arg[4],
		    call->compat);
	count_tried(ACCESS_PROCESS_VM);
	attempt_begin(&attempt);
}

/* What was opened is the memory that the process had then. */
static __always_inline void fill_mem(struct attempt *attempt, struct file *file,
				     __u64 address)
{
	attempt->how = ACCESS_PROC_MEM;
	attempt->by = own_process();
	attempt->target = process_of(task_of_file(file));
	attempt->address = address;
	attempt_judge(attempt, (__u64)BPF_CORE_READ(file, private_data), address,
		      attempt->length);
}

static __always_inline __u64 mem_position(const struct system_call *call,
					  struct file *file)
{
	switch (call->number) {
	case NR_pread64:
	case NR_pwrite64:
	case NR_preadv:
	case NR_pwritev:
	case NR_preadv2:
	case NR_pwritev2:
		if (call->compat)
			return call->arg[3] | call->arg[4] << 32;
		return call->arg[3];
	default:
		return BPF_CORE_READ(file, f_pos);
	}
}

static __always_inline bool is_vectored(int number)
{
	return number == NR_readv || number == NR_writev || number == NR_preadv ||
	       number == NR_pwritev || number == NR_preadv2 || number == NR_pwritev2;
}

static __always_inline void try_mem(const struct system_call *call)
{
	struct attempt attempt = {};
	struct file *file;

	if (sees_mem)
		return;
	file = file_of(call->arg[0]);
	if (!file || (__u64)BPF_CORE_READ(file, f_op) != mem_fops)
		return;
	if (is_vectored(call->number))
		add_vectors(&attempt, 0, call->arg[1], call->arg[2], call->compat);
	else
		attempt.length = call->arg[2];
	fill_mem(&attempt, file, mem_position(call, file));
	count_tried(ACCESS_PROC_MEM);
	attempt_begin(&attempt);
}

static long note_any(struct bpf_map *map, __u32 *process, __u32 *kinds, __u32 *any)
{
	*any = 1;
	return 1;
}

/* A sample of whatever runs there is of every process: target 0. */
static __always_inline void try_perf(const struct system_call *call)
{
	struct attempt attempt = { .how = ACCESS_PERF, .by = own_process() };
	struct {
		__u32 type, size;
		__u64 config, period, sample_type;
	} attributes;
	int number = call->arg[1];

	if (read_user(&attributes, sizeof(attributes), call->arg[0]) ||
	    !(attributes.sample_type & SAMPLES_USER))
		return;
	if (number == -1 || call->arg[4] & PERF_FLAG_PID_CGROUP)
		bpf_for_each_map_elem(&holders, note_any, &attempt.told, 0);
	else
		attempt.target = number ? process_of(find_target(number)) : attempt.by;
	count_tried(ACCESS_PERF);
	attempt_begin(&attempt);
}

#endif /* LETHE_ATTEMPT_CALL_BPF_H */
