// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: file descriptors made of secret pages, for mmap() alone. The mapping
 * is one of frame numbers and complete from the start: get_user_pages(), and so
 * ptrace, process_vm_readv, vmsplice and O_DIRECT, finds no page in it, and no
 * later touch can fail. Nothing here ever reads a page.
 *
 * A region is revoked when the machine's memory is about to be written down or
 * handed on: its pages are gone from every mapping and wiped before anything
 * else happens, and it never gets others.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "block.h"
#include "fpu.h"
#include "holder.h"
#include "mapping.h"
#include "region.h"
#include "totals.h"
#include "trace.h"

/**
 * struct region - what a descriptor stands for
 * @node: in @regions, until it is released or revoked
 * @mm: the creator's, which its RLIMIT_MEMLOCK charge is on
 * @number: no other had it since the module was loaded
 * @maker: who pays, and counts as who holds it
 * @nr: pages
 * @pages: the pages
 * @mappings: who can touch them
 * @revoked: they were wiped and given back; written with @gate held for writing
 * @wait: for that
 */
struct region {
	struct list_head node;
	struct mm_struct *mm;
	u64 number;
	struct lethe_maker maker;
	unsigned long nr;
	struct page **pages;
	struct lethe_mappings mappings;
	bool revoked;
	wait_queue_head_t wait;
};

/*
 * Held for reading while a region comes or goes, so that whoever holds it for
 * writing finds every page that is taken in one of @regions.
 */
static DECLARE_RWSEM(gate);
static bool shut;		/* written with @gate held for writing */
static DECLARE_WAIT_QUEUE_HEAD(opened);

static atomic64_t last_number;

static DEFINE_MUTEX(lock);	/* both below */
static LIST_HEAD(regions);
static u64 nr_regions;

static int region_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct region *region = file->private_data;
	unsigned long nr = vma_pages(vma);

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

	return lethe_mappings_add(&region->mappings, vma,
				  region->pages + vma->vm_pgoff);
}

static __poll_t region_poll(struct file *file, poll_table *wait)
{
	struct region *region = file->private_data;

	poll_wait(file, &region->wait, wait);
	return READ_ONCE(region->revoked) ? EPOLLHUP | EPOLLERR : 0;
}

/* Returns the charge, and frees what told of the pages. */
static void region_uncharge(struct region *region)
{
	account_locked_vm(region->mm, region->nr, false);
	kvfree(region->pages);
	region->pages = NULL;
}

static void region_free(struct region *region)
{
	if (region->mm) {
		lethe_mappings_free(&region->mappings);
		if (!region->revoked)
			region_uncharge(region);
		mmdrop(region->mm);
	}
	lethe_maker_free(&region->maker);
	kfree(region);
}

/* From here on the region can be revoked. Before anybody can write to it. */
static void region_add(struct region *region)
{
	trace_region_create(region->number, region->nr,
			    pid_nr(region->maker.pid));
	if (trace_region_frames_enabled())
		lethe_trace_frames(region->number, region->pages, region->nr,
				   true);

	guard(mutex)(&lock);

	list_add_tail(&region->node, &regions);
	nr_regions++;
}

/* Nothing maps it any more: its pages are wiped, and given back. */
static void region_remove(struct region *region, bool revoked)
{
	mutex_lock(&lock);
	list_del(&region->node);
	nr_regions--;
	mutex_unlock(&lock);

	lethe_block_give(region->pages, region->nr, region->number);
	trace_region_destroy(region->number, region->nr,
			     pid_nr(region->maker.pid), revoked);
}

/*
 * The last descriptor and the last mapping are gone: run by the task that gave
 * up the latter, before it returns from that call or, on its way out, ends.
 */
static int region_release(struct inode *inode, struct file *file)
{
	struct region *region = file->private_data;

	down_read(&gate);
	if (!region->revoked)
		region_remove(region, false);
	up_read(&gate);

	region_free(region);
	lethe_fpu_wipe_exiting();
	return 0;
}

