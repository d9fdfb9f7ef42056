// SPDX-License-Identifier: GPL-2.0-only
/*
 * The book of blocks: which there are, and which of their pages are taken. All
 * under one lock, which is never held over anything that takes time: it neither
 * allocates pages nor gives them back, wipes or flushes; block.c does.
 */
#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "book.h"
#include "run.h"

#define BLOCK_PAGES	PTRS_PER_PTE

/**
 * struct block - a run of pages out of the direct map
 * @node: in @spare of its NUMA node, or in @full
 * @all_node: in @all
 * @page: the first page; page_private() of each page points back here
 * @order: LETHE_RUN_ORDER; less only where memory was in pieces
 * @used: pages that regions have
 * @stale: pages that wait for a flush
 * @taken: both of these
 */
struct block {
	struct list_head node;
	struct list_head all_node;
	struct page *page;
	unsigned int order;
	unsigned int used;
	unsigned int stale;
	DECLARE_BITMAP(taken, BLOCK_PAGES);
};

static DEFINE_MUTEX(lock);	/* all below */
/* Per NUMA node: blocks with a free page, those wholly free last. */
static struct list_head spare[MAX_NUMNODES];
static LIST_HEAD(full);
/*
 * Each of them, from before it has a page taken until after the last is free.
 * A block never moves in it, so that it can be walked when the machine stops
 * in the middle of anything.
 */
static LIST_HEAD(all);
static LIST_HEAD(stale);	/* pages, by their lru */
static unsigned long nr_stale;
static unsigned long nr_idle;	/* whole blocks that no region has a page of */
static unsigned long nr_idle_small;	/* smaller ones: of no use by themselves */
static unsigned long nr_out;	/* pages out of the direct map, or on the way */
static struct lethe_block_count total;

static unsigned int size(const struct block *block)
{
	return 1U << block->order;
}

static bool whole(const struct block *block)
{
	return block->order == LETHE_RUN_ORDER;
}

static bool wholly_free(const struct block *block)
{
	return !block->used && !block->stale;
}

/* Do blocks have to go? @keep: how many whole ones may stay. */
static bool excess(unsigned int keep)
{
	lockdep_assert_held(&lock);

	return nr_idle > keep || nr_idle_small;
}

static void count_idle(const struct block *block, long change)
{
	lockdep_assert_held(&lock);

	if (whole(block))
		nr_idle += change;
	else
		nr_idle_small += change;
}

static void count_block(const struct block *block, long change)
{
	lockdep_assert_held(&lock);

	count_idle(block, change);
	total.free += change * size(block);
	if (whole(block))
		total.blocks += change;
	else
		total.small += change * size(block);
}

/**
 * lethe_book_reserve() - make room for pages that are about to leave the kernel
 * @nr: how many
 * @most: pages that may be out at once, or 0
 *
 * Return: whether there is room; it is given back by lethe_book_unreserve().
 */
bool lethe_book_reserve(unsigned int nr, unsigned long most)
{
	guard(mutex)(&lock);

	if (most && nr_out + nr > most)
		return false;
	nr_out += nr;
	return true;
}

/**
 * lethe_book_unreserve() - pages that did not leave, or came back
 * @nr: how many
 */
void lethe_book_unreserve(unsigned int nr)
{
	guard(mutex)(&lock);

	nr_out -= nr;
}

/**
 * lethe_book_add() - enter a block
 * @page: its first page; room for it was reserved
 * @order: LETHE_RUN_ORDER, or less
 *
 * Return: 0, or -ENOMEM.
 */
int lethe_book_add(struct page *page, unsigned int order)
{
	struct block *block = kzalloc(sizeof(*block), GFP_KERNEL);
	unsigned int i;

	if (!block)
		return -ENOMEM;
	block->page = page;
	block->order = order;
	for (i = 0; i < size(block); i++)
		set_page_private(page + i, (unsigned long)block);

	guard(mutex)(&lock);
	list_add_tail(&block->node, &spare[page_to_nid(page)]);
	list_add_tail_rcu(&block->all_node, &all);
	count_block(block, 1);
	return 0;
}

/**
 * lethe_book_take() - pages that are free on a NUMA node
 * @node: the node
 * @pages: filled
 * @nr: with at most so many
 *
 * Return: how many there were.
 */
unsigned long lethe_book_take(int node, struct page **pages, unsigned long nr)
{
	unsigned long have = 0;
	struct block *block;
	unsigned int bit;

	guard(mutex)(&lock);

	while (have < nr) {
		block = list_first_entry_or_null(&spare[node], struct block,
						 node);
		if (!block)
			break;
		if (!block->used)
			count_idle(block, -1);
		for_each_clear_bit(bit, block->taken, size(block)) {
			if (have == nr)
				break;
			__set_bit(bit, block->taken);
			block->used++;
			pages[have++] = block->page + bit;
		}
		list_move(&block->node,
			  block->used + block->stale == size(block) ?
			  &full : &spare[node]);
	}
	total.used += have;
	total.free -= have;
	return have;
}

/* No region has the page any more. */
static struct block *leave(struct page *page)
{
	struct block *block = (struct block *)page_private(page);

	lockdep_assert_held(&lock);

	if (!--block->used)
		count_idle(block, 1);
	total.used--;
	total.free++;
	return block;
}

