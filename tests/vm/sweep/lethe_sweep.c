// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests alone: how many pages of all memory the kernel cannot read through
 * its direct map. Asks the processor about each, whatever the tables say, and
 * whoever the page belongs to.
 *
 *	cat /sys/module/lethe_sweep/parameters/unreadable
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

static bool readable(unsigned long pfn)
{
	u8 byte;

	return !copy_from_kernel_nofault(&byte, pfn_to_kaddr(pfn), 1);
}

static int get_unreadable(char *buffer, const struct kernel_param *param)
{
	unsigned long pfn, unreadable = 0, pages = 0;
	int node;

	for (node = first_online_node; node < MAX_NUMNODES;
	     node = next_online_node(node)) {
		pg_data_t *data = NODE_DATA(node);

		for (pfn = data->node_start_pfn; pfn < pgdat_end_pfn(data); pfn++) {
			if (!(pfn % PTRS_PER_PTE))
				cond_resched();
			if (!pfn_valid(pfn) || !page_is_ram(pfn))
				continue;
			pages++;
			unreadable += !readable(pfn);
		}
	}
	return sysfs_emit(buffer, "%lu %lu\n", unreadable, pages);
}

static const struct kernel_param_ops unreadable_ops = {
	.get = get_unreadable,
};

module_param_cb(unreadable, &unreadable_ops, NULL, 0400);
MODULE_PARM_DESC(unreadable, "pages that cannot be read, and pages");

MODULE_DESCRIPTION("Reads all memory through the direct map");
MODULE_LICENSE("GPL");
