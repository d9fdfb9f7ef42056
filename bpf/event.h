/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One event, as the probes that watch (swap, access, leaving) tell it: a record of
 * their ring buffers. Numbers alone: there is never a byte in it of what a page
 * holds. No includes, so that the probes can have it.
 */
#ifndef LETHE_BPF_EVENT_H
#define LETHE_BPF_EVENT_H

enum event_what {
	EVENT_SWAP = 1, /* a secret frame left for swap, a disk or an image */
	EVENT_ACCESS,   /* somebody tried to read or pin secret pages */
	EVENT_LEAVING,  /* a secret page was given to a call that copies it */
	EVENT_MAPS,     /* what a process has mapped may have changed: look again */
};

/* As many callers of a system call as are told. */
#define EVENT_STACK 16

/**
 * struct event - something that was seen
 * @when: ns of CLOCK_MONOTONIC
 * @what: enum event_what
 * @how: by which way: of an enum of the probe that says it (swap.h, access.h,
 *	leaving.h), each with a name for people
 * @pid: who did it: the process, in the first pid namespace
 * @tid: the thread
 * @target: whose pages they are, likewise; 0 where it is not known
 * @result: what the call returned; 0 where it is not known
 * @address: of the pages, in @target; 0 where it is not known
 * @length: bytes that were asked for
 * @frame: number of the page frame; 0 where it is not known
 * @kind: FRAME_* bits of it (frames.h)
 * @depth: how many of @stack there are
 * @command: of @tid
 * @stack: of @tid in user space, the innermost first
 */
struct event {
	unsigned long long when;
	unsigned int what, how;
	int pid, tid, target, result;
	unsigned long long address, length, frame;
	unsigned int kind, depth;
	char command[16];
	unsigned long long stack[EVENT_STACK];
};

#endif /* LETHE_BPF_EVENT_H */
