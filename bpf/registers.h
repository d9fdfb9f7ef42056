/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the kernel keeps of a thread's user registers, searched for a word of
 * theirs. One question and its answer, for the probe (registers.bpf.c) and for who
 * asks (registers.c); no includes, so that both can have it.
 */
#ifndef LETHE_BPF_REGISTERS_H
#define LETHE_BPF_REGISTERS_H

/* One bit for each place of eight bytes where a copy begins. */
#define REGISTERS_AREA_MAX 16384
#define REGISTERS_STACK_MAX 32768
#define REGISTERS_BITS 64

/**
 * struct registers_question - whose registers, and what to look for
 * @mask: random
 * @masked: the eight bytes that are searched for, exclusive-or @mask: they
 *	themselves are never in the searcher's memory
 * @tid: the thread
 * @any: 0: @tid is one of the process that asks, as gettid() there says it. 1: it is
 *	of any process, as the first pid namespace numbers it
 */
struct registers_question {
	unsigned long long mask;
	unsigned long long masked;
	unsigned int tid;
	unsigned int any;
};

/**
 * struct registers_answer - where copies of it are
 * @found: there is such a thread, and all of it could be read
 * @running: it was on a processor just then. What follows is then what the kernel
 *	saved of it before, not what it has in its registers now
 * @switches: how often it was taken off a processor
 * @area_size: bytes of the XSAVE area
 * @stack_size: bytes of the kernel stack
 * @saved: components that are in use in the area (XSTATE_BV)
 * @layout: how it is laid out (XCOMP_BV)
 * @area: copies in the XSAVE area, by their offset
 * @stack: copies in the kernel stack, by their offset
 */
struct registers_answer {
	unsigned int found;
	unsigned int running;
	unsigned long long switches;
	unsigned int area_size;
	unsigned int stack_size;
	unsigned long long saved;
	unsigned long long layout;
	unsigned long long area[REGISTERS_AREA_MAX / 8 / REGISTERS_BITS];
	unsigned long long stack[REGISTERS_STACK_MAX / 8 / REGISTERS_BITS];
};

#ifndef __VMLINUX_H__
struct registers_probe;

/* 0, or -errno: -EPERM, and so on, where BPF may not be loaded. */
int registers_probe_open(struct registers_probe **probe);
/*
 * 0; -ESRCH: there is no such thread, it is a kernel thread, or has ended; -EFAULT: it
 * could not be read; or another -errno.
 */
int registers_probe_ask(struct registers_probe *probe,
			const struct registers_question *question,
			struct registers_answer *answer);
void registers_probe_close(struct registers_probe *probe);
#endif

#endif /* LETHE_BPF_REGISTERS_H */
