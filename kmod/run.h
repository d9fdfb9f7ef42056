/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contiguous memory out of the direct map: see run.c.
 */
#ifndef LETHE_RUN_H
#define LETHE_RUN_H

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/types.h>

/* The order of a whole block: one entry of the direct map. */
#define LETHE_RUN_ORDER	(PMD_SHIFT - PAGE_SHIFT)

struct page *lethe_run_alloc(int node, unsigned int order, bool only_node);
bool lethe_run_free(struct page *page, unsigned int order);

/* Frames from pages[0] on that follow each other. */
static inline unsigned long lethe_run_length(struct page **pages,
					     unsigned long nr)
{
	unsigned long pfn = page_to_pfn(pages[0]);
	unsigned long run = 1;

	while (run < nr && page_to_pfn(pages[run]) == pfn + run)
		run++;
	return run;
}

#endif /* LETHE_RUN_H */
