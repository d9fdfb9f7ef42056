/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which system calls are given a buffer on secret pages, and so copy it to ordinary
 * memory of the kernel. That is allowed; but the owner wants to know, and from where.
 */
#ifndef LETHE_BPF_LEAVING_H
#define LETHE_BPF_LEAVING_H

/* event.how */
enum leaving_way {
	LEAVING_WRITE,		/* write, pwrite64, writev, pwritev, pwritev2 */
	LEAVING_SEND,		/* sendto, sendmsg, sendmmsg */
	LEAVING_SPLICE,		/* vmsplice */
	LEAVING_URING,		/* io_uring writes and sends */
	LEAVING_WAYS
};

#ifndef __VMLINUX_H__
#include <stddef.h>

#include "event.h"
#include "frames.h"
#include "hook.h"

struct leaving_probe;

/**
 * struct leaving_counts - what was seen since the probe was attached
 * @calls: that give a buffer away, by way
 * @secret: of them, on secret pages
 * @unjudged: of them, of which it is not known: the mapping was being changed
 * @lost: events for which there was no room
 */
struct leaving_counts {
	unsigned long long calls[LEAVING_WAYS], secret[LEAVING_WAYS];
	unsigned long long unjudged[LEAVING_WAYS], lost;
};

extern const char *const leaving_way_names[LEAVING_WAYS];

int leaving_probe_open(struct leaving_probe **probe, struct frames *frames,
		       const char **why);
const struct hook *leaving_probe_hooks(const struct leaving_probe *probe, size_t *nr);
int leaving_probe_counts(const struct leaving_probe *probe,
			 struct leaving_counts *counts);
int leaving_probe_ring(const struct leaving_probe *probe);
void leaving_probe_close(struct leaving_probe *probe);
#endif

#endif /* LETHE_BPF_LEAVING_H */
