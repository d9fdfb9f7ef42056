/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which pages leave memory: for a swap partition, a swap file, zram, zswap, any
 * other block device, or a hibernation image; and whether one was secret. Counts
 * every page, so that "none" is "none of so many".
 */
#ifndef LETHE_BPF_SWAP_H
#define LETHE_BPF_SWAP_H

/*
 * event.how; and where pages are counted: once each time that they go this way. One
 * that is swapped out goes several. For an image the kernel goes over all pages more
 * than once: it tells of a secret one each time, and what is counted is the last time,
 * as it copies them. So what a machine that resumes has counted is its image.
 */
enum swap_way {
	SWAP_RECLAIM, /* mm_vmscan_write_folio: reclaim has given it away */
	SWAP_OUT,     /* swap_writepage() and its like: before zswap */
	SWAP_DEVICE,  /* __swap_writepage(): to the device, zswap's own too */
	SWAP_BLOCK,   /* block_bio_queue: a write to any block device */
	SWAP_IMAGE,   /* saveable_page(): chosen for a hibernation image */
	SWAP_WAYS
};

/**
 * struct swap_count - pages that went one way
 * @pages: all
 * @secret: of them, in the set of secret frames as FRAME_SECRET
 * @decoys: of them, as FRAME_DECOY
 * @unjudged: of them, of which it is not known: no frame of RAM that was there when
 *	the set was made
 */
struct swap_count {
	unsigned long long pages, secret, decoys, unjudged;
};

/**
 * struct swap_processor - what one processor has counted, in lines of its own
 * @way: by way
 * @number: for each way's program, what it has as a pointer and needs as a number: one
 *	program runs on a processor but once at a time
 */
struct swap_processor {
	struct swap_count way[SWAP_WAYS];
	unsigned long long number[SWAP_IMAGE];
};

#ifndef __VMLINUX_H__
#include <stdbool.h>
#include <stddef.h>

#include "event.h"
#include "frames.h"
#include "hook.h"

struct swap_probe;

/**
 * struct swap_counts - what was seen since the probe was attached
 * @way: by way
 * @lost: events for which the ring buffer had no room, and pages that the kernel did
 *	not show since it was showing another just then: if not 0, the verdict is
 *	"unknown"
 */
struct swap_counts {
	struct swap_count way[SWAP_WAYS];
	unsigned long long lost;
};

extern const char *const swap_way_names[SWAP_WAYS];

/* Attaches. 0, or -errno and @why: where not one of its hooks can be had, too. */
int swap_probe_open(struct swap_probe **probe, struct frames *frames, const char **why);
/*
 * By the ways alone whose bits (1 << SWAP_...) are in @ways. Each costs swap-out some
 * hundred nanoseconds a page, and most of that is the kernel's, to run a program at all:
 * who watches for long may leave out what the others see as well (hook.unseen).
 */
int swap_probe_open_ways(struct swap_probe **probe, struct frames *frames,
			 unsigned int ways, const char **why);
/* One hook a way, in the order of enum swap_way. */
const struct hook *swap_probe_hooks(const struct swap_probe *probe, size_t *nr);
int swap_probe_counts(const struct swap_probe *probe, struct swap_counts *counts);
/*
 * To be asked once of each event of its ring: is it one, or was the set out of date
 * (frames_confirm())? What is not, is not in swap_counts.secret from then on: it is
 * the verdict when all that is in the ring has been asked of, and none was lost.
 */
bool swap_probe_confirm(struct swap_probe *probe, const struct event *event);
/* Of the ring buffer of struct event, for ring_buffer__add(). */
int swap_probe_ring(const struct swap_probe *probe);
void swap_probe_close(struct swap_probe *probe);
#endif

#endif /* LETHE_BPF_SWAP_H */
