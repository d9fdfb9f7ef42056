// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages out of the direct map, and back: the only file that changes page
 * tables. It never allocates for others, frees or wipes, and never flushes a
 * TLB by itself.
 *
 * set_direct_map_*() is exported to nobody, so the kernel's own way of changing
 * cache attributes is made to do the work. Making pages uncached splits a
 * larger entry where one stands in the way, and flushes. The entries are then
 * written as not present. Making the pages write-back again changes bits of
 * those entries too, so the kernel flushes once more, this time what we hid:
 * every CPU and, with page table isolation, every address space. INVLPG on
 * every CPU, which is what a module could do for itself, would miss the latter.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>

#include "directmap.h"

/* The kernel locks its own steps; ours lie between them. */
static DEFINE_MUTEX(lock);

/* Entries of 2 MiB or more that runs of less than that made to be split. */
static atomic64_t splits = ATOMIC64_INIT(0);

static bool readable(unsigned long va)
{
	u8 byte;

	return !copy_from_kernel_nofault(&byte, (void *)va, sizeof(byte));
}

/*
 * Not present, but with the frame number kept: the kernel takes an entry of
 * zero for a hole and would neither change nor flush it. pfn_pte() and
 * pfn_pmd() invert the number, so that a processor with L1TF cannot follow it.
 * Without PRESENT, GLOBAL would mean PROT_NONE, which counts as present.
 */
static pgprot_t hidden(unsigned long flags)
{
	return __pgprot(flags & ~(_PAGE_PRESENT | _PAGE_GLOBAL));
}

static void write_pte(pte_t *pte, unsigned long pfn, bool present)
{
	set_pte(pte, pfn_pte(pfn, present ? PAGE_KERNEL :
					    hidden(pte_flags(*pte))));
}

/*
 * Present or not, a leaf keeps PSE: who walks the kernel's page tables would
 * take it for a pointer to another table otherwise.
 */
static void write_pmd(pmd_t *pmd, unsigned long pfn, bool present)
{
	set_pmd(pmd, pfn_pmd(pfn, present ? PAGE_KERNEL_LARGE :
					    hidden(pmd_flags(*pmd) | _PAGE_PSE)));
}

/* Writes every entry of a range, whichever size each has. */
static int write_entries(unsigned long va, unsigned long end, bool present)
{
	while (va < end) {
		unsigned long pfn = PHYS_PFN(__pa(va));
		unsigned int level;
		pte_t *entry = lookup_address(va, &level);

		if (!entry)
			return -ENXIO;

		if (level == PG_LEVEL_4K) {
			write_pte(entry, pfn, present);
			va += PAGE_SIZE;
		} else if (level == PG_LEVEL_2M && IS_ALIGNED(va, PMD_SIZE) &&
			   end - va >= PMD_SIZE) {
			write_pmd((pmd_t *)entry, pfn, present);
			va += PMD_SIZE;
		} else {
			return -ENXIO;
		}
	}
	return 0;
}

/* Asks the processor, not the tables: is every entry's range as it should be? */
static bool verify(unsigned long va, unsigned long end, bool present)
{
	while (va < end) {
		unsigned long size = PAGE_SIZE;
		unsigned int level;

		if (!lookup_address(va, &level))
			return false;
		if (level == PG_LEVEL_2M)
			size = min(PMD_SIZE, end - va);
		if (readable(va) != present ||
		    readable(va + size - 1) != present)
			return false;
		va += size;
	}
	return true;
}

/**
 * lethe_directmap_aliased() - does the kernel map these pages once more?
 * @page: the first of them
 * @nr: how many
 *
 * Where page table isolation is off, the memory of the kernel's own init code
 * stays in the mapping of the kernel's image after it was freed.
 *
 * Return: whether a page of them is also mapped there.
 */
bool lethe_directmap_aliased(struct page *page, unsigned int nr)
{
	/* The image may lie below phys_base: this wraps, as it should. */
	unsigned long offset = PFN_PHYS(page_to_pfn(page)) - phys_base;

	for (; nr; nr--, offset += PAGE_SIZE) {
		unsigned int level;
		pte_t *entry;

		if (offset >= KERNEL_IMAGE_SIZE)
			continue;
		entry = lookup_address(__START_KERNEL_map + offset, &level);
		if (entry && (pte_flags(*entry) & _PAGE_PRESENT))
			return true;
	}
	return false;
}

/**
 * struct probe - reads of a block on all CPUs
 * @va: the block
 * @below: is the byte before it readable at other times?
 * @above: is the byte after it?
 * @hits: reads of the block that worked
 * @misses: reads of the block that did not
 * @harmed: reads of the bytes round it that should have worked
 */
struct probe {
	unsigned long va;
	bool below;
	bool above;
	atomic_t hits;
	atomic_t misses;
	atomic_t harmed;
};

static void probe_cpu(void *arg)
{
	struct probe *probe = arg;
	unsigned long end = probe->va + PMD_SIZE;

	atomic_inc(readable(probe->va) ? &probe->hits : &probe->misses);
	atomic_inc(readable(end - 1) ? &probe->hits : &probe->misses);
	if (probe->below && !readable(probe->va - 1))
		atomic_inc(&probe->harmed);
	if (probe->above && !readable(end))
		atomic_inc(&probe->harmed);
}

static void probe_all(struct probe *probe)
{
	atomic_set(&probe->hits, 0);
	atomic_set(&probe->misses, 0);
	on_each_cpu(probe_cpu, probe, 1);
}

/*
 * @last_read, if given, is made just before the entries are written: so that
 * every TLB holds what the flush after that has to drop.
 */
