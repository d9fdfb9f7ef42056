// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose memory cgroup pays for a page of a block. What charges and uncharges a
 * cgroup is exported to nobody; the page allocator does it for pages that it
 * hands out and takes back, and says so in the page. So a page is allocated on
 * the caller's account, its charge moves to the page of the block, and it is
 * freed without; on the way back the charge moves to a page that is then freed
 * with it. No counter is touched here, and no charge is ever copied.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "charge.h"
#include "run.h"

/*
 * What a charge travels in, for at most @nr pages at once: as large as can be
 * had without any effort, else a single page. @gfp is for the latter.
 */
static struct page *carrier(unsigned long nr, gfp_t gfp, unsigned int *order)
{
	gfp_t lightly = (gfp & __GFP_ACCOUNT) | __GFP_NOWARN | __GFP_NOMEMALLOC;
	struct page *page;

	*order = min_t(unsigned int, ilog2(nr), LETHE_RUN_ORDER);
	for (; *order; --*order) {
		page = alloc_pages(lightly, *order);
		if (page)
			return page;
	}
	return alloc_pages(gfp, 0);
}

#ifdef CONFIG_MEMCG

/* In the root cgroup nothing is charged, so that nothing need be moved. */
static bool pays(void)
{
	struct mem_cgroup *memcg;
	bool below;

	if (mem_cgroup_disabled())
		return false;
	rcu_read_lock();
	memcg = mem_cgroup_from_task(current);
	below = memcg && memcg->css.parent;
	rcu_read_unlock();
	return below;
}

/* The allocator holds one reference for a charge of whatever order. */
static struct obj_cgroup *payer(unsigned long data)
{
	return (struct obj_cgroup *)(data & ~(unsigned long)LETHE_MEMCG_FLAGS);
}

static void move_in(struct page *from, unsigned int order, struct page **pages)
{
	unsigned long data = from->memcg_data;
	unsigned int i;

	from->memcg_data = 0;
	for (i = 0; i < 1U << order; i++) {
		pages[i]->memcg_data = data;
		if (data && i)
			obj_cgroup_get(payer(data));
	}
}

static void move_out(struct page **pages, struct page *to, unsigned int order)
{
	unsigned long data = pages[0]->memcg_data;
	unsigned int i;

	for (i = 0; i < 1U << order; i++) {
		pages[i]->memcg_data = 0;
		if (i)
			obj_cgroup_put(payer(data));
	}
	to->memcg_data = data;
}

/* Pages from the first on that the same one pays for, or nobody. */
static unsigned long same_payer(struct page **pages, unsigned long nr)
{
	unsigned long i = 1;

	while (i < nr && pages[i]->memcg_data == pages[0]->memcg_data)
		i++;
	return i;
}

static bool charged(struct page *page)
{
	return page->memcg_data;
}

#else

static bool pays(void)
{
	return false;
}

static void move_in(struct page *from, unsigned int order, struct page **pages)
{
}

static void move_out(struct page **pages, struct page *to, unsigned int order)
{
}

static unsigned long same_payer(struct page **pages, unsigned long nr)
{
	return nr;
}

static bool charged(struct page *page)
{
	return false;
}

#endif /* CONFIG_MEMCG */

/**
 * lethe_charge() - charge pages to the caller's memory cgroup
 * @pages: of blocks, charged to nobody
 * @nr: how many
 *
 * Reclaims from the cgroup where it is at its limit, but kills nobody.
 *
 * Return: 0; or -ENOMEM, and nothing is charged.
 */
int lethe_charge(struct page **pages, unsigned long nr)
{
	unsigned long done = 0;
	unsigned int order;
	struct page *page;

	if (!pays())
		return 0;

	while (done < nr) {
		page = carrier(nr - done, GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
			       __GFP_RETRY_MAYFAIL, &order);
		if (!page) {
			lethe_uncharge(pages, done);
			return -ENOMEM;
		}
		move_in(page, order, pages + done);
		__free_pages(page, order);
		done += 1UL << order;
	}
	return 0;
}

/* As for an alias (alias.c): who gives up memory gets some to do so. */
static struct page *carrier_insist(unsigned long nr, unsigned int *order)
{
	unsigned int flags = memalloc_noreclaim_save();
	struct page *page;

	while (!(page = carrier(nr, GFP_KERNEL | __GFP_NOWARN, order)))
		schedule_timeout_uninterruptible(1);
	memalloc_noreclaim_restore(flags);
	return page;
}

/**
 * lethe_uncharge() - return the charge to whom it came from
 * @pages: as given to lethe_charge()
 * @nr: how many
 *
 * Cannot fail. Sleeps.
 */
void lethe_uncharge(struct page **pages, unsigned long nr)
{
	unsigned int order;
	struct page *page;
	unsigned long run;

	for (; nr; nr -= run, pages += run) {
		run = same_payer(pages, nr);
		if (!charged(*pages))
			continue;
		page = carrier_insist(run, &order);
		move_out(pages, page, order);
		__free_pages(page, order);
		run = 1UL << order;
	}
}
