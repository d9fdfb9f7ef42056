/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contiguous memory out of the direct map: see run.c.
 */
#ifndef LETHE_RUN_H
#define LETHE_RUN_H

#include <linux/pgtable.h>
#include <linux/types.h>

struct page;

/* The order of a whole block: one entry of the direct map. */
#define LETHE_RUN_ORDER	(PMD_SHIFT - PAGE_SHIFT)

struct page *lethe_run_alloc(int node, unsigned int order, bool only_node);
bool lethe_run_free(struct page *page, unsigned int order);

#endif /* LETHE_RUN_H */