static int remove(struct page *page, unsigned int nr, struct probe *last_read)
{
	unsigned long va = (unsigned long)page_address(page);
	unsigned long end = va + nr * PAGE_SIZE;
	unsigned int flags, level;
	int err, back;

	guard(mutex)(&lock);

	/*
	 * A split takes memory for a page table. Reclaim may then want to put
	 * some other block back, which takes the lock that is held here.
	 */
	flags = memalloc_nofs_save();
	if (nr < PTRS_PER_PTE && lookup_address(va, &level) &&
	    level != PG_LEVEL_4K)
		atomic64_inc(&splits);

	err = set_memory_uc(va, nr);
	if (last_read)
		probe_all(last_read);
	if (!err)
		err = write_entries(va, end, false);

	/* After an error too: they must not stay uncached. */
	back = set_memory_wb(va, nr);
	memalloc_nofs_restore(flags);
	if (!err)
		err = back;

	/* That took PSE from 2 MiB entries. Nothing to flush: still hidden. */
	if (!err)
		err = write_entries(va, end, false);
	if (!err && !verify(va, end, false))
		err = -EIO;
	return err;
}

/**
 * lethe_directmap_remove() - take pages out of the direct map
 * @page: the first of them; aligned to 2 MiB if @nr is 512, so that a 2 MiB
 *	entry stays one
 * @nr: how many
 *
 * The pages belong to the caller, hold nothing secret yet and are mapped
 * nowhere else. Sleeps, and interrupts every CPU twice.
 *
 * Return: 0; or -errno, and then no more is known of them than that
 * lethe_directmap_restore() may be called.
 */
int lethe_directmap_remove(struct page *page, unsigned int nr)
{
	return remove(page, nr, NULL);
}

/**
 * lethe_directmap_show_dying() - make pages present, whatever they hold
 * @page: as given to lethe_directmap_remove()
 * @nr: likewise
 *
 * For a machine that has panicked, to wipe them at once. Takes no lock: nobody
 * else runs, and whoever held it never will.
 *
 * Return: 0; or -errno, and then they must not be touched.
 */
int lethe_directmap_show_dying(struct page *page, unsigned int nr)
{
	unsigned long va = (unsigned long)page_address(page);
	unsigned long end = va + nr * PAGE_SIZE;
	int err;

	err = write_entries(va, end, true);
	if (!err && !verify(va, end, true))
		err = -EIO;
	return err;
}

/**
 * lethe_directmap_restore() - put pages back into the direct map
 * @page: as given to lethe_directmap_remove()
 * @nr: likewise
 *
 * The pages hold nothing secret any more. Nothing is flushed: no TLB keeps an
 * entry that is not present.
 *
 * Return: 0; or -errno, and then the pages must never be freed.
 */
int lethe_directmap_restore(struct page *page, unsigned int nr)
{
	guard(mutex)(&lock);

	return lethe_directmap_show_dying(page, nr);
}

/**
 * lethe_directmap_splits() - what smaller runs than blocks did to the rest
 *
 * Return: how many entries of the direct map they split to 4 KiB so far.
 */
u64 lethe_directmap_splits(void)
{
	return atomic64_read(&splits);
}

#define CHECK_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define CHECK_PAGES	PTRS_PER_PTE
#define CHECK_PATTERN	0xa5

/*
 * On a real block: readable until it goes, on no CPU while it is out, unharmed
 * after. Returns what went wrong, or NULL.
 */
static const char *check_block(struct page *page)
{
	void *block = page_address(page);
	struct probe probe = {
		.va = (unsigned long)block,
		.below = readable((unsigned long)block - 1),
		.above = readable((unsigned long)block + PMD_SIZE),
	};
	const char *fault = NULL;

	memset(block, CHECK_PATTERN, PMD_SIZE);

	if (remove(page, CHECK_PAGES, &probe))
		fault = "2 MiB of memory cannot be unmapped";
	if (atomic_read(&probe.misses))
		fault = "memory could not be read before it was unmapped";
	probe_all(&probe);
	if (!fault && atomic_read(&probe.hits))
		fault = "unmapped memory can still be read";

	/* On failure it stays ours for ever: it must not be allocated. */
	if (lethe_directmap_restore(page, CHECK_PAGES))
		return "unmapped memory cannot be mapped again";
	probe_all(&probe);
	if (atomic_read(&probe.misses) ||
	    memchr_inv(block, CHECK_PATTERN, PMD_SIZE))
		fault = "unmapped memory did not come back as it was";
	if (atomic_read(&probe.harmed))
		fault = "unmapping memory harmed what lies beside it";

	__free_pages(page, CHECK_ORDER);
	return fault;
}

/**
 * lethe_directmap_check() - can the rules be kept on this machine?
 *
 * Takes one block out and puts it back, looking from every CPU; says in one
 * line of the log why not.
 *
 * Return: 0, or -errno where the module must not load.
 */
int lethe_directmap_check(void)
{
	const char *fault;
	struct page *page;

	/* There the page tables are the hypervisor's, and smaller. */
	if (boot_cpu_has(X86_FEATURE_XENPV)) {
		pr_err("not loaded: a Xen PV guest cannot unmap memory from itself\n");
		return -EOPNOTSUPP;
	}

	page = alloc_pages(GFP_KERNEL | __GFP_NOWARN, CHECK_ORDER);
	if (!page) {
		pr_err("not loaded: no 2 MiB of contiguous memory for the self-check\n");
		return -ENOMEM;
	}

	fault = check_block(page);
	if (fault) {
		pr_err("not loaded: %s\n", fault);
		return -EIO;
	}
	return 0;
}
