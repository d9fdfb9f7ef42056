// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contiguous memory: from the page allocator, zeroed, out of the direct map,
 * and all the way back. It keeps nothing, and never wipes: what comes back is
 * zero already.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/printk.h>

#include "directmap.h"
#include "run.h"
#include "trace.h"

/*
 * Charged to nobody: what a region has of it is charged as the region is made
 * (charge.c). Small runs are the last resort, so the smallest may reclaim, but
 * none is worth killing a process: the caller gets ENOMEM.
 */
static gfp_t run_gfp(unsigned int order, bool only_node)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;

	if (only_node)
		return gfp | __GFP_THISNODE | __GFP_NORETRY;
	if (order == 0)
		return gfp | __GFP_RETRY_MAYFAIL;
	/* Order 9 by itself tries no harder than compaction once. */
	return order == LETHE_RUN_ORDER ? gfp : gfp | __GFP_NORETRY;
}

/* Pages that only the direct map maps. */
static struct page *alloc_unaliased(int node, unsigned int order, gfp_t gfp)
{
	struct page *page, *next;
	LIST_HEAD(refused);

	/* Held until another is found, or the same would come again. */
	for (;;) {
		page = alloc_pages_node(node, gfp, order);
		if (!page || !lethe_directmap_aliased(page, 1U << order))
			break;
		list_add(&page->lru, &refused);
	}

	while (!list_empty(&refused)) {
		next = list_first_entry(&refused, struct page, lru);
		list_del(&next->lru);
		__free_pages(next, order);
	}
	return page;
}

/**
 * lethe_run_alloc() - memory that the direct map does not have
 * @node: the NUMA node to look on first
 * @order: of the pages; LETHE_RUN_ORDER leaves the entry of 2 MiB whole,
 *	anything less splits it
 * @only_node: look on no other node, and not hard
 *
 * Return: the first of the pages, zeroed, or NULL.
 */
struct page *lethe_run_alloc(int node, unsigned int order, bool only_node)
{
	struct page *page;
	unsigned int i;

	page = alloc_unaliased(node, order, run_gfp(order, only_node));
	if (!page)
		return NULL;

	/*
	 * Hibernation would map the pages again to copy them into its image,
	 * and makedumpfile would dump them, were they not marked so.
	 */
	for (i = 0; i < 1U << order; i++)
		__SetPageOffline(page + i);

	/* Told before it can hold a secret. */
	trace_block_add(page, order);
	if (lethe_directmap_remove(page, 1U << order)) {
		lethe_run_free(page, order);
		return NULL;
	}
	return page;
}

/**
 * lethe_run_free() - give memory back to the kernel
 * @page: what lethe_run_alloc() returned, all of it zero
 * @order: likewise
 *
 * Return: whether it went; else it is lost, since whoever got these pages next
 * would crash on them.
 */
bool lethe_run_free(struct page *page, unsigned int order)
{
	unsigned int i;

	if (lethe_directmap_restore(page, 1U << order)) {
		pr_err("memory cannot be mapped again: %lu kB are lost\n",
		       PAGE_SIZE << order >> 10);
		return false;
	}
	/* And before somebody else can have it. */
	trace_block_remove(page, order);

	for (i = 0; i < 1U << order; i++) {
		set_page_private(page + i, 0);
		__ClearPageOffline(page + i);
	}
	__free_pages(page, order);
	return true;
}
