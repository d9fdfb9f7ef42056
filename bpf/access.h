/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who tries to read or pin secret pages of whom, and whether the kernel let them.
 * Never says what was read.
 */
#ifndef LETHE_BPF_ACCESS_H
#define LETHE_BPF_ACCESS_H

/* event.how */
enum access_way {
	ACCESS_PIN,		/* get_user_pages and its like were refused */
	ACCESS_PTRACE,		/* PTRACE_PEEK*, POKE* */
	ACCESS_ATTACH,		/* PTRACE_ATTACH, PTRACE_SEIZE: the registers are open */
	ACCESS_PROCESS_VM,	/* process_vm_readv(), process_vm_writev() */
	ACCESS_PROC_MEM,	/* /proc/pid/mem */
	ACCESS_CORE,		/* a core dump of the process */
	ACCESS_PERF,		/* perf_event_open() that samples user stacks or registers */
	ACCESS_BPF,		/* bpf_probe_read_user() and its like */
	ACCESS_WAYS
};

/**
 * struct access_counts - what was seen since the probe was attached
 * @tried: by way
 * @refused: of them, that the kernel refused
 * @lost: events for which there was no room
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
