/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What frames.c, frames_look.c and frames_module.c share: the set as user space has
 * it, and what was found in /proc when it was last looked at.
 */
#ifndef LETHE_BPF_FRAMES_LOOK_H
#define LETHE_BPF_FRAMES_LOOK_H

#include <stdbool.h>

#include "frames.h"
#include "frames_shared.h"
#include "mappings.h"

#define FRAMES_HOOKS 8

struct frames_bpf;

/**
 * struct frames - the set
 * @layout: the caller's
 * @skeleton: the programs, and the map
 * @bytes: the map, by frame; atomic, since the programs write to it too
 * @size: of it, and there is the summary (pages.bpf.h)
 * @mapped: of both
 * @hooks: what keeps it current
 * @again: the module's once more (frames.bpf.c)
 * @announced: the module says what it takes and gives back
 * @exact_memfd: so do the page cache and the allocator, of memfd_secret
 * @mended: frames_missed() as it was when what the module says was last made good
 * @asked: the module has told frames of its regions
 * @looked: all of /proc was looked at once
 * @seen: what frames_settle() has seen to
 * @pages: that were found in /proc, by frame
 * @holders: whose they are, by process
 * @nr_holders: how many
 * @unreadable: that could not be looked into
 */
struct frames {
	const struct layout *layout;
	struct frames_bpf *skeleton;
	unsigned char *bytes;
	size_t size, mapped;
	struct hook hooks[FRAMES_HOOKS], again;
	bool announced, exact_memfd, asked, looked;
	unsigned long long mended;
	struct frames_news seen;
	struct mapped_pages pages;
	struct frames_holder *holders;
	unsigned int nr_holders, unreadable;
};

static inline void frames_set(struct frames *frames, unsigned long long frame,
			      unsigned int bits)
{
	unsigned long long *summary =
		(unsigned long long *)(frames->bytes + frames->size) + frame / 4096;

	/* First: who finds nothing there does not look at the byte. */
	__atomic_fetch_or(summary, 1ULL << frame / 64 % 64, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&frames->bytes[frame], bits, __ATOMIC_SEQ_CST);
}

static inline void frames_clear(struct frames *frames, unsigned long long frame,
				unsigned int bits)
{
	__atomic_fetch_and(&frames->bytes[frame], ~bits, __ATOMIC_SEQ_CST);
}

/* What one process, or every one, has mapped. 0 or -errno. */
int frames_look_at(struct frames *frames, pid_t pid);
int frames_look_at_all(struct frames *frames);

#endif /* LETHE_BPF_FRAMES_LOOK_H */
