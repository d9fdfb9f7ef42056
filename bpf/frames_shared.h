/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What frames.bpf.c and frames.c tell each other, and nobody else needs to know. No
 * includes, so that both can have it.
 */
#ifndef LETHE_BPF_FRAMES_SHARED_H
#define LETHE_BPF_FRAMES_SHARED_H

/*
 * The module has taken the frame back since it was last announced: what QUERY said of
 * it before that is no longer so. Beside the bits of frames.h in a frame's byte.
 */
#define FRAME_TAKEN_BACK (1U << 7)
/* The module has announced it, or QUERY said it, since what was not heard was asked for. */
#define FRAME_ANNOUNCED (1U << 6)

#define FRAMES_HOLDERS_MAX 65536
#define FRAMES_CHANGED_MAX 4096

/**
 * struct frames_news - whether there is anything to look at
 * @changes: how often mappings of a process may have changed
 * @overflows: of them, of which it was not kept which process it was
 */
struct frames_news {
	unsigned long long changes, overflows;
};

#endif /* LETHE_BPF_FRAMES_SHARED_H */
