/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Can the kernel read a frame through its direct map? Of a secret frame it must not;
 * of an ordinary one it can, and that is the control. What is read is thrown away.
 */
#ifndef LETHE_BPF_DIRECTMAP_H
#define LETHE_BPF_DIRECTMAP_H

#define DIRECTMAP_FRAMES 512

/**
 * struct directmap_question - which frames
 * @direct_map: address of frame 0
 * @frame: their numbers
 * @nr: how many there are
 * @reserved: zero
 */
struct directmap_question {
	unsigned long long direct_map;
	unsigned long long frame[DIRECTMAP_FRAMES];
	unsigned int nr, reserved;
};

/**
 * struct directmap_answer - of each, in the same order
 * @asked: how many were tried
 * @readable: 1 it was read, 0 the kernel faulted
 */
struct directmap_answer {
	unsigned int asked;
	unsigned char readable[DIRECTMAP_FRAMES];
};

#ifndef __VMLINUX_H__
#include <stddef.h>

#include "layout.h"

struct directmap_probe;

/* 0, or -errno and @why. */
int directmap_probe_open(struct directmap_probe **probe, const struct layout *layout,
			 const char **why);
/*
 * For each of @nr frames: 1 it can be read, 0 it cannot. 0; -ERANGE: one of them is no
 * frame of RAM, and nothing is said of any; or another -errno.
 */
int directmap_probe_ask(struct directmap_probe *probe, const unsigned long long *frames,
			unsigned char *readable, size_t nr);
void directmap_probe_close(struct directmap_probe *probe);
#endif

#endif /* LETHE_BPF_DIRECTMAP_H */
