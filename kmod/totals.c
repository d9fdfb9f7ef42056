// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an operator wants to know without a program: files of one number each,
 * below the device in sysfs. None can be written, and none tells of a process.
 *
 * What:	/sys/class/misc/lethe/version
 * Description:	LETHE_ABI_VERSION of the module.
 *
 * What:	/sys/class/misc/lethe/block_size
 * Description:	Bytes of a block.
 *
 * What:	/sys/class/misc/lethe/blocks
 * Description:	Whole blocks that are out of the direct map now.
 *
 * What:	/sys/class/misc/lethe/pages_used
 *		/sys/class/misc/lethe/pages_free
 *		/sys/class/misc/lethe/pages_small
 * Description:	Pages in regions now; pages out of the direct map that are in
 *		none; how many of both are not in whole blocks.
 *
 * What:	/sys/class/misc/lethe/splits
 * Description:	Larger entries of the direct map that were split for the latter,
 *		since the module was loaded.
 *
 * What:	/sys/class/misc/lethe/regions
 * Description:	Regions alive now; not those that were revoked.
 *
 * What:	/sys/class/misc/lethe/revoked
 * Description:	Regions that were revoked since the module was loaded.
 *
 * What:	/sys/class/misc/lethe/wipes
 *		/sys/class/misc/lethe/wiped_bytes
 * Description:	LETHE_IOC_WIPE calls that asked for something since the module was
 *		loaded, and the bytes that they returned as zeroed. For root
 *		alone: to others they would tell when somebody's section ends,
 *		and how deep its stack was.
 */
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/lethe.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>

#include "block.h"
#include "directmap.h"
#include "region.h"
#include "totals.h"

/* Added up when asked: counting must cost a wipe nothing. */
static DEFINE_PER_CPU(u64 [LETHE_TOTALS], totals);

/**
 * lethe_total_add() - count
 * @which: what
 * @n: how many more
 */
void lethe_total_add(enum lethe_total which, u64 n)
{
	this_cpu_add(totals[which], n);
}

static u64 total(enum lethe_total which)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(totals, cpu)[which];
	return sum;
}

static struct lethe_block_count counts(void)
{
	struct lethe_block_count count;

	lethe_block_counts(&count);
	return count;
}

#define FILE(name, mode, value)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *text)	\
{									\
	return sysfs_emit(text, "%llu\n", (u64)(value));		\
}									\
static DEVICE_ATTR(name, mode, name##_show, NULL)

FILE(version, 0444, LETHE_ABI_VERSION);
FILE(block_size, 0444, LETHE_BLOCK_SIZE);
FILE(blocks, 0444, counts().blocks);
FILE(pages_used, 0444, counts().used);
FILE(pages_free, 0444, counts().free);
FILE(pages_small, 0444, counts().small);
FILE(splits, 0444, lethe_directmap_splits());
FILE(regions, 0444, lethe_region_count());
FILE(revoked, 0444, total(LETHE_TOTAL_REVOKED));
FILE(wipes, 0400, total(LETHE_TOTAL_WIPES));
FILE(wiped_bytes, 0400, total(LETHE_TOTAL_WIPED_BYTES));

static struct attribute *attrs[] = {
	&dev_attr_version.attr,
	&dev_attr_block_size.attr,
	&dev_attr_blocks.attr,
	&dev_attr_pages_used.attr,
	&dev_attr_pages_free.attr,
	&dev_attr_pages_small.attr,
	&dev_attr_splits.attr,
	&dev_attr_regions.attr,
	&dev_attr_revoked.attr,
	&dev_attr_wipes.attr,
	&dev_attr_wiped_bytes.attr,
	NULL
};

static const struct attribute_group group = {
	.attrs = attrs,
};

/* For the device, which makes the files as it comes. */
const struct attribute_group *lethe_totals_groups[] = { &group, NULL };
