// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/lethe: decodes and checks what user space hands in, calls who does the
 * work, and hands out the result, for ioctl(2) and, by uring.c, for io_uring.
 * Open to everybody, as memfd_secret(2) is: it keeps no state, and never does for
 * a caller what it could not do itself.
 */
#include <linux/build_bug.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/lethe.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "block.h"
#include "device.h"
#include "directmap.h"
#include "holder.h"
#include "region.h"
#include "totals.h"
#include "trace.h"
#include "uring.h"
#include "wipe.h"
#include "xsave.h"

/* Published: these sizes never shrink, and grow with LETHE_ABI_VERSION. */
static_assert(sizeof(struct lethe_create) == 16);
static_assert(sizeof(struct lethe_wipe) == 56);
static_assert(sizeof(struct lethe_query) == 128);
static_assert(sizeof(struct lethe_holder) == 32);
static_assert(sizeof(struct lethe_uring_cmd) == 16);

/* The shortest form that was ever published. */
#define CREATE_SIZE_FIRST	16
#define WIPE_SIZE_FIRST		40
#define QUERY_SIZE_FIRST	80
#define HOLDER_SIZE_FIRST	32

#define QUERY_FLAGS	(LETHE_QUERY_FRAMES | LETHE_QUERY_REGION | \
			 LETHE_QUERY_HOLDERS)

/* A command's number without the size, which the structure itself tells. */
#define CODE(cmd)	((cmd) & ~IOCSIZE_MASK)

/*
 * Copies an extensible structure in. Returns the size that the caller gave it,
 * read once, or -errno.
 */
static ssize_t copy_args(void *args, size_t size, size_t first,
			 const void __user *uargs)
{
	u32 usize;
	int err;

	if (get_user(usize, (const u32 __user *)uargs))
		return -EFAULT;
	if (usize < first)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;

	err = copy_struct_from_user(args, size, uargs, usize);
	if (err)
		return err;
	return usize;
}

static long create(void __user *uargs, bool may_wait)
{
	struct lethe_create args;
	ssize_t usize;

	usize = copy_args(&args, sizeof(args), CREATE_SIZE_FIRST, uargs);
	if (usize < 0)
		return usize;
	if (args.flags || !args.length)
		return -EINVAL;

	return lethe_region_create(args.length, may_wait);
}

static long wipe(void __user *uargs, struct file *door, bool may_wait)
{
	struct lethe_wipe __user *out = uargs;
	const size_t results = offsetof(struct lethe_wipe, wiped);
	struct lethe_wipe args;
	ssize_t usize;
	int err;

	usize = copy_args(&args, sizeof(args), WIPE_SIZE_FIRST, uargs);
	if (usize < 0)
		return usize;
	/* Another thread would have to be waited for. */
	if (!may_wait && args.tid && args.tid != task_pid_vnr(current))
		return -EOPNOTSUPP;
	err = lethe_wipe_check(&args);
	if (err)
		return err;

	err = lethe_wipe_run(&args, door);
	lethe_total_add(LETHE_TOTAL_WIPES, 1);
	lethe_total_add(LETHE_TOTAL_WIPED_BYTES, args.wiped);
	trace_wipe(&args, err);
	/* As many of them as the caller knows. */
	if (copy_to_user(&out->wiped, &args.wiped,
			 min_t(size_t, usize, sizeof(args)) - results))
		return -EFAULT;
	return err;
}

static int query_frames(struct lethe_query *args)
{
	int fd = args->flags & LETHE_QUERY_REGION ? args->fd : LETHE_REGION_ALL;
	u64 room, total, given;
	u64 *frames = NULL;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	/* No descriptor, and not to be taken for all of them. */
	if (args->flags & LETHE_QUERY_REGION && fd < 0)
		return -EBADF;

	/* How many there are, so that no more memory is asked for. */
	err = lethe_region_frames(fd, NULL, 0, &total);
	if (err)
		return err;

	room = min_t(u64, total, args->nr_frames);
	if (room) {
		frames = kvmalloc_array(room, sizeof(*frames),
					GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!frames)
			return -ENOMEM;
		/* Regions come and go: what counts is what there is now. */
		err = lethe_region_frames(fd, frames, room, &total);
		given = min(room, total);
		if (!err && copy_to_user(u64_to_user_ptr(args->frames), frames,
					 given * sizeof(*frames)))
			err = -EFAULT;
		kvfree(frames);
	}
	args->nr_frames = min_t(u64, total, U32_MAX);
	return err;
}

