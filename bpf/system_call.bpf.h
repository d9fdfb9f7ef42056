/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A system call by one set of numbers, whichever of the two doors it came in by: a
 * 64-bit process may use the 32-bit one too. It knows those calls alone that a probe
 * asks for.
 */
#ifndef LETHE_SYSTEM_CALL_BPF_H
#define LETHE_SYSTEM_CALL_BPF_H

#include "core_fixes.bpf.h"

#define TS_COMPAT 0x0002

/* Of x86-64. */
enum {
	NR_read = 0,
	NR_write = 1,
	NR_pread64 = 17,
	NR_pwrite64 = 18,
	NR_readv = 19,
	NR_writev = 20,
	NR_sendto = 44,
	NR_sendmsg = 46,
	NR_ptrace = 101,
	NR_futex = 202,
	NR_io_submit = 209,
	NR_vmsplice = 278,
	NR_preadv = 295,
	NR_pwritev = 296,
	NR_perf_event_open = 298,
	NR_sendmmsg = 307,
	NR_process_vm_readv = 310,
	NR_process_vm_writev = 311,
	NR_preadv2 = 327,
	NR_pwritev2 = 328,
	NR_io_uring_register = 427,
	NR_none = -1,
	/* Of the 32-bit door alone, where these are numbers of one call's. */
	NR_socketcall = -2,
};

/**
 * struct system_call - who asks for what
 * @number: as x86-64 has it
 * @compat: addresses and sizes in the caller's memory are of 32 bits
 * @arg: as they are, of 64 bits
 */
struct system_call {
	int number;
	bool compat;
	__u64 arg[6];
};

static __always_inline bool by_compat_door(void)
{
	return bpf_get_current_task_btf()->thread_info.status & TS_COMPAT;
}

static __always_inline int compat_number(long number)
{
	switch (number) {
	case 3:
		return NR_read;
	case 4:
		return NR_write;
	case 26:
		return NR_ptrace;
	case 102:
		return NR_socketcall;
	case 145:
		return NR_readv;
	case 146:
		return NR_writev;
	case 180:
		return NR_pread64;
	case 181:
		return NR_pwrite64;
	case 240:
		return NR_futex;
	case 248:
		return NR_io_submit;
	case 316:
		return NR_vmsplice;
	case 333:
		return NR_preadv;
	case 334:
		return NR_pwritev;
	case 336:
		return NR_perf_event_open;
	case 345:
		return NR_sendmmsg;
	case 347:
		return NR_process_vm_readv;
	case 348:
		return NR_process_vm_writev;
	case 369:
		return NR_sendto;
	case 370:
		return NR_sendmsg;
	case 378:
		return NR_preadv2;
	case 379:
		return NR_pwritev2;
	case 427:
		return NR_io_uring_register;
	default:
		return NR_none;
	}
}

static __always_inline void read_system_call(struct system_call *call, long number,
					     struct pt_regs *regs)
{
	call->compat = by_compat_door();
	if (call->compat) {
		call->number = compat_number(number);
		call->arg[0] = (__u32)regs->bx;
		call->arg[1] = (__u32)regs->cx;
		call->arg[2] = (__u32)regs->dx;
		call->arg[3] = (__u32)regs->si;
		call->arg[4] = (__u32)regs->di;
		call->arg[5] = (__u32)regs->bp;
		return;
	}
	call->number = number;
	call->arg[0] = regs->di;
	call->arg[1] = regs->si;
	call->arg[2] = regs->dx;
	call->arg[3] = regs->r10;
	call->arg[4] = regs->r8;
	call->arg[5] = regs->r9;
}

#endif /* LETHE_SYSTEM_CALL_BPF_H */
