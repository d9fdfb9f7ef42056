// SPDX-License-Identifier: MIT
/*
 * Is lethe_report true? What it says was wiped, freed, left and handled, against
 * what the section is known to have done. On whichever backend is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define STACK_BYTES (256 * KIB)

static struct lethe_report report;

static int with_flags(unsigned int flags, void (*fn)(void *), void *arg)
{
	struct lethe_options options = { .size = sizeof(options), .flags = flags };

	memset(&report, 0xff, sizeof(report));
	report.size = sizeof(report);
	return lethe_do_with(&options, fn, arg, &report);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* With the module, whichever the backend. */
static bool kernel_can_be_wiped(void)
{
	struct lethe_query query = { .size = sizeof(query) };
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	bool can = false;

	if (device < 0)
		return false;
#ifdef LETHE_FEATURE_WIPE_REGISTERS
	can = !ioctl(device, LETHE_IOC_QUERY, &query) &&
	      query.features & LETHE_FEATURE_WIPE_REGISTERS;
#else
	(void)query;
#endif
	close(device);
	return can;
}

static void test_done(void)
{
	unsigned int flags, erased = 0, kernel = 0, complete = 0;

	for (flags = 0; flags < 32; flags++) {
		if (with_flags(flags, nothing, NULL))
			continue;
		erased += (report.done & LETHE_DONE_ERASE) != 0;
		kernel += !(flags & LETHE_FAST) && report.done & LETHE_DONE_KERNEL;
		complete += flags & LETHE_COMPLETE &&
			    report.done &
				    (LETHE_DONE_KERNEL | LETHE_DONE_KERNEL_OVERWRITE |
				     LETHE_DONE_UNDISTURBED);
	}
	tap_ok(erased == 32, "every section's registers and stacks were erased");
	if (kernel_can_be_wiped())
		tap_ok(kernel == 16,
		       "the kernel's copies were, by the module, without LETHE_FAST");
	else
		tap_ok(kernel == 0,
		       "the kernel's copies were not: there is no module that can");
	tap_ok(complete == 16,
	       "with LETHE_COMPLETE they were, one way or the other, or there are none");
	(void)with_flags(0, nothing, NULL);
	tap_ok(!(report.done & LETHE_DONE_UNDISTURBED),
	       "only LETHE_FAST asks if it was disturbed");
}

static void on_signal(int number)
{
	(void)number;
}

