// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks: 2 MiB each, taken out of the direct map when they are needed, and
 * handed out by the page. A page comes zeroed and goes back wiped, so that every
 * page that nobody has is zero at any time: nothing is zeroed twice, and a
 * block can go back to the kernel as it is. It never leaves a wipe to a worker,
 * and never has a page of its own both taken and in the direct map.
 *
 * A page that was given up is zero at once, but stale until the TLBs have
 * forgotten the alias that it was wiped through. One flush settles all that are
 * stale by then; no stale page is handed out, and no block with one goes back.
 */
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/string.h>
#include <linux/topology.h>

#include <asm/cacheflush.h>

#include "alias.h"
#include "block.h"
#include "book.h"
#include "charge.h"
#include "directmap.h"
#include "run.h"
#include "trace.h"

#define BLOCK_PAGES	PTRS_PER_PTE

/* Given up before a flush is due, however few blocks are kept. */
#define STALE_PAGES	256UL

/* Held over a flush; who has it waited for those that began before. */
static DEFINE_MUTEX(flush_lock);

static unsigned int max_blocks;
module_param(max_blocks, uint, 0644);
MODULE_PARM_DESC(max_blocks,
		 "blocks of 2 MiB that may be out of the direct map at once; more is ENOMEM (0, the default: no limit)");

static unsigned int keep_blocks = 8;

static void run_free(struct page *page, unsigned int order)
{
	/* What is lost stays out, and counts. */
	if (lethe_run_free(page, order))
		lethe_book_unreserve(1U << order);
}

/* One more block. */
static bool grow(int node, unsigned int order, bool only_node)
{
	unsigned long most = READ_ONCE(max_blocks);
	struct page *page;

	if (!lethe_book_reserve(1U << order, most * BLOCK_PAGES))
		return false;

	page = lethe_run_alloc(node, order, only_node);
	if (!page) {
		lethe_book_unreserve(1U << order);
		return false;
	}
	if (lethe_book_add(page, order)) {
		run_free(page, order);
		return false;
	}
	return true;
}

static unsigned long take_from_others(int node, struct page **pages,
				      unsigned long nr)
{
	unsigned long have = 0;
	int other;

	for_each_online_node(other)
		if (other != node && have < nr)
			have += lethe_book_take(other, pages + have, nr - have);
	return have;
}

/*
 * Flushes for what is stale, and gives back up to @most pages in blocks beyond
 * @keep. Returns how many.
 */
static unsigned long settle(unsigned int keep, unsigned long most)
{
	unsigned long pages;
	unsigned int order;
	struct page *page;
	LIST_HEAD(surplus);
	LIST_HEAD(stale);

	guard(mutex)(&flush_lock);

	lethe_book_stale(&stale);
	if (!list_empty(&stale))
		lethe_alias_flush();
	pages = lethe_book_settle(&stale, keep, most, &surplus);

	while ((page = lethe_book_pop(&surplus, &order)))
		run_free(page, order);
	return pages;
}

/* As keep_blocks has it, if there is anything to do. */
static void settle_if_due(void)
{
	unsigned long keep = READ_ONCE(keep_blocks);

	/* What may be kept free may as well wait. */
	if (lethe_book_due(max(STALE_PAGES, keep * BLOCK_PAGES), keep))
		settle(keep, ULONG_MAX);
}

/*
 * All of @nr pages: those that are warm on the caller's node, a new block there,
 * those that are warm elsewhere, a block elsewhere, and then whatever memory is
 * left, in ever smaller pieces. Returns how many there were.
 */
static unsigned long take(struct page **pages, unsigned long nr)
{
	unsigned long keep = READ_ONCE(keep_blocks);
	int node = numa_mem_id();
	int order = LETHE_RUN_ORDER;
	unsigned long have = 0;
	bool settled = false;
	bool local = num_online_nodes() > 1;

	for (;;) {
		have += lethe_book_take(node, pages + have, nr - have);
		if (have == nr || fatal_signal_pending(current))
			return have;
		cond_resched();

		/*
		 * A flush stops every CPU. Up to what is kept anyway, one more
		 * block makes it serve more pages each time.
		 */
		if (!settled && lethe_book_out() < keep * BLOCK_PAGES &&
		    grow(node, LETHE_RUN_ORDER, true))
			continue;
		if (!settled) {
			settled = true;
			settle(READ_ONCE(keep_blocks), ULONG_MAX);
			continue;
		}
		if (local && grow(node, LETHE_RUN_ORDER, true))
			continue;
		local = false;

		have += take_from_others(node, pages + have, nr - have);
		if (have == nr)
			return have;
		while (!grow(node, order, false))
			if (--order < 0)
				return have;
		have += take_from_others(node, pages + have, nr - have);
	}
}

