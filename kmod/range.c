// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zeroes what is resident of a range of current->mm, with the rights that its
 * mappings give, and populates nothing. It holds no lock while it writes, and never
 * copies a byte of what it wipes to anywhere, the kernel's stack included.
 */
#include <linux/align.h>
#include <linux/backing-dev.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <linux/xarray.h>

#include "mapping.h"
#include "range.h"
#include "resident.h"

/* Between two looks for a signal and for somebody else's turn. */
#define STRIDE	PMD_SIZE

/**
 * enum treatment - what may be done to the memory of a mapping
 * @NOTHING: there is none
 * @LEAVE: it is not to be written
 * @ZERO: be it swapped out or not
 * @SEARCH: zero it, and what of its file is in memory, or swapped out, while this
 *	task's page tables say nothing of it
 * @DROP: zero it, but for what is swapped out: that is zero once it is dropped
 */
enum treatment {
	NOTHING,
	LEAVE,
	ZERO,
	SEARCH,
	DROP,
};

/* Is it zeroed by being forgotten? As MADV_DONTNEED has it, and nobody to tell. */
static bool is_droppable(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) && !(vma->vm_flags & (VM_SHARED | VM_LOCKED |
							   VM_PFNMAP | VM_HUGETLB)) &&
	       !userfaultfd_armed(vma);
}

/* A file that is memory alone, shared: it may have more than was mapped here. */
static bool is_searchable(struct vm_area_struct *vma)
{
	return vma->vm_file && vma->vm_flags & VM_SHARED &&
	       !(vma->vm_flags & (VM_PFNMAP | VM_HUGETLB));
}

static enum treatment treatment_of(struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_WRITE))
		return LEAVE;
	/* What a write does to a device is not known. */
	if (vma->vm_flags & VM_IO && !lethe_mapping_is_region(vma))
		return LEAVE;
	/* The file is not ours: on a disk the zeros would be for everybody. */
	if (vma->vm_flags & VM_SHARED && vma->vm_file &&
	    mapping_can_writeback(vma->vm_file->f_mapping))
		return LEAVE;
	if (is_searchable(vma))
		return SEARCH;
	return is_droppable(vma) ? DROP : ZERO;
}

/*
 * What is mapped at @addr, and up to where, below @end. It may be another mapping
 * by the time that it is written to: what the task could write to then.
 */
static int look(unsigned long addr, unsigned long end, unsigned long *next,
		enum treatment *treatment)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, addr);
	if (!vma || vma->vm_start >= end) {
		*treatment = NOTHING;
		*next = end;
	} else if (vma->vm_start > addr) {
		*treatment = NOTHING;
		*next = vma->vm_start;
	} else {
		*treatment = treatment_of(vma);
		*next = min(vma->vm_end, end);
	}
	mmap_read_unlock(mm);
	return 0;
}

/*
 * Is every byte of this part of a page zero? False also where that cannot be
 * read without a fault. The bytes pass through a register alone.
 */
static bool reads_zero(unsigned long addr, unsigned long end)
{
	const u64 __user *word;
	const u8 __user *byte;
	u64 seen = 0;
	u64 part;
	u8 one;

	pagefault_disable();
	if (!user_read_access_begin((void __user *)addr, end - addr))
		goto out;
	while (addr < end && !seen) {
		if (IS_ALIGNED(addr, sizeof(part)) &&
		    end - addr >= sizeof(part)) {
			word = (const u64 __user *)addr;
			unsafe_get_user(part, word, fault);
			seen = part;
			addr += sizeof(part);
		} else {
			byte = (const u8 __user *)addr;
			unsafe_get_user(one, byte, fault);
			seen = one;
			addr += sizeof(one);
		}
	}
	user_read_access_end();
	pagefault_enable();
	return !seen;

fault:
	user_read_access_end();
out:
	pagefault_enable();
	return false;
}

/* Where the page that @addr is in ends, or @end. */
static unsigned long page_end(unsigned long addr, unsigned long end)
{
	return min(end, (addr & PAGE_MASK) + PAGE_SIZE);
}

/*
 * The part of one page that lies below @end, by a fault if need be, which does what
 * the task's own write would have done.
 */
static unsigned long wipe_by_fault(unsigned long addr, unsigned long end,
				   struct lethe_tally *tally)
{
	unsigned long left;

	end = page_end(addr, end);
	left = clear_user((void __user *)addr, end - addr);
	tally->wiped += end - addr - left;
	tally->skipped += left;
	return end;
}

/* Copy-on-write that holds nothing is left shared. */
static unsigned long wipe_guarded(unsigned long addr, unsigned long end,
				  struct lethe_tally *tally)
{
	end = page_end(addr, end);
	if (reads_zero(addr, end))
		return end;
	return wipe_by_fault(addr, end, tally);
}