/* Zero, and in no TLB: anybody may have it. */
static void make_free(struct block *block, struct page *page)
{
	struct list_head *list = &spare[page_to_nid(page)];

	lockdep_assert_held(&lock);

	__clear_bit(page - block->page, block->taken);
	if (wholly_free(block))
		list_move_tail(&block->node, list);
	else if (block->used + block->stale == size(block) - 1)
		list_move(&block->node, list);
}

/* Moves the blocks that have to go, and can, to @surplus. Returns their pages. */
static unsigned long collect(unsigned int keep, unsigned long most,
			     struct list_head *surplus)
{
	struct block *block, *prev;
	unsigned long pages = 0;
	int node;

	lockdep_assert_held(&lock);

	for_each_online_node(node) {
		list_for_each_entry_safe_reverse(block, prev, &spare[node],
						 node) {
			if (!excess(keep) || pages >= most ||
			    !wholly_free(block))
				break;
			if (whole(block) && nr_idle <= keep)
				continue;
			list_move(&block->node, surplus);
			list_del_rcu(&block->all_node);
			count_block(block, -1);
			pages += size(block);
		}
	}
	return pages;
}

/**
 * lethe_book_put_clean() - pages that nobody wrote to are free again
 * @pages: what lethe_book_take() filled
 * @nr: how many
 */
void lethe_book_put_clean(struct page **pages, unsigned long nr)
{
	unsigned long i;

	guard(mutex)(&lock);

	for (i = 0; i < nr; i++)
		make_free(leave(pages[i]), pages[i]);
}

/**
 * lethe_book_put_stale() - pages that were wiped, through an alias
 * @pages: what lethe_book_take() filled
 * @nr: how many
 *
 * They are free after a flush: lethe_book_stale(), the flush, and
 * lethe_book_settle().
 */
void lethe_book_put_stale(struct page **pages, unsigned long nr)
{
	unsigned long i;

	guard(mutex)(&lock);

	for (i = 0; i < nr; i++) {
		leave(pages[i])->stale++;
		list_add(&pages[i]->lru, &stale);
	}
	nr_stale += nr;
}

/**
 * lethe_book_due() - is there anything to flush for, or to give back?
 * @most_stale: pages that may wait for a flush
 * @keep: blocks that may stay while wholly free
 *
 * Return: that.
 */
bool lethe_book_due(unsigned long most_stale, unsigned int keep)
{
	guard(mutex)(&lock);

	return nr_stale > most_stale || excess(keep);
}

/**
 * lethe_book_stale() - take the pages that wait for a flush
 * @pages: where to
 */
void lethe_book_stale(struct list_head *pages)
{
	guard(mutex)(&lock);

	list_splice_init(&stale, pages);
	nr_stale = 0;
}

/**
 * lethe_book_settle() - after a flush: free pages, and strike out free blocks
 * @pages: from lethe_book_stale(), before the flush
 * @keep: blocks that may stay while wholly free
 * @most: pages to strike out; what is more may be left for another time
 * @surplus: the blocks struck out, for lethe_book_pop()
 *
 * Return: how many pages were struck out.
 */
unsigned long lethe_book_settle(struct list_head *pages, unsigned int keep,
				unsigned long most, struct list_head *surplus)
{
	struct page *page, *next;

	guard(mutex)(&lock);

	list_for_each_entry_safe(page, next, pages, lru) {
		struct block *block = (struct block *)page_private(page);

		list_del(&page->lru);
		block->stale--;
		make_free(block, page);
	}
	return collect(keep, most, surplus);
}

/**
 * lethe_book_pop() - one block that was struck out
 * @surplus: from lethe_book_settle()
 * @order: its order
 *
 * Return: its first page, or NULL where there is none left.
 */
struct page *lethe_book_pop(struct list_head *surplus, unsigned int *order)
{
	struct block *block;
	struct page *page;

	block = list_first_entry_or_null(surplus, struct block, node);
	if (!block)
		return NULL;
	list_del(&block->node);
	page = block->page;
	*order = block->order;
	kfree(block);
	return page;
}

/**
 * lethe_book_idle() - what could be given back
 *
 * Return: the pages of whole blocks that no region has a page of.
 */
unsigned long lethe_book_idle(void)
{
	guard(mutex)(&lock);

	return nr_idle * BLOCK_PAGES;
}

/**
 * lethe_book_out() - what is out of the direct map
 *
 * Return: the pages, with those that are on the way.
 */
unsigned long lethe_book_out(void)
{
	guard(mutex)(&lock);

	return nr_out;
}

/**
 * lethe_book_counts() - what the blocks hold now
 * @count: filled, but for the limits
 */
void lethe_book_counts(struct lethe_block_count *count)
{
	guard(mutex)(&lock);

	*count = total;
}

/**
 * lethe_book_walk_dying() - call a function for every block
 * @fn: called with its first page and its order
 *
 * For a machine that has panicked: takes no lock, since whoever held it never
 * lets go of it.
 */
void lethe_book_walk_dying(void (*fn)(struct page *page, unsigned int order))
{
	struct block *block;

	list_for_each_entry_lockless(block, &all, all_node)
		fn(block->page, block->order);
}

/**
 * lethe_book_init() - an empty book
 */
void lethe_book_init(void)
{
	int node;

	for (node = 0; node < MAX_NUMNODES; node++)
		INIT_LIST_HEAD(&spare[node]);
}