/**
 * lethe_block_take() - pages for a region
 * @pages: filled with @nr pages, zeroed and out of the direct map
 * @nr: how many
 *
 * They are charged to the caller's memory cgroup. Sleeps.
 *
 * Return: 0, or -ENOMEM or -EINTR (killed), and no page is taken.
 */
int lethe_block_take(struct page **pages, unsigned long nr)
{
	unsigned long have = take(pages, nr);

	/* Nobody has written to them yet. */
	if (have < nr || lethe_charge(pages, nr)) {
		lethe_book_put_clean(pages, have);
		settle_if_due();
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
	}
	return 0;
}

/**
 * lethe_block_give() - wipe pages and take them back
 * @pages: what lethe_block_take() filled; nothing maps them any more
 * @nr: how many
 * @region: the number of whose they were, for tracers
 *
 * The pages are wiped on return, and no TLB knows the alias that it took before
 * anybody else can get one. Cannot fail. Sleeps.
 */
void lethe_block_give(struct page **pages, unsigned long nr, u64 region)
{
	unsigned int batch;

	lethe_uncharge(pages, nr);
	for (; nr; nr -= batch, pages += batch) {
		batch = lethe_alias_wipe(pages, nr);
		/* Not later: then they might be another region's already. */
		if (trace_region_frames_enabled())
			lethe_trace_frames(region, pages, batch, false);
		lethe_book_put_stale(pages, batch);
		cond_resched();
	}
	settle_if_due();
}

/**
 * lethe_block_counts() - what the blocks hold now
 * @count: filled
 */
void lethe_block_counts(struct lethe_block_count *count)
{
	lethe_book_counts(count);
	count->max = READ_ONCE(max_blocks);
	count->keep = READ_ONCE(keep_blocks);
}

/**
 * lethe_block_drain() - give every block back that has no page taken
 *
 * For a machine whose memory is about to be written down: what is in no region
 * has no reason to be left out.
 */
void lethe_block_drain(void)
{
	settle(0, ULONG_MAX);
}

static void wipe_dying(struct page *page, unsigned int order)
{
	void *va = page_address(page);

	if (lethe_directmap_show_dying(page, 1U << order))
		return;
	memset(va, 0, PAGE_SIZE << order);
	clflush_cache_range(va, PAGE_SIZE << order);
}

/**
 * lethe_block_wipe_dying() - wipe every block where it is
 *
 * For a machine that has panicked: no memory can be had for an alias, and no
 * other CPU answers to a flush. So each block is made present in the direct map
 * again, for which nothing need be flushed, and zeroed there. Takes no lock,
 * does not sleep. Nothing may be done with a block after it.
 */
void lethe_block_wipe_dying(void)
{
	lethe_book_walk_dying(wipe_dying);
}

static int set_keep_blocks(const char *value, const struct kernel_param *param)
{
	int err = param_set_uint(value, param);

	/* Also set as the module loads: there is nothing to give back then. */
	if (!err)
		settle_if_due();
	return err;
}

static const struct kernel_param_ops keep_blocks_ops = {
	.set = set_keep_blocks,
	.get = param_get_uint,
};

module_param_cb(keep_blocks, &keep_blocks_ops, &keep_blocks, 0644);
MODULE_PARM_DESC(keep_blocks,
		 "blocks of 2 MiB that stay out of the direct map while wholly free; fewer gives back at once (default: 8)");

static unsigned long shrink_count(struct shrinker *shrinker,
				  struct shrink_control *control)
{
	return lethe_book_idle() ?: SHRINK_EMPTY;
}

/* Memory is wanted: not even what keep_blocks says stays. */
static unsigned long shrink_scan(struct shrinker *shrinker,
				 struct shrink_control *control)
{
	/* Below directmap.c's lock, which takes memory for page tables. */
	if (!(control->gfp_mask & __GFP_FS))
		return SHRINK_STOP;
	return settle(0, control->nr_to_scan) ?: SHRINK_STOP;
}

static struct shrinker *shrinker;

/**
 * lethe_block_init() - ready for the first region
 *
 * Return: 0, or -ENOMEM.
 */
int lethe_block_init(void)
{
	lethe_book_init();
	shrinker = lethe_shrinker_new("lethe", shrink_count, shrink_scan);
	return shrinker ? 0 : -ENOMEM;
}

/**
 * lethe_block_exit() - give every block back to the kernel
 *
 * No page is taken any more.
 */
void lethe_block_exit(void)
{
	struct lethe_block_count left;

	lethe_shrinker_free(shrinker);
	lethe_block_drain();
	lethe_book_counts(&left);
	WARN_ON(left.used || left.free);
}
