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
 * @blocks: blocks out of the direct map
 * @used: pages of theirs that are taken
 * @free: pages of theirs that are not
 */
struct lethe_block_count {
	unsigned long blocks;
	unsigned long used;
	unsigned long free;
};

#define LETHE_BLOCK_SIZE	PMD_SIZE

int lethe_block_take(struct page **pages, unsigned long nr);
void lethe_block_give(struct page **pages, unsigned long nr);
void lethe_block_counts(struct lethe_block_count *count);
void lethe_block_exit(void);

#endif /* LETHE_BLOCK_H */
