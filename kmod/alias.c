// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wiping pages that the direct map no longer has, through an alias that lives
 * as long as the wipe. It owns no page, and knows nothing of blocks.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/cacheflush.h>

#include "alias.h"

/* Pages wiped through one alias. */
#define WIPE_PAGES	512UL

/* What is wiped goes to memory itself: the caches will not live to be written. */
static bool write_through;

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

/**
 * lethe_alias_wipe() - zero pages that nothing maps
 * @pages: at least one
 * @nr: how many
 *
 * On return no page table has the alias, but a TLB still may: nobody may get
 * one of these pages before lethe_alias_flush(). Cannot fail. Sleeps.
 *
 * Return: how many were zeroed: at least one.
 */
unsigned int lethe_alias_wipe(struct page **pages, unsigned long nr)
{
	unsigned int batch = min(nr, WIPE_PAGES);
	void *alias = vmap(pages, batch, VM_MAP, PAGE_KERNEL);

	if (!alias) {
		batch = 1;
		alias = alias_insist(pages);
	}
	/* By words: a byte at a time is slow where rep stosb is emulated. */
	memset64(alias, 0, batch * (PAGE_SIZE / sizeof(u64)));
	if (READ_ONCE(write_through))
		clflush_cache_range(alias, batch * PAGE_SIZE);
	vunmap(alias);
	return batch;
}

/**
 * lethe_alias_write_through() - from now on, wipe memory and not a cache alone
 *
 * For a machine that is about to be reset: its processors may then drop what
 * their caches have, and memory would still hold what was there before.
 */
void lethe_alias_write_through(void)
{
	WRITE_ONCE(write_through, true);
}

/**
 * lethe_alias_flush() - make every TLB forget the aliases of earlier wipes
 *
 * vunmap() is lazy, and one flush serves as many pages as went before it.
 * Sleeps, and interrupts every CPU.
 */
void lethe_alias_flush(void)
{
	vm_unmap_aliases();
}
