/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who tries to read or pin secret pages of whom, and whether the kernel let them.
 * Never says what was read.
 *
 * An attempt is told once, when its result is known: by what whoever attacks asked for
 * (ptrace, process_vm_*, /proc/pid/mem, ...), and a pin that the kernel refused or let on
 * the way there is a part of it, no event of its own. To peek by ptrace is two attempts,
 * to attach and then to read; readv() of /proc/pid/mem, where the kernel's own function
 * tells it, one for each buffer.
 *
 * An event has a target that holds secret pages, or touches some (@kind is then which,
 * and @address where they begin): one whose @kind is 0 is about a holder's ordinary
 * pages, or about all that it has (attach, core, perf). @result is what the call
 * returned: an error is a refusal, less than @length a refusal half-way, and the rest
 * a success, which on pages that are only locked is what can be expected. Of a core it
 * is 0 if there is a dump, -EPERM if there is none; there are registers in it, and no
 * secret page. Of a pin @address is where the mapping begins, if the kernel refused it.
 *
 * Whose memory a BPF program reads is the process in whose stead it runs: @pid is that
 * too, and not whose program it is. @target is 0 for perf_event_open() that samples
 * whatever runs. Without functions of the kernel's (see the hooks) a refused pin is
 * inferred: of a read, write, vmsplice, futex or io_uring_register of mapped secret
 * pages that says EFAULT.
 */
#ifndef LETHE_BPF_ACCESS_H
#define LETHE_BPF_ACCESS_H

/* event.how */
enum access_way {
	ACCESS_PIN,        /* get_user_pages and its like */
	ACCESS_PTRACE,     /* PTRACE_PEEK*, POKE* */
	ACCESS_ATTACH,     /* PTRACE_ATTACH, PTRACE_SEIZE: the registers are open */
	ACCESS_PROCESS_VM, /* process_vm_readv(), process_vm_writev() */
	ACCESS_PROC_MEM,   /* /proc/pid/mem */
	ACCESS_CORE,       /* a core dump of the process */
	ACCESS_PERF,       /* perf_event_open() that samples user stacks or registers */
	ACCESS_BPF,        /* bpf_probe_read_user() and its like */
	ACCESS_WAYS
};

/**
 * struct access_counts - what was seen since the probe was attached
 * @tried: by way, on whomever; of pins, those of secret pages, and those that are
 *	inferred; of cores, signals that dump one
 * @refused: of them, that the kernel refused
 * @lost: events and attempts for which there was no room, and runs that the kernel
 *	left out
 */
struct access_counts {
	unsigned long long tried[ACCESS_WAYS], refused[ACCESS_WAYS], lost;
};

#ifndef __VMLINUX_H__
#include <stddef.h>

#include "event.h"
#include "frames.h"
#include "hook.h"

struct access_probe;

extern const char *const access_way_names[ACCESS_WAYS];

int access_probe_open(struct access_probe **probe, struct frames *frames,
		      const char **why);
const struct hook *access_probe_hooks(const struct access_probe *probe, size_t *nr);
int access_probe_counts(const struct access_probe *probe, struct access_counts *counts);
int access_probe_ring(const struct access_probe *probe);
void access_probe_close(struct access_probe *probe);
#endif

#endif /* LETHE_BPF_ACCESS_H */