static void raise_one(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static void test_fast(void)
{
	unsigned int i, undisturbed = 0, raised = 0;

	for (i = 0; i < 1000; i++) {
		(void)with_flags(LETHE_FAST, nothing, NULL);
		undisturbed += (report.done & LETHE_DONE_UNDISTURBED) != 0;
	}
	for (i = 0; i < 100; i++) {
		(void)with_flags(LETHE_FAST, raise_one, NULL);
		raised += (report.done & LETHE_DONE_UNDISTURBED) != 0;
	}
	tap_ok(undisturbed > 0 && !raised,
	       "LETHE_FAST: undisturbed in %u sections of 1,000, and in none of 100 that had a signal",
	       undisturbed);
}

static volatile size_t depth;

static __attribute__((noinline)) void touch_one_byte(void *arg)
{
	volatile char frame[depth];

	(void)arg;
	frame[0] = 1;
	if (!frame[0])
		frame[1] = 0;
}

static void test_stack_wiped(void)
{
	static const size_t depths[] = { 1 * KIB, 16 * KIB, 64 * KIB, 200 * KIB };
	size_t i, good = 0, last = 0;

	for (i = 0; i < 4; i++) {
		depth = depths[i];
		if (with_flags(0, touch_one_byte, NULL))
			continue;
		tap_note("a frame of %zu bytes: %zu wiped", depth, report.stack_wiped);
		good += report.stack_wiped > last && report.stack_wiped >= depth &&
			report.stack_wiped <= depth + 8 * KIB;
		last = report.stack_wiped;
	}
	tap_ok(good == 4 && last <= STACK_BYTES,
	       "as much stack is wiped as was used, and little more");
	(void)with_flags(0, nothing, NULL);
	tap_ok(report.stack_wiped <= 4 * KIB, "for a shallow section, little (%zu bytes)",
	       report.stack_wiped);
}

static void *kept[3];

static void use_heap(void *arg)
{
	unsigned int i, keep = *(unsigned int *)arg;

	for (i = 0; i < 3; i++)
		kept[i] = lethe_malloc(1000);
	for (i = keep; i < 3; i++)
		lethe_free(kept[i]);
}

static void free_kept(void *arg)
{
	(void)arg;
	lethe_free(kept[0]);
	lethe_free(kept[1]);
}

static void test_heap(void)
{
	unsigned int keep;
	bool good = true;

	(void)with_flags(0, nothing, NULL);
	tap_ok(!report.heap_wiped && !report.blocks_live,
	       "a section that allocates nothing frees nothing, and leaves nothing");
	for (keep = 0; keep <= 2; keep++) {
		if (with_flags(0, use_heap, &keep))
			tap_bail("no section");
		good &= report.blocks_live == keep &&
			report.heap_wiped >= 1000 * (3 - keep) &&
			report.heap_wiped <= 2 * KIB * (3 - keep);
		if (keep == 1)
			lethe_free(kept[0]);
	}
	tap_ok(good, "blocks that a section leaves are counted, and bytes that it freed");
	(void)with_flags(0, free_kept, NULL);
	tap_ok(report.blocks_live == 0 && report.heap_wiped >= 2000,
	       "a section that frees another's blocks leaves none, not less than none");
}

static void raise_again(int number)
{
	(void)number;
	raise(SIGUSR1);
}

static void raise_nested(void *arg)
{
	(void)arg;
	raise(SIGUSR2);
}

static void raise_three(void *arg)
{
	raise_one(arg);
	raise_one(arg);
	raise_one(arg);
}

static void test_signals(void)
{
	struct sigaction one = { .sa_handler = on_signal },
			 nested = { .sa_handler = raise_again };

	sigaction(SIGUSR1, &one, NULL);
	sigaction(SIGUSR2, &nested, NULL);
	(void)with_flags(0, nothing, NULL);
	tap_ok(report.signals == 0, "no signal, none reported");
	(void)with_flags(0, raise_one, NULL);
	tap_ok(report.signals == 1, "one signal is reported (%u)", report.signals);
	(void)with_flags(0, raise_nested, NULL);
	tap_ok(report.signals == 2, "one in the handler of another makes two (%u)",
	       report.signals);
	(void)with_flags(0, raise_three, NULL);
	tap_ok(report.signals >= 1 && report.signals <= 3,
	       "three, whose frames may lie over each other, are one to three (%u)",
	       report.signals);
	(void)with_flags(LETHE_BLOCK_SIGNALS, raise_three, NULL);
	tap_ok(report.signals == 0, "with LETHE_BLOCK_SIGNALS they wait: none");
}

static void test_signal_stack(void)
{
	static char alternate[64 * 1024];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	const stack_t no_stack = { .ss_flags = SS_DISABLE };
	unsigned int without, with;

	sigaltstack(&no_stack, NULL);
	(void)with_flags(0, nothing, NULL);
	without = report.done;
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &action, NULL);
	(void)with_flags(0, raise_one, NULL);
	with = report.done;
	tap_ok(!(without & LETHE_DONE_SIGNAL_STACK) && with & LETHE_DONE_SIGNAL_STACK,
	       "a secret stack stood in for the alternate one, where there was one");
	tap_ok(report.signals == 1, "and the frame there is found");
	sigaltstack(&no_stack, NULL);
}

static jmp_buf way_out;

static void jump(void *arg)
{
	(void)arg;
	longjmp(way_out, 1);
}

static void test_not_returned(void)
{
	if (!setjmp(way_out))
		(void)with_flags(0, jump, NULL);
	tap_ok(!report.done && !report.stack_wiped && !report.heap_wiped &&
		       !report.signals && report.size == sizeof(report),
	       "of a section that is jumped out of nothing was done yet");
	(void)lethe_wipe_thread();
}

int main(void)
{
	tap_plan(18);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	signal(SIGUSR1, on_signal);
	test_done();
	test_fast();
	test_stack_wiped();
	test_heap();
	test_signals();
	test_signal_stack();
	test_not_returned();
	return tap_end();
}
