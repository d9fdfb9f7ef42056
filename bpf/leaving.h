/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which system calls are given a buffer on secret pages, and so copy it to ordinary
 * memory of the kernel. That is allowed; but the owner wants to know, and from where.
 *
 * splice(2) between files, tee(2) and sendfile(2) are given no buffer, and a secret
 * file can be the source of none: it has no read. Of one call 64 buffers are looked
 * at, and each as far as 64 mappings; a call with more counts as not judged, if what
 * was looked at is not secret. An event says where the first secret byte of the first
 * secret buffer is, and how long that buffer is.
 */
#ifndef LETHE_BPF_LEAVING_H
#define LETHE_BPF_LEAVING_H

/* event.how */
enum leaving_way {
	LEAVING_WRITE,  /* write, pwrite64, writev, pwritev, pwritev2, io_submit */
	LEAVING_SEND,   /* sendto, sendmsg, sendmmsg */
	LEAVING_SPLICE, /* vmsplice */
	LEAVING_URING,  /* io_uring writes and sends */
	LEAVING_WAYS
};

/**
 * struct leaving_counts - what was seen since the probe was attached
 * @calls: that give a buffer away, by way
 * @secret: of them, on secret pages
 * @unjudged: of them, of which it is not known: the mappings were being changed, there
 *	was too much of it, its buffers' list could not be read, or the kernel chooses
 *	the buffer (IOSQE_BUFFER_SELECT)
 * @lost: events for which there was no room, and runs that the kernel left out
 */
struct leaving_counts {
	unsigned long long calls[LEAVING_WAYS], secret[LEAVING_WAYS];
	unsigned long long unjudged[LEAVING_WAYS], lost;
};

#ifndef __VMLINUX_H__
#include <stddef.h>

#include "event.h"
#include "frames.h"
#include "hook.h"

struct leaving_probe;

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
