// SPDX-License-Identifier: MIT
/*
 * What the default adds to LETHE_FAST, where the module is: the one asks the kernel in
 * each section, the other does not. Beside it, what asking the module for nothing takes.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/lethe.h>

#include "../selftests/tap.h"
#include "cases.h"
#include "vm_section.h"

#define SLICES 51
#define OPS 100
#define SIGNAL_STACK (32 * 1024)

/*
 * A small one: to look through a large one takes the emulator ten times as long as what
 * is asked here, and varies by as much.
 */
#define STACK (8 * 1024)

/* A number of the module's that means nothing to it. */
#define NOTHING _IO(LETHE_IOC_MAGIC, 0xff)

static int device;

static void run_fast(void (*op)(void *), const struct lethe_options *options)
{
	static const struct lethe_options fast = { .size = sizeof(fast),
						   .flags = LETHE_FAST,
						   .stack_size = STACK };

	(void)options;
	run_in_section(op, &fast);
}

static void run_default(void (*op)(void *), const struct lethe_options *options)
{
	static const struct lethe_options usual = { .size = sizeof(usual),
						    .stack_size = STACK };

	(void)options;
	run_in_section(op, &usual);
}

static void run_with_ioctl(void (*op)(void *), const struct lethe_options *options)
{
	(void)options;
	op(NULL);
	if (ioctl(device, NOTHING) >= 0 || errno != ENOTTY)
		tap_bail("an ioctl that there is not is one");
}

/* What the default asks the kernel for, apart. */
static void run_with_signal_stacks(void (*op)(void *),
				   const struct lethe_options *options)
{
	static char other[SIGNAL_STACK];
	stack_t ss = { .ss_sp = other, .ss_size = sizeof(other) }, before;

	(void)options;
	if (sigaltstack(&ss, &before))
		tap_bail("sigaltstack: %s", strerror(errno));
	op(NULL);
	before.ss_flags &= ~SS_ONSTACK;
	if (sigaltstack(&before, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
}

static void run_with_wipe(void (*op)(void *), const struct lethe_options *options)
{
	struct lethe_wipe wipe = { .size = sizeof(wipe), .flags = LETHE_WIPE_REGISTERS };

	(void)options;
	op(NULL);
	if (ioctl(device, LETHE_IOC_WIPE, &wipe) && errno != EOPNOTSUPP)
		tap_bail("LETHE_IOC_WIPE: %s", strerror(errno));
}

/* Does a section end with the kernel's copies erased by the module? */
static bool is_complete(void)
{
	struct lethe_report report = { .size = sizeof(report) };

	if (lethe_do_with(NULL, do_nothing, NULL, &report))
		tap_bail("no section");
	return report.done & LETHE_DONE_KERNEL;
}

static double added(way without, way with)
{
	return take(do_nothing, without, with, NULL, SLICES, OPS).added;
}

void bench_sections(int door)
{
	static const char metric[] = "a section by default, over LETHE_FAST";
	struct series ours, signals, wipe, peer;

	device = door;
	for (unsigned int round = 0; round < rounds; round++) {
		ours.at[round] = added(run_fast, run_default);
		signals.at[round] = added(run_plainly, run_with_signal_stacks);
		peer.at[round] = added(run_plainly, run_with_ioctl);
		wipe.at[round] = added(run_plainly, run_with_wipe);
	}
	if (is_complete())
		at_most(metric, "ns", &ours, &peer, "a bare ioctl", 1.5);
	else
		row_alone(metric, "ns", &ours, "the module erases no registers", "<= 1.5",
			  "no");
	row("of that, two alternate signal stacks installed", "ns", &signals, &peer,
	    "a bare ioctl", median(&signals) / median(&peer), "-", "-");
	row("of that, LETHE_WIPE_REGISTERS", "ns", &wipe, &peer, "a bare ioctl",
	    median(&wipe) / median(&peer), "-", "-");
}
