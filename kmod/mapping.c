// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings of one region: each complete from the start, and all of them gone
 * at once when it is revoked. Nothing here takes, wipes or counts a page.
 */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mapping.h"
#include "run.h"

/**
 * struct mapper - somebody who mapped it
 * @node: in lethe_mappings.mappers
 * @mm: whose
 */
struct mapper {
	struct list_head node;
	struct mm_struct *mm;
};

static void forget_mapper(struct mapper *mapper)
{
	list_del(&mapper->node);
	mmdrop(mapper->mm);
	kfree(mapper);
}

/*
 * Notes who maps the region: lethe_mappings_revoke() has to wait until the mapping that is
 * being made can be found. Who is gone makes none, and is forgotten.
 */
static int note_mapper(struct lethe_mappings *mappings, struct mm_struct *mm)
{
	struct mapper *mapper, *next;

	lockdep_assert_held(&mappings->lock);

	if (mm == mappings->owner)
		return 0;
	list_for_each_entry_safe(mapper, next, &mappings->mappers, node) {
		if (mapper->mm == mm)
			return 0;
		if (!atomic_read(&mapper->mm->mm_users))
			forget_mapper(mapper);
	}

	mapper = kmalloc(sizeof(*mapper), GFP_KERNEL_ACCOUNT);
	if (!mapper)
		return -ENOMEM;
	mapper->mm = mm;
	mmgrab(mm);
	list_add(&mapper->node, &mappings->mappers);
	return 0;
}

/* Nothing is missing from a mapping but what was revoked. */
static vm_fault_t fault(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct vm_ops = {
	.fault = fault,
};

/**
 * lethe_mapping_is_region() - is this a mapping of a region?
 * @vma: any, with its mmap_lock held
 *
 * Return: that.
 */
bool lethe_mapping_is_region(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &vm_ops;
}

/**
 * lethe_mappings_init() - no mapping yet
 * @mappings: of a new file
 * @owner: who maps it most likely; stays until lethe_mappings_free()
 */
void lethe_mappings_init(struct lethe_mappings *mappings,
			 struct mm_struct *owner)
{
	mutex_init(&mappings->lock);
	INIT_LIST_HEAD(&mappings->mappers);
	mappings->owner = owner;
}

/**
 * lethe_mappings_add() - fill one more mapping
 * @mappings: of @vma's file
 * @vma: as f_op->mmap() has it
 * @pages: those that it shows, from its first on
 *
 * Return: 0, -ESTALE once they are revoked, or -errno.
 */
int lethe_mappings_add(struct lethe_mappings *mappings,
		       struct vm_area_struct *vma, struct page **pages)
{
	unsigned long addr = vma->vm_start;
	unsigned long nr = vma_pages(vma);
	unsigned long run;
	int err;

	guard(mutex)(&mappings->lock);

	if (mappings->revoked)
		return -ESTALE;
	err = note_mapper(mappings, vma->vm_mm);
	if (err)
		return err;
	mappings->space = vma->vm_file->f_mapping;
	vma->vm_ops = &vm_ops;

	for (; nr; nr -= run) {
		run = lethe_run_length(pages, nr);
		err = remap_pfn_range(vma, addr, page_to_pfn(*pages),
				      run << PAGE_SHIFT, vma->vm_page_prot);
		if (err)
			return err;
		addr += run << PAGE_SHIFT;
		pages += run;
	}
	lethe_untrack(vma);
	return 0;
}

/*
 * Waits until whoever had begun to map the region has done so: a mapping can be
 * found from the end of mmap() on, and it holds its mmap_lock until then.
 */
static void wait_for_mappers(struct lethe_mappings *mappings)
{
	struct mapper *mapper;

	mmap_read_lock(mappings->owner);
	mmap_read_unlock(mappings->owner);
	/* None is added any more. */
	list_for_each_entry(mapper, &mappings->mappers, node) {
		mmap_read_lock(mapper->mm);
		mmap_read_unlock(mapper->mm);
	}
}

/**
 * lethe_mappings_revoke() - take the pages out of every mapping, for good
 * @mappings: those
 *
 * A touch is SIGBUS from then on. Takes the mmap_lock of those who mapped it.
 */
void lethe_mappings_revoke(struct lethe_mappings *mappings)
{
	mutex_lock(&mappings->lock);
	mappings->revoked = true;
	mutex_unlock(&mappings->lock);

	wait_for_mappers(mappings);
	if (mappings->space)
		unmap_mapping_range(mappings->space, 0, 0, 1);
}

/**
 * lethe_mappings_free() - forget who made them
 * @mappings: of which none is left
 */
void lethe_mappings_free(struct lethe_mappings *mappings)
{
	struct mapper *mapper, *next;

	list_for_each_entry_safe(mapper, next, &mappings->mappers, node)
		forget_mapper(mapper);
}
