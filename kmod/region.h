/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Secret pages as a file descriptor: see region.c.
 */
#ifndef LETHE_REGION_H
#define LETHE_REGION_H

#include <linux/types.h>

struct lethe_holding;

int lethe_region_create(u64 length, bool may_wait);
int lethe_region_shut(bool wipe);
void lethe_region_open(void);
u64 lethe_region_count(void);
int lethe_region_frames(int fd, u64 *frames, u64 room, u64 *total);
u64 lethe_region_holdings(struct lethe_holding *holdings, u64 room);

#define LETHE_REGION_ALL	(-1)

#endif /* LETHE_REGION_H */
