/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A range of memory, wiped: see range.c.
 */
#ifndef LETHE_RANGE_H
#define LETHE_RANGE_H

#include <linux/types.h>

/**
 * struct lethe_tally - what a wipe has done so far
 * @wiped: bytes zeroed
 * @skipped: bytes that are in memory and were left as they are
 * @dropped: bytes that were swapped out and given up
 * @stop: read all the time: no more is wanted
 */
struct lethe_tally {
	u64 wiped;
	u64 skipped;
	u64 dropped;
	bool stop;
};

int lethe_range_wipe(unsigned long start, unsigned long end,
		     struct lethe_tally *tally);

#endif /* LETHE_RANGE_H */