/*
 * Pages that can be written to as they are, unless that changed just now: so
 * without faults, which would bring back a page that has gone meanwhile.
 */
static unsigned long wipe_writable(unsigned long addr, unsigned long end,
				   struct lethe_tally *tally)
{
	unsigned long stop = min(end, addr + STRIDE);
	unsigned long left;

	pagefault_disable();
	left = clear_user((void __user *)addr, stop - addr);
	pagefault_enable();
	tally->wiped += stop - addr - left;
	if (left < stop - addr)
		return stop - left;
	/* An old TLB entry, a protection key, or gone: ask properly. */
	return wipe_guarded(addr, end, tally);
}

/*
 * Whole pages that are swapped out, forgotten under the lock under which
 * madvise() would do it, if that is still what they are.
 */
static unsigned long drop(unsigned long addr, unsigned long end,
			  struct lethe_tally *tally)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long next = addr;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_end >= end && treatment_of(vma) == DROP &&
	    lethe_resident_run(addr, end, &next) == LETHE_SWAPPED) {
		lethe_zap(vma, addr, next - addr);
		tally->dropped += next - addr;
	} else {
		next = addr;
	}
	mmap_read_unlock(mm);
	return next;
}

static unsigned long wipe_swapped(unsigned long addr, unsigned long end,
				  enum treatment treatment,
				  struct lethe_tally *tally)
{
	unsigned long last = ALIGN_DOWN(end, PAGE_SIZE);
	unsigned long next;

	if (treatment == DROP && IS_ALIGNED(addr, PAGE_SIZE) && addr < last) {
		next = drop(addr, last, tally);
		if (next > addr)
			return next;
	}
	/* A part of a page, or other than it was: by way of memory. */
	return wipe_by_fault(addr, end, tally);
}

/*
 * Where the mapping's file has something next, in [addr, end): shared memory leaves
 * no trace in page tables as it is swapped out, nor where another mapping made it.
 */
static unsigned long find_in_file(unsigned long addr, unsigned long end)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long index, last;
	unsigned long found = end;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_end >= end && treatment_of(vma) == SEARCH) {
		index = linear_page_index(vma, addr);
		last = linear_page_index(vma, end - 1);
		if (xa_find(&vma->vm_file->f_mapping->i_pages, &index, last,
			    XA_PRESENT))
			found = max(addr, vma->vm_start +
				    ((index - vma->vm_pgoff) << PAGE_SHIFT));
	}
	mmap_read_unlock(mm);
	return found;
}

static unsigned long wipe_absent(unsigned long addr, unsigned long end,
				 struct lethe_tally *tally)
{
	addr = find_in_file(addr, end);
	return addr < end ? wipe_by_fault(addr, end, tally) : end;
}

/* Wipes from @addr on; returns how far it came, which is past @addr. */
static unsigned long wipe_step(unsigned long addr, unsigned long end,
			       enum treatment treatment,
			       struct lethe_tally *tally)
{
	enum lethe_resident resident;
	unsigned long next;

	if (treatment == NOTHING)
		return end;
	resident = lethe_resident_run(addr, end, &next);
	if (treatment == LEAVE && (resident == LETHE_WRITABLE ||
				   resident == LETHE_GUARDED)) {
		tally->skipped += next - addr;
		return next;
	}
	if (treatment == LEAVE)
		return next;

	switch (resident) {
	case LETHE_WRITABLE:
		return wipe_writable(addr, next, tally);
	case LETHE_GUARDED:
		return wipe_guarded(addr, next, tally);
	case LETHE_SWAPPED:
		return wipe_swapped(addr, next, treatment, tally);
	case LETHE_ABSENT:
		if (treatment == SEARCH)
			return wipe_absent(addr, next, tally);
		break;
	case LETHE_FENCED:
		break;
	}
	return next;
}

/**
 * lethe_range_wipe() - zero what is resident of a range of current->mm
 * @start: its first byte
 * @end: past its last, and no higher than TASK_SIZE_MAX
 * @tally: added to, also when this fails
 *
 * Return: 0, or -EINTR where the caller was killed or told to stop.
 */
int lethe_range_wipe(unsigned long start, unsigned long end,
		     struct lethe_tally *tally)
{
	enum treatment treatment;
	unsigned long addr = start;
	unsigned long next;
	int err;

	while (addr < end) {
		err = look(addr, end, &next, &treatment);
		if (err)
			return err;
		while (addr < next) {
			if (fatal_signal_pending(current) ||
			    READ_ONCE(tally->stop))
				return -EINTR;
			addr = wipe_step(addr, next, treatment, tally);
			cond_resched();
		}
	}
	return 0;
}