/* As many as the caller has room for, each as large as the caller knows it. */
static int put_holders(const struct lethe_query *args,
		       const struct lethe_holding *holdings, u64 nr)
{
	u8 __user *to = u64_to_user_ptr(args->holders);
	size_t size = args->holder_size;
	size_t known = min(size, sizeof(holdings->row));

	for (; nr; nr--, holdings++, to += size)
		if (copy_to_user(to, &holdings->row, known) ||
		    clear_user(to + known, size - known))
			return -EFAULT;
	return 0;
}

static int query_holders(struct lethe_query *args)
{
	struct lethe_holding *holdings;
	u64 nr;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (args->holder_size < HOLDER_SIZE_FIRST)
		return -EINVAL;
	if (args->holder_size > PAGE_SIZE)
		return -E2BIG;

	/* One more, since none at all is no size to ask for. */
	nr = lethe_region_count() + 1;
	holdings = kvmalloc_array(nr, sizeof(*holdings),
				  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!holdings)
		return -ENOMEM;
	nr = lethe_region_holdings(holdings, nr);
	nr = lethe_holders_merge(holdings, nr);
	err = put_holders(args, holdings, min_t(u64, nr, args->nr_holders));
	kvfree(holdings);

	args->nr_holders = min_t(u64, nr, U32_MAX);
	return err;
}

static long query(void __user *uargs)
{
	struct lethe_block_count count;
	struct lethe_query args;
	ssize_t usize;
	int err;

	usize = copy_args(&args, sizeof(args), QUERY_SIZE_FIRST, uargs);
	if (usize < 0)
		return usize;

	if (args.flags & ~QUERY_FLAGS ||
	    (args.flags & LETHE_QUERY_REGION &&
	     !(args.flags & LETHE_QUERY_FRAMES)))
		return -EINVAL;
	if (args.flags & LETHE_QUERY_FRAMES) {
		err = query_frames(&args);
		if (err)
			return err;
	}
	if (args.flags & LETHE_QUERY_HOLDERS) {
		err = query_holders(&args);
		if (err)
			return err;
	}

	lethe_block_counts(&count);
	args.version = LETHE_ABI_VERSION;
	args.page_size = PAGE_SIZE;
	args.features = LETHE_FEATURE_REGIONS | LETHE_FEATURE_WIPE_RANGE |
			LETHE_FEATURE_WIPE_STACKS | LETHE_FEATURE_WIPE_OTHERS |
			LETHE_FEATURE_HOLDERS;
	if (lethe_xsave_known())
		args.features |= LETHE_FEATURE_WIPE_REGISTERS;
	if (IS_ENABLED(CONFIG_IO_URING))
		args.features |= LETHE_FEATURE_URING;
	args.blocks = count.blocks;
	args.block_size = LETHE_BLOCK_SIZE;
	args.pages_used = count.used;
	args.pages_free = count.free;
	args.pages_small = count.small;
	args.splits = lethe_directmap_splits();
	args.max_blocks = count.max;
	args.keep_blocks = count.keep;
	args.regions = lethe_region_count();

	/* A tail that the caller knows and we do not stays as it was. */
	if (copy_to_user(uargs, &args, min_t(size_t, usize, sizeof(args))))
		return -EFAULT;
	return 0;
}

/**
 * lethe_device_call() - do what a code says
 * @door: the open device
 * @cmd: LETHE_IOC_*
 * @uargs: its structure
 * @may_wait: may another thread, or the end of a hibernation, be waited for
 *
 * For the calling task alone, on that very task.
 *
 * Return: what LETHE_IOC_* has; -ENOTTY where there is no such code.
 */
long lethe_device_call(struct file *door, unsigned int cmd, void __user *uargs,
		       bool may_wait)
{
	switch (CODE(cmd)) {
	case CODE(LETHE_IOC_CREATE):
		return create(uargs, may_wait);
	case CODE(LETHE_IOC_WIPE):
		return wipe(uargs, door, may_wait);
	case CODE(LETHE_IOC_QUERY):
		return query(uargs);
	default:
		return -ENOTTY;
	}
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return lethe_device_call(file, cmd, (void __user *)arg, true);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	/* The structures are the same for 32-bit programs. */
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = lethe_uring_cmd,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lethe",
	.fops = &device_fops,
	.mode = 0666,
	.groups = lethe_totals_groups,
};

/**
 * lethe_device_init() - open the door
 *
 * Return: 0, or -errno.
 */
int lethe_device_init(void)
{
	int err = misc_register(&device);

	if (err)
		pr_err("not loaded: /dev/lethe cannot be made (%d)\n", err);
	return err;
}

/**
 * lethe_device_exit() - close it
 */
void lethe_device_exit(void)
{
	misc_deregister(&device);
}
