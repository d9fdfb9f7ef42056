/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the probes that watch others have in common in user space: the mark by which
 * one knows another's reads of user memory, and the runs that the kernel left out.
 */
#ifndef LETHE_BPF_WATCHING_H
#define LETHE_BPF_WATCHING_H

struct bpf_object;
struct bpf_program;

/*
 * The map of that mark (user_memory.bpf.h), one for this process, for as long as it
 * lives. Or -errno.
 */
int watching_own_reads(void);

/* Runs @program once, in this very process. 0 or -errno. */
int watching_run(const struct bpf_program *program);

/*
 * How often the kernel did not run a program of @object, since one of it was running
 * on that processor: what it would have seen then is lost.
 */
unsigned long long watching_missed(const struct bpf_object *object);

#endif /* LETHE_BPF_WATCHING_H */
