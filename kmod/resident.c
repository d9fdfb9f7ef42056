// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of the caller's address space is in memory: reads its page tables, and
 * changes nothing. Asking in this way tells a page that is there but waits for
 * a fault (copy-on-write, NUMA hinting, migration) from one that was never
 * touched, costs no exception for either, and passes over what is empty in
 * strides of up to 512 GiB.
 */
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "resident.h"

/* What one entry says, and where what it says that of ends. */
struct entry {
	enum lethe_resident state;
	unsigned long end;
};

static enum lethe_resident present(bool writable)
{
	return writable ? LETHE_WRITABLE : LETHE_GUARDED;
}

static enum lethe_resident pte_state(pte_t pte)
{
	softleaf_t leaf;

	if (pte_none(pte))
		return LETHE_ABSENT;
	if (pte_present(pte))
		return present(!pte_protnone(pte) && pte_write(pte));
	leaf = softleaf_from_pte(pte);
	/* On its way between two places, and in memory in both. */
	if (softleaf_is_migration(leaf))
		return LETHE_GUARDED;
	if (softleaf_is_swap(leaf))
		return LETHE_SWAPPED;
	return softleaf_is_guard_marker(leaf) ? LETHE_FENCED : LETHE_ABSENT;
}

static enum lethe_resident pmd_state(pmd_t pmd)
{
	if (pmd_present(pmd))
		return present(!pmd_protnone(pmd) && pmd_write(pmd));
	return pmd_is_migration_entry(pmd) ? LETHE_GUARDED : LETHE_ABSENT;
}

/*
 * As get_user_pages_fast() walks: with interrupts off no table that we are in
 * can be freed, since that waits for every CPU.
 */
static struct entry lookup(unsigned long addr)
{
	struct entry absent = { .state = LETHE_ABSENT };
	pgd_t *pgdp = pgd_offset(current->mm, addr);
	pgd_t pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t pte;

	lockdep_assert_irqs_disabled();

	absent.end = (addr & PGDIR_MASK) + PGDIR_SIZE;
	if (!pgd_present(pgd))
		return absent;

	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	absent.end = (addr & P4D_MASK) + P4D_SIZE;
	if (!p4d_present(p4d))
		return absent;

	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	absent.end = (addr & PUD_MASK) + PUD_SIZE;
	if (!pud_present(pud))
		return absent;
	if (pud_leaf(pud))
		return (struct entry){ present(pud_write(pud)), absent.end };

	pmdp = pmd_offset_lockless(pudp, pud, addr);
	pmd = READ_ONCE(*pmdp);
	absent.end = (addr & PMD_MASK) + PMD_SIZE;
	if (pmd_none(pmd))
		return absent;
	if (!pmd_present(pmd) || pmd_leaf(pmd))
		return (struct entry){ pmd_state(pmd), absent.end };

	pte = READ_ONCE(*pte_offset_kernel(&pmd, addr));
	return (struct entry){ pte_state(pte), (addr & PAGE_MASK) + PAGE_SIZE };
}

/**
 * lethe_resident_run() - what stands at an address of the caller's
 * @addr: the address
 * @end: how far it matters, above @addr and no higher than TASK_SIZE_MAX
 * @next: set to where something else may stand: above @addr, up to @end
 *
 * The answer may be old by the time that it is read.
 *
 * Return: what holds for all of [@addr, *@next).
 */
enum lethe_resident lethe_resident_run(unsigned long addr, unsigned long end,
				       unsigned long *next)
{
	/* One table of 4 KiB pages is as long as interrupts may stay off. */
	unsigned long stop = min(end, (addr & PMD_MASK) + PMD_SIZE);
	struct entry first, entry;
	unsigned long flags;

	local_irq_save(flags);
	first = lookup(addr);
	entry = first;
	while (entry.end < stop && entry.state == first.state) {
		first.end = entry.end;
		entry = lookup(first.end);
	}
	if (entry.state == first.state)
		first.end = entry.end;
	local_irq_restore(flags);

	*next = min(first.end, end);
	return first.state;
}
