// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks: 2 MiB each, taken out of the direct map when they are needed, and
 * handed out by the page. A page comes zeroed and goes back wiped, so that every
 * page that nobody has is zero at any time: nothing is zeroed twice, and a
 * block can go back to the kernel as it is. It never leaves a wipe to a worker,
 * and never has a page of its own both taken and in the direct map.
 */
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "block.h"
#include "directmap.h"

#define BLOCK_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define BLOCK_PAGES	PTRS_PER_PTE

/*
 * Wholly free blocks that stay: so that a region which comes and goes at the
 * edge of a block does not take that block in and out each time.
 */
#define KEEP_BLOCKS	1

/* Pages wiped through one alias: one flush of every TLB for so many. */
#define WIPE_PAGES	512U

/**
 * struct block - a run of pages out of the direct map
 * @node: in @spare or in @full
 * @page: the first page; page_private() of each page points back here
 * @used: pages taken
 * @taken: which
 */
struct block {
	struct list_head node;
	struct page *page;
	unsigned int used;
	DECLARE_BITMAP(taken, BLOCK_PAGES);
};

static DEFINE_MUTEX(lock);	/* all below; never held over a wipe */
static LIST_HEAD(spare);	/* blocks with a free page, empty ones last */
static LIST_HEAD(full);
static unsigned int nr_empty;	/* blocks with nothing but free pages */
static struct lethe_block_count total;

/* 2 MiB that only the direct map maps. */
static struct page *run_alloc(void)
{
	struct page *page, *next;
	LIST_HEAD(refused);

	/* Held until another is found, or the same would come again. */
	for (;;) {
		page = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				   __GFP_NOWARN, BLOCK_ORDER);
		if (!page || !lethe_directmap_aliased(page, BLOCK_PAGES))
			break;
		list_add(&page->lru, &refused);
	}

	while (!list_empty(&refused)) {
		next = list_first_entry(&refused, struct page, lru);
		list_del(&next->lru);
		__free_pages(next, BLOCK_ORDER);
	}
	return page;
}

/* All of the block is zero. */
static void block_free(struct block *block)
{
	struct page *page = block->page;
	unsigned int i;

	if (lethe_directmap_restore(page, BLOCK_PAGES)) {
		/* Whoever got these pages next would crash on them. */
		pr_err("a block cannot be mapped again: its 2 MiB are lost\n");
	} else {
		for (i = 0; i < BLOCK_PAGES; i++) {
			set_page_private(page + i, 0);
			__ClearPageOffline(page + i);
		}
		__free_pages(page, BLOCK_ORDER);
	}
	kfree(block);
}

static struct block *block_new(void)
{
	struct block *block;
	unsigned int i;

	block = kzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	if (!block)
		return NULL;

	block->page = run_alloc();
	if (!block->page) {
		kfree(block);
		return NULL;
	}

	/*
	 * Hibernation would map the pages again to copy them into its image,
	 * and makedumpfile would dump them, were they not marked so.
	 */
	for (i = 0; i < BLOCK_PAGES; i++) {
		__SetPageOffline(block->page + i);
		set_page_private(block->page + i, (unsigned long)block);
	}

	if (lethe_directmap_remove(block->page, BLOCK_PAGES)) {
		block_free(block);
		return NULL;
	}
	return block;
}

static void block_add(struct block *block)
{
	guard(mutex)(&lock);

	list_add_tail(&block->node, &spare);
	nr_empty++;
	total.blocks++;
	total.free += BLOCK_PAGES;
}

static void block_remove(struct block *block)
{
	lockdep_assert_held(&lock);

	list_del(&block->node);
	nr_empty--;
	total.blocks--;
	total.free -= BLOCK_PAGES;
}

/* As many of @nr pages as the blocks have. */
static unsigned long take_free(struct page **pages, unsigned long nr)
{
	unsigned long have = 0;
	struct block *block;
	unsigned int bit;

	guard(mutex)(&lock);

	while (have < nr) {
		block = list_first_entry_or_null(&spare, struct block, node);
		if (!block)
			break;
		if (!block->used)
			nr_empty--;
		for_each_clear_bit(bit, block->taken, BLOCK_PAGES) {
			if (have == nr)
				break;
			__set_bit(bit, block->taken);
			block->used++;
			pages[have++] = block->page + bit;
		}
		list_move(&block->node,
			  block->used == BLOCK_PAGES ? &full : &spare);
	}
	total.used += have;
	total.free -= have;
	return have;
}

