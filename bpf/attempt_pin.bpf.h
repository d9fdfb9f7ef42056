/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An attempt to pin pages: as the kernel's functions have it, where programs may be
 * there; else by what a system call answers, if only a pin can have been refused.
 */
#ifndef LETHE_ATTEMPT_PIN_BPF_H
#define LETHE_ATTEMPT_PIN_BPF_H

#include "attempt_call.bpf.h"

#define REGISTER_BUFFERS 0
#define REGISTER_BUFFERS2 15

/* Refusals are seen where the kernel decides: then none is inferred. */
const volatile bool sees_refused;

/*
 * A call whose buffer is mapped, and that says EFAULT: the kernel would have copied
 * it, so it tried to pin it. False: it is no such call.
 */
static __always_inline bool find_pinned(struct attempt *attempt,
					const struct system_call *call)
{
	__u64 mm = own_mm();
	__u64 at = call->arg[1], nr = call->arg[2];

	switch (call->number) {
	case NR_futex:
		attempt_judge(attempt, mm, call->arg[0], sizeof(__u32));
		return true;
	case NR_read:
	case NR_write:
	case NR_pread64:
	case NR_pwrite64:
		attempt->length = nr;
		attempt_judge(attempt, mm, at, nr);
		return true;
	case NR_io_uring_register:
		if (call->arg[1] != REGISTER_BUFFERS && call->arg[1] != REGISTER_BUFFERS2)
			return false;
		at = call->arg[2];
		nr = call->arg[3];
		/* Of struct io_uring_rsrc_register: the count first, then where. */
		if (call->arg[1] == REGISTER_BUFFERS2) {
			struct {
				__u32 nr, flags;
				__u64 reserved, at;
			} buffers;

			if (read_user(&buffers, sizeof(buffers), at))
				return false;
			at = buffers.at;
			nr = buffers.nr;
		}
		break;
	case NR_vmsplice:
	case NR_readv:
	case NR_writev:
	case NR_preadv:
	case NR_pwritev:
	case NR_preadv2:
	case NR_pwritev2:
		break;
	default:
		return false;
	}
	add_vectors(attempt, mm, at, nr, call->compat);
	return true;
}

static __always_inline void infer_pin(struct pt_regs *regs, long result)
{
	int process = own_process();
	struct attempt attempt = { .how = ACCESS_PIN, .by = process, .target = process };
	struct system_call call;

	if (sees_refused || result != -EFAULT || process == self)
		return;
	read_system_call(&call, regs->orig_ax, regs);
	if (!find_pinned(&attempt, &call))
		return;
	count_tried(ACCESS_PIN);
	attempt.told = attempt.kind;
	if (attempt.kind)
		attempt_end(&attempt, result);
}

static __always_inline int process_of_mm(__u64 address)
{
	struct mm_struct *mm = (void *)address;

	return process_of(BPF_CORE_READ(mm, owner));
}

/*
 * A pin of secret pages: a part of what this thread is at, if that is one of the
 * other ways; else an attempt of its own, which ends with the system call.
 */
static __always_inline void note_pin(struct attempt *pin, __u64 mm, long result)
{
	struct attempt *attempt = attempt_of_this_thread();

	if (attempt) {
		attempt->refused |= pin->refused;
		if (!attempt->kind) {
			attempt->kind = pin->kind;
			attempt->address = pin->address;
			attempt->told = 1;
		}
		return;
	}
	pin->how = ACCESS_PIN;
	pin->by = own_process();
	pin->target = process_of_mm(mm);
	if (pin->by == self)
		return;
	pin->told = 1;
	count_tried(ACCESS_PIN);
	if (is_in_system_call())
		attempt_begin(pin);
	/* Of others' memory only /proc/pid/mem is read there, which tells it itself. */
	else if (mm == own_mm())
		attempt_end(pin, result);
}

static __always_inline void note_pinned(__u64 mm, __u64 address, long pages)
{
	struct attempt pin = {};

	if (pages <= 0 || !is_holder(process_of_mm(mm)))
		return;
	attempt_judge(&pin, mm, address, pages * 4096);
	if (pin.kind)
		note_pin(&pin, mm, pages);
}

#endif /* LETHE_ATTEMPT_PIN_BPF_H */
