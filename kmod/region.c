// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: file descriptors made of secret pages, for mmap() alone. The mapping
 * is one of frame numbers and complete from the start: get_user_pages(), and so
 * ptrace, process_vm_readv, vmsplice and O_DIRECT, finds no page in it, and no
 * later touch can fail. Nothing here ever reads a page.
 */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "block.h"
#include "fpu.h"
#include "region.h"

/**
 * struct region - what a descriptor stands for
 * @node: in @regions
 * @mm: the creator's, which its RLIMIT_MEMLOCK charge is on
 * @nr: pages
 * @pages: the pages
 */
struct region {
	struct list_head node;
	struct mm_struct *mm;
	unsigned long nr;
	struct page **pages;
};

static DEFINE_MUTEX(lock);	/* both below */
static LIST_HEAD(regions);
static u64 nr_regions;

/* Frames from pages[0] on that follow each other. */
static unsigned long run_length(struct page **pages, unsigned long nr)
{
	unsigned long pfn = page_to_pfn(pages[0]);
	unsigned long run = 1;

	while (run < nr && page_to_pfn(pages[run]) == pfn + run)
		run++;
	return run;
}

static int region_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct region *region = file->private_data;
	unsigned long addr = vma->vm_start;
	unsigned long nr = vma_pages(vma);
	struct page **pages;
	unsigned long run;
	int err;

	/* A private mapping would copy a page to ordinary memory on write. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	if (vma->vm_pgoff >= region->nr || nr > region->nr - vma->vm_pgoff)
		return -EINVAL;

	vm_flags_clear(vma, VM_MAYEXEC);
	/* Not for children, not for core files, and never longer than it is. */
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTDUMP | VM_DONTEXPAND);

	for (pages = region->pages + vma->vm_pgoff; nr; nr -= run) {
		run = run_length(pages, nr);
		err = remap_pfn_range(vma, addr, page_to_pfn(*pages),
				      run << PAGE_SHIFT, vma->vm_page_prot);
		if (err)
			return err;
		addr += run << PAGE_SHIFT;
		pages += run;
	}
	return 0;
}

static void region_free(struct region *region)
{
	if (region->mm) {
		account_locked_vm(region->mm, region->nr, false);
		mmdrop(region->mm);
	}
	kvfree(region->pages);
	kfree(region);
}

/*
 * The last descriptor and the last mapping are gone: run by the task that gave
 * up the latter, before it returns from that call or, on its way out, ends.
 */
static int region_release(struct inode *inode, struct file *file)
{
	struct region *region = file->private_data;

	mutex_lock(&lock);
	list_del(&region->node);
	nr_regions--;
	mutex_unlock(&lock);

	lethe_block_give(region->pages, region->nr);
	region_free(region);
	lethe_fpu_wipe_exiting();
	return 0;
}

static const struct file_operations region_fops = {
	.owner = THIS_MODULE,
	.mmap = region_mmap,
	.release = region_release,
};

/* A region without pages, and charged for @nr of them. */
static struct region *region_alloc(unsigned long nr)
{
	struct region *region;
	int err;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->nr = nr;
	err = account_locked_vm(current->mm, nr, true);
	if (err)
		goto err_free;
	/* The charge goes back to this one, whoever closes the last. */
	region->mm = current->mm;
	mmgrab(region->mm);

	/* Past INT_MAX bytes the allocator would warn. */
	err = -ENOMEM;
	region->pages = kvmalloc_array(nr, sizeof(*region->pages),
				       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!region->pages)
		goto err_free;
	return region;

err_free:
	region_free(region);
	return ERR_PTR(err);
}

/**
 * lethe_region_create() - a new region
 * @length: bytes; more than zero
 *
 * Return: a close-on-exec descriptor, or -errno as LETHE_IOC_CREATE has it.
 */
int lethe_region_create(u64 length)
{
	struct region *region;
	unsigned long nr;
	struct file *file;
	int fd, err;

	if (length > MAX_LFS_FILESIZE)
		return -E2BIG;
	nr = (length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* With CAP_IPC_LOCK nothing else would stop it early. */
	if (nr > totalram_pages())
		return -ENOMEM;

	region = region_alloc(nr);
	if (IS_ERR(region))
		return PTR_ERR(region);

	err = lethe_block_take(region->pages, nr);
	if (err)
		goto err_region;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto err_pages;
	}

	file = anon_inode_getfile("[lethe]", &region_fops, region, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_fd;
	}

	mutex_lock(&lock);
	list_add_tail(&region->node, &regions);
	nr_regions++;
	mutex_unlock(&lock);

	fd_install(fd, file);
	return fd;

err_fd:
	put_unused_fd(fd);
err_pages:
	lethe_block_give(region->pages, nr);
err_region:
	region_free(region);
	return err;
}

/**
 * lethe_region_count() - how many regions there are
 *
 * Return: that.
 */
u64 lethe_region_count(void)
{
	guard(mutex)(&lock);

	return nr_regions;
}

/* Returns where the next region's frames go, or would go. */
static u64 put_frames(const struct region *region, u64 *frames, u64 room,
		      u64 at)
{
	unsigned long i;

	for (i = 0; i < region->nr && at + i < room; i++)
		frames[at + i] = page_to_pfn(region->pages[i]);
	return at + region->nr;
}

/**
 * lethe_region_frames() - the frame numbers of regions
 * @fd: whose descriptor, or LETHE_REGION_ALL
 * @frames: filled with the first @room of them
 * @room: may be zero
 * @total: how many there are
 *
 * The caller has made sure that who asks may know.
 *
 * Return: 0, or -EBADF where @fd is not a region.
 */
int lethe_region_frames(int fd, u64 *frames, u64 room, u64 *total)
{
	struct region *region;
	struct file *file;
	u64 at = 0;

	if (fd == LETHE_REGION_ALL) {
		guard(mutex)(&lock);

		list_for_each_entry(region, &regions, node)
			at = put_frames(region, frames, room, at);
		*total = at;
		return 0;
	}

	file = fget(fd);
	if (!file)
		return -EBADF;
	if (file->f_op != &region_fops) {
		fput(file);
		return -EBADF;
	}
	*total = put_frames(file->private_data, frames, room, 0);
	fput(file);
	return 0;
}
