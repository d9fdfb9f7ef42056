// SPDX-License-Identifier: MIT
/*
 * What the default adds to LETHE_FAST, where the module is: the one asks the kernel in
 * each section, the other does not. Beside it, what asking the module for nothing takes.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include <linux/lethe.h>

#include "../selftests/tap.h"
#include "cases.h"
#include "vm_section.h"

#define SLICES 51
#define OPS 100

/* A number of the module's that means nothing to it. */
#define NOTHING _IO(LETHE_IOC_MAGIC, 0xff)

static int device;

static void run_fast(void (*op)(void *), const struct lethe_options *options)
{
	static const struct lethe_options fast = { .size = sizeof(fast),
						   .flags = LETHE_FAST };

	(void)options;
	run_in_section(op, &fast);
}

static void run_default(void (*op)(void *), const struct lethe_options *options)
{
	(void)options;
	run_in_section(op, NULL);
}

static void run_with_ioctl(void (*op)(void *), const struct lethe_options *options)
{
	(void)options;
	op(NULL);
	if (ioctl(device, NOTHING) >= 0 || errno != ENOTTY)
		tap_bail("an ioctl that there is not is one");
}

/* Does a section end with the kernel's copies erased by the module? */
static bool is_complete(void)
{
	struct lethe_report report = { .size = sizeof(report) };

	if (lethe_do_with(NULL, do_nothing, NULL, &report))
		tap_bail("no section");
	return report.done & LETHE_DONE_KERNEL;
}

void bench_sections(int door)
{
	static const char metric[] = "a section by default, over LETHE_FAST";
	struct series ours, peer;
	struct taken taken;

	device = door;
	for (unsigned int round = 0; round < rounds; round++) {
		taken = take(do_nothing, run_fast, run_default, NULL, SLICES, OPS);
		ours.at[round] = taken.added;
		taken = take(do_nothing, run_plainly, run_with_ioctl, NULL, SLICES, OPS);
		peer.at[round] = taken.added;
	}
	if (is_complete())
		at_most(metric, "ns", &ours, &peer, "a bare ioctl", 1.5);
	else
		row_alone(metric, "ns", &ours, "the module erases no registers", "<= 1.5",
			  "no");
}