/* One page, zero again. A block that is no longer needed goes to @surplus. */
static void put_page_back(struct page *page, struct list_head *surplus)
{
	struct block *block = (struct block *)page_private(page);

	lockdep_assert_held(&lock);

	__clear_bit(page - block->page, block->taken);
	total.used--;
	total.free++;
	if (block->used-- == BLOCK_PAGES)
		list_move(&block->node, &spare);
	if (block->used)
		return;

	nr_empty++;
	if (nr_empty > KEEP_BLOCKS) {
		block_remove(block);
		list_add(&block->node, surplus);
	} else {
		list_move_tail(&block->node, &spare);
	}
}

static void free_all(struct list_head *blocks)
{
	struct block *block, *next;

	list_for_each_entry_safe(block, next, blocks, node)
		block_free(block);
}

/* Pages that are zero. */
static void put_zeroed(struct page **pages, unsigned long nr)
{
	LIST_HEAD(surplus);
	unsigned long i;

	mutex_lock(&lock);
	for (i = 0; i < nr; i++)
		put_page_back(pages[i], &surplus);
	mutex_unlock(&lock);

	free_all(&surplus);
}

/*
 * One page, whatever it takes: what gives up a page cannot fail. An alias needs
 * a few small objects, and the memory below the watermarks is for whoever is
 * about to free some.
 */
static void *alias_insist(struct page **page)
{
	unsigned int flags = memalloc_noreclaim_save();
	void *alias;

	while (!(alias = vmap(page, 1, VM_MAP, PAGE_KERNEL)))
		schedule_timeout_uninterruptible(1);
	memalloc_noreclaim_restore(flags);
	return alias;
}

/*
 * At least one of @nr pages, through an alias since the direct map no longer
 * has them. Returns how many.
 */
static unsigned int wipe(struct page **pages, unsigned long nr)
{
	unsigned int batch = min_t(unsigned long, nr, WIPE_PAGES);
	void *alias = vmap(pages, batch, VM_MAP, PAGE_KERNEL);

	if (!alias) {
		batch = 1;
		alias = alias_insist(pages);
	}
	memset(alias, 0, batch * PAGE_SIZE);
	vunmap(alias);
	/* vunmap() is lazy: a TLB may have the alias until this. */
	vm_unmap_aliases();
	return batch;
}

/**
 * lethe_block_take() - pages for a region
 * @pages: filled with @nr pages, zeroed and out of the direct map
 * @nr: how many
 *
 * They are charged to the caller's memory cgroup, a block at a time, to whoever
 * makes a block necessary. Sleeps.
 *
 * Return: 0, or -ENOMEM or -EINTR (killed), and no page is taken.
 */
int lethe_block_take(struct page **pages, unsigned long nr)
{
	unsigned long have = 0;
	struct block *block;

	for (;;) {
		have += take_free(pages + have, nr - have);
		if (have == nr)
			return 0;

		block = fatal_signal_pending(current) ? NULL : block_new();
		if (!block) {
			/* Nobody has written to them yet. */
			put_zeroed(pages, have);
			return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
		}
		block_add(block);
		cond_resched();
	}
}

/**
 * lethe_block_give() - wipe pages and take them back
 * @pages: what lethe_block_take() filled; nothing maps them any more
 * @nr: how many
 *
 * The pages are wiped, and no TLB knows the alias that it took, before anybody
 * else can get one. Cannot fail. Sleeps.
 */
void lethe_block_give(struct page **pages, unsigned long nr)
{
	unsigned int batch;

	for (; nr; nr -= batch, pages += batch) {
		batch = wipe(pages, nr);
		put_zeroed(pages, batch);
		cond_resched();
	}
}

/**
 * lethe_block_counts() - what the blocks hold now
 * @count: filled
 */
void lethe_block_counts(struct lethe_block_count *count)
{
	guard(mutex)(&lock);

	*count = total;
}

/**
 * lethe_block_exit() - give every block back to the kernel
 *
 * No page is taken any more.
 */
void lethe_block_exit(void)
{
	WARN_ON(!list_empty(&full));
	free_all(&spare);
}
