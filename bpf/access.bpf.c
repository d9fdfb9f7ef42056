// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sees who tries to read or pin secret pages, of whom, and what came of it. By
 * tracepoints alone what system calls can tell; by functions of the kernel's, where
 * programs may be there, the rest. It refuses nothing itself.
 */
#include "attempt_call.bpf.h"
#include "attempt_pin.bpf.h"

#include <bpf/bpf_tracing.h>

/* In a mode of mm_access(): more than to read what /proc shows. */
#define PTRACE_MODE_ATTACH 2

/* A dump of core is what these do, if nobody handles them. */
#define DUMPS(signal) (1ULL << (signal))
#define DUMPING                                                                        \
	(DUMPS(3) | DUMPS(4) | DUMPS(5) | DUMPS(6) | DUMPS(7) | DUMPS(8) | DUMPS(11) | \
	 DUMPS(24) | DUMPS(25) | DUMPS(31))
#define CORE_DUMPED 0x80

int mem_descriptor;

SEC("raw_tp")
int access_learn(void *ctx)
{
	mem_fops = (__u64)BPF_CORE_READ(file_of(mem_descriptor), f_op);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(access_call, struct pt_regs *regs, long number)
{
	struct system_call call;

	if (own_process() == self)
		return 0;
	read_system_call(&call, number, regs);
	switch (call.number) {
	case NR_ptrace:
		try_ptrace(&call);
		break;
	case NR_process_vm_readv:
	case NR_process_vm_writev:
		try_process_vm(&call);
		break;
	case NR_perf_event_open:
		try_perf(&call);
		break;
	case NR_read:
	case NR_write:
	case NR_pread64:
	case NR_pwrite64:
	case NR_readv:
	case NR_writev:
	case NR_preadv:
	case NR_pwritev:
	case NR_preadv2:
	case NR_pwritev2:
		try_mem(&call);
		break;
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(access_result, struct pt_regs *regs, long result)
{
	struct attempt *attempt = attempt_of_this_thread();

	if (!attempt) {
		infer_pin(regs, result);
		return 0;
	}
	/* It did not dump: the process lives on. */
	if (attempt->how != ACCESS_CORE)
		attempt_end(attempt, result);
	attempt_forget();
	return 0;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(access_signal, int signal, struct kernel_siginfo *info,
	     struct k_sigaction *action)
{
	int process = own_process();
	struct attempt attempt = { .how = ACCESS_CORE, .by = process, .target = process };

	if (signal < 0 || signal > 31 || !(DUMPING >> signal & 1) ||
	    BPF_CORE_READ(action, sa.sa_handler))
		return 0;
	count_tried(ACCESS_CORE);
	attempt_begin(&attempt);
	return 0;
}

/* Whether there was a dump is in what the process ends with. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(access_exit, struct task_struct *task)
{
	struct attempt *attempt = attempt_of_this_thread();

	if (!attempt)
		return 0;
	if (attempt->how == ACCESS_CORE)
		attempt_end(attempt,
			    task->signal->group_exit_code & CORE_DUMPED ? 0 : -EPERM);
	attempt_forget();
	return 0;
}

SEC("fexit/check_vma_flags")
int BPF_PROG(access_pin_refused, struct vm_area_struct *vma, unsigned long flags,
	     int result)
{
	struct attempt pin = { .refused = 1 };
	struct file *file = vma->vm_file;
	__u64 f_op = 0, a_ops = 0;

	if (result != -EFAULT)
		return 0;
	if (file) {
		f_op = (__u64)file->f_op;
		a_ops = (__u64)file->f_mapping->a_ops;
	}
	pin.kind = mapping_kind(vma->vm_flags, f_op, a_ops);
	pin.address = vma->vm_start;
	if (pin.kind)
		note_pin(&pin, (__u64)BPF_CORE_READ(vma, vm_mm), result);
	return 0;
}

/* As a number: a pointer to no structure is not to be had of it otherwise. */
static __always_inline __u64 argument(void *ctx, __u32 n)
{
	__u64 value = 0;

	bpf_get_func_arg(ctx, n, &value);
	return value;
}

static __always_inline long returned(void *ctx)
{
	__u64 value = 0;

	bpf_get_func_ret(ctx, &value);
	return value;
}

/* (mm, start, nr, flags, pages): without pages, they are only made to be there. */
SEC("fexit/__get_user_pages")
int access_pin(void *ctx)
{
	if (argument(ctx, 4))
		note_pinned(argument(ctx, 0), argument(ctx, 1), returned(ctx));
	return 0;
}

/* Its target is chosen as it is loaded. */
SEC("fexit/gup_fast_fallback")
int BPF_PROG(access_pin_fast, unsigned long start, unsigned long nr, unsigned int flags,
	     struct page **pages, int result)
{
	note_pinned(own_mm(), start, result);
	return 0;
}

SEC("fexit/mem_rw")
int BPF_PROG(access_mem, struct file *file, char *buffer, size_t length, loff_t *position,
	     int write, long result)
{
	struct attempt *pin = attempt_of_this_thread();
	struct attempt attempt = { .length = length };
	loff_t end = 0;

	if (own_process() == self)
		return 0;
	bpf_probe_read_kernel(&end, sizeof(end), position);
	if (pin && pin->how == ACCESS_PIN) {
		attempt.refused = pin->refused;
		attempt_forget();
	}
	fill_mem(&attempt, file, result > 0 ? end - result : end);
	attempt.told = attempt.kind || is_holder(attempt.target);
	count_tried(ACCESS_PROC_MEM);
	attempt_end(&attempt, result);
	return 0;
}

/* Who may not even open /proc/pid/mem. */
SEC("fexit/mm_access")
int BPF_PROG(access_denied, struct task_struct *task, unsigned int mode)
{
	struct attempt attempt = { .how = ACCESS_PROC_MEM };
	long err = returned(ctx);

	if (err >= 0 || err < -4095 || !(mode & PTRACE_MODE_ATTACH) ||
	    attempt_of_this_thread())
		return 0;
	count_tried(ACCESS_PROC_MEM);
	attempt.by = own_process();
	attempt.target = task->tgid;
	attempt.told = is_holder(attempt.target);
	attempt_end(&attempt, err);
	return 0;
}

/* In whose stead a program of somebody's reads is not known: @by is whose memory. */
SEC("fexit/copy_from_user_nofault")
int access_bpf(void *ctx)
{
	int process = own_process();
	struct attempt attempt = { .how = ACCESS_BPF, .by = process, .target = process };
	__u64 *mark = own_read_mark();

	if (!mark || *mark)
		return 0;
	count_tried(ACCESS_BPF);
	attempt.address = argument(ctx, 1);
	attempt.length = argument(ctx, 2);
	attempt_judge(&attempt, own_mm(), attempt.address, attempt.length);
	attempt.told = attempt.kind;
	if (attempt.kind)
		attempt_end(&attempt, (int)returned(ctx));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