static const struct file_operations region_fops = {
	.owner = THIS_MODULE,
	.mmap = region_mmap,
	.poll = region_poll,
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

	init_waitqueue_head(&region->wait);
	region->nr = nr;
	region->number = atomic64_inc_return(&last_number);
	lethe_maker_init(&region->maker);
	err = account_locked_vm(current->mm, nr, true);
	if (err)
		goto err_free;
	/* The charge goes back to this one, whoever closes the last. */
	region->mm = current->mm;
	mmgrab(region->mm);
	lethe_mappings_init(&region->mappings, region->mm);

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

/*
 * Holds the gate; waits while it is shut, as a task that can be frozen. Who must
 * not (with a lock held, behind which others could not be) gets EBUSY.
 */
static int enter_gate(bool may_wait)
{
	int err;

	for (;;) {
		down_read(&gate);
		if (!shut)
			return 0;
		up_read(&gate);
		if (!may_wait)
			return -EBUSY;

		err = wait_event_freezable(opened, !READ_ONCE(shut));
		if (err)
			return err;
	}
}

/**
 * lethe_region_create() - a new region
 * @length: bytes; more than zero
 * @may_wait: while the regions are shut; else that is an error
 *
 * Return: a close-on-exec descriptor, or -errno as LETHE_IOC_CREATE has it.
 */
int lethe_region_create(u64 length, bool may_wait)
{
	struct region *region;
	unsigned long nr;
	int fd, err;

	if (length > MAX_LFS_FILESIZE)
		return -E2BIG;
	nr = (length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* With CAP_IPC_LOCK nothing else would stop it early. */
	if (nr > totalram_pages())
		return -ENOMEM;

	err = enter_gate(may_wait);
	if (err)
		return err;

	region = region_alloc(nr);
	if (IS_ERR(region)) {
		err = PTR_ERR(region);
		goto err_gate;
	}
	err = lethe_block_take(region->pages, nr);
	if (err)
		goto err_region;

	/* With its descriptor, another thread may already close it. */
	region_add(region);
	fd = lethe_anon_fd("[lethe]", &region_fops, region);
	if (fd < 0) {
		err = fd;
		goto err_pages;
	}
	up_read(&gate);
	return fd;

err_pages:
	region_remove(region, false);
err_region:
	region_free(region);
err_gate:
	up_read(&gate);
	return err;
}

static void revoke(struct region *region)
{
	lethe_mappings_revoke(&region->mappings);
	region_remove(region, true);
	region_uncharge(region);
	/* Not sooner: who is told of it may count on SIGBUS. */
	WRITE_ONCE(region->revoked, true);
	wake_up_poll(&region->wait, EPOLLHUP | EPOLLERR);
	lethe_total_add(LETHE_TOTAL_REVOKED, 1);
}

/**
 * lethe_region_shut() - let no region be, until lethe_region_open()
 * @wipe: revoke those there are; else refuse while there are any
 *
 * When it returns 0, no page is taken and no block is out of the direct map.
 * Sleeps.
 *
 * Return: 0; or -EBUSY, and nothing has changed.
 */
int lethe_region_shut(bool wipe)
{
	struct region *region, *next;
	int err = 0;

	down_write(&gate);
	if (!wipe && nr_regions) {
		err = -EBUSY;
		goto out;
	}
	WRITE_ONCE(shut, true);

	list_for_each_entry_safe(region, next, &regions, node)
		revoke(region);
	lethe_block_drain();
out:
	up_write(&gate);
	return err;
}

/**
 * lethe_region_open() - let regions be made again
 *
 * Those that were revoked stay so.
 */
void lethe_region_open(void)
{
	down_write(&gate);
	WRITE_ONCE(shut, false);
	up_write(&gate);

	wake_up_all(&opened);
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
	region = file->private_data;
	down_read(&gate);
	*total = region->revoked ? 0 : put_frames(region, frames, room, 0);
	up_read(&gate);
	fput(file);
	return 0;
}

/**
 * lethe_region_holdings() - what each region's maker holds of it
 * @holdings: filled with the first @room of them, as the caller sees processes
 * @room: may be less than there are
 *
 * The oldest come first, so that with room for lethe_region_count() of them none
 * is left out but those that were made since. The caller has made sure that who
 * asks may know.
 *
 * Return: how many were filled.
 */
u64 lethe_region_holdings(struct lethe_holding *holdings, u64 room)
{
	struct region *region;
	u64 nr = 0;

	guard(mutex)(&lock);

	list_for_each_entry(region, &regions, node) {
		if (nr == room)
			break;
		lethe_maker_holds(&region->maker, region->number,
				  (u64)region->nr << PAGE_SHIFT,
				  &holdings[nr++]);
	}
	return nr;
}
