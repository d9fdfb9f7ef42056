/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Can the kernel read a frame through its direct map? Of a secret frame it must not;
 * of an ordinary one it can, and that is the control. What is read is thrown away.
 */
#ifndef LETHE_BPF_DIRECTMAP_H
#define LETHE_BPF_DIRECTMAP_H

#define DIRECTMAP_FRAMES 512

#ifndef __VMLINUX_H__
#include <stddef.h>

#include "layout.h"

struct directmap_probe;

int directmap_probe_open(struct directmap_probe **probe, const struct layout *layout,
			 const char **why);
/* For each of @nr frames: 1 it can be read, 0 it cannot. 0 or -errno. */
int directmap_probe_ask(struct directmap_probe *probe, const unsigned long long *frames,
			unsigned char *readable, size_t nr);
void directmap_probe_close(struct directmap_probe *probe);
#endif

#endif /* LETHE_BPF_DIRECTMAP_H */
