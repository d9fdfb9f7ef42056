/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Secret pages, zeroed, by the array: see block.c.
 */
#ifndef LETHE_BLOCK_H
#define LETHE_BLOCK_H

#include <linux/types.h>

struct page;

/**
 * struct lethe_block_count - what the blocks hold
 * @blocks: whole blocks out of the direct map
 * @used: pages out of it that are taken
 * @free: pages out of it that are not
 * @small: pages out of it in runs of less than a block
 * @max: blocks that may be out at once, or 0
 * @keep: blocks that stay while wholly free
 */
struct lethe_block_count {
	unsigned long blocks;
	unsigned long used;
	unsigned long free;
	unsigned long small;
	unsigned int max;
	unsigned int keep;
};

#define LETHE_BLOCK_SIZE	PMD_SIZE

int lethe_block_take(struct page **pages, unsigned long nr);
void lethe_block_give(struct page **pages, unsigned long nr, u64 region);
void lethe_block_counts(struct lethe_block_count *count);
void lethe_block_drain(void);
void lethe_block_wipe_dying(void);
int lethe_block_init(void);
void lethe_block_exit(void);

#endif /* LETHE_BLOCK_H */
