/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Totals in sysfs: see totals.c.
 */
#ifndef LETHE_TOTALS_H
#define LETHE_TOTALS_H

#include <linux/types.h>

struct attribute_group;

/**
 * enum lethe_total - what is counted from when the module was loaded
 * @LETHE_TOTAL_WIPES: calls of LETHE_IOC_WIPE that began to wipe
 * @LETHE_TOTAL_WIPED_BYTES: bytes that they zeroed
 * @LETHE_TOTAL_REVOKED: regions revoked
 * @LETHE_TOTALS: how many of these there are
 */
enum lethe_total {
	LETHE_TOTAL_WIPES,
	LETHE_TOTAL_WIPED_BYTES,
	LETHE_TOTAL_REVOKED,
	LETHE_TOTALS
};

extern const struct attribute_group *lethe_totals_groups[];

void lethe_total_add(enum lethe_total which, u64 n);

#endif /* LETHE_TOTALS_H */
