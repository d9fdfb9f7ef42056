// SPDX-License-Identifier: MIT
/*
 * When does the kernel copy a section's registers? When it takes the thread off the
 * processor, in a system call or in the middle of nothing, and when it gives it a
 * signal; and LETHE_FAST sees the sign of each: what it calls undisturbed, the kernel
 * has no copy of.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "full.h"
#include "internal.h"
#include "kernel_copies.h"
#include "observed.h"
#include "preempted.h"

#define SIGNALS 100
#define SECTIONS 300
/* One in so many blocks. */
#define BLOCKS 6
/*
 * The sign does not tell of the kernel's own use of the vector registers, in a softirq
 * that comes just then: every few seconds one stirs the entropy pool, while each of
 * these sections takes some microseconds.
 */
#define SOFTIRQS 1

static const struct lethe_options fast = {
	.size = sizeof(fast),
	.flags = LETHE_FAST,
};

static struct lethe_report report;
static struct copies seen;
static int result;

static void overwrite(void)
{
	result = kernel_overwrite();
}

static void enter_kernel(void)
{
	getppid();
}

static void stay_full(void *arg)
{
	(void)arg;
	full_on_processor(copies_secret);
}

static void signal_full(void *arg)
{
	(void)arg;
	full_call = (struct full_call){ SYS_tgkill, { getpid(), gettid(), SIGUSR1 } };
	full_in_call(copies_secret);
}

static void block_full(void *arg)
{
	struct timespec moment = { .tv_nsec = 1000 };

	(void)arg;
	full_call = (struct full_call){ SYS_nanosleep, { (long)&moment, 0, 0 } };
	full_in_call(copies_secret);
}

static void run_section(void (*fn)(void *))
{
	report.size = sizeof(report);
	result = lethe_do_with(&fast, fn, NULL, &report);
}

static void stay_in_section(void)
{
	run_section(stay_full);
}

static void signal_in_section(void)
{
	run_section(signal_full);
}

static void block_in_section(void)
{
	run_section(block_full);
}

/* Did the section that has just ended run, and what does it say? */
static bool undisturbed(void)
{
	if (result)
		tap_bail("lethe_do_with: %s", strerror(-result));
	return report.done & LETHE_DONE_UNDISTURBED;
}

static void handle(int number)
{
	(void)number;
}

static void test_preempted(void)
{
	struct copies after;

	seen = preempted(stay_in_section);
	copies_show("preempted", seen);
	after = copies_show("preempted, lethe_do() at its end", copies_look());
	tap_ok(!undisturbed() && after.area,
	       "preemption alone copies every register, and LETHE_FAST sees it");
	observed_do(overwrite);
	after = copies_show("preempted, kernel_overwrite()", copies_look());
	tap_ok(!result && copies_none(&after), "kernel_overwrite() leaves none of it");
}

static void test_signals(void)
{
	unsigned int told = 0, left = 0, stay = 0, overwritten = 0;
	struct copies copies, left_by_one = { 0 };

	for (int i = 0; i < SIGNALS; i++) {
		observed_do(signal_in_section);
		told += !undisturbed();
		copies = copies_look();
		if (copies.dead) {
			left_by_one = copies;
			left++;
		}
		observed_do(enter_kernel);
		stay += copies_look().dead > 0;
		observed_do(overwrite);
		copies = copies_look();
		overwritten += !result && copies_none(&copies);
	}
	copies_show("a signal", left_by_one);
	tap_ok(told == SIGNALS, "LETHE_FAST sees each of %d signals", SIGNALS);
	tap_ok(left && stay,
	       "control: %u of them leave general registers on the kernel's stack, %u past the next system call",
	       left, stay);
	copies_show("a signal, kernel_overwrite()", copies);
	tap_ok(overwritten == SIGNALS, "kernel_overwrite() leaves none of those");
}

static void test_undisturbed(void)
{
	unsigned int blocked = 0, told = 0, copied = 0;
	unsigned int kept = 0, kept_copied = 0, interrupted = 0;

	full_end = 1;
	for (int i = 0; i < SECTIONS; i++) {
		bool blocks = i % BLOCKS == 0;

		observed_do(overwrite);
		seen = copies_look();
		if (result || !copies_none(&seen))
			tap_bail("kernel_overwrite() left copies");
		observed_do(blocks ? block_in_section : stay_in_section);
		seen = copies_look();
		if (blocks) {
			blocked++;
			told += !undisturbed();
			copied += seen.area > 0;
		} else if (undisturbed()) {
			kept++;
			kept_copied += seen.area || seen.dead;
			interrupted += seen.frame > 0;
		}
	}
	tap_note("LETHE_FAST saw %u of the %u that blocked", told, blocked);
	tap_note("%u undisturbed ones left general registers in pt_regs, by an interrupt",
		 interrupted);
	/* A moment may be over before the thread is off the processor. */
	tap_ok(2 * copied > blocked,
	       "control: %u of %u sections that blocked left copies", copied, blocked);
	tap_ok(kept > SOFTIRQS && kept_copied <= SOFTIRQS,
	       "of %u sections that LETHE_FAST calls undisturbed %u left a copy", kept,
	       kept_copied);
}

int main(void)
{
	copies_open();
	signal(SIGUSR1, handle);
	tap_plan(7);
	copies_of(observed_start());
	copies_show_head();
	test_preempted();
	test_signals();
	test_undisturbed();
	observed_end();
	copies_close();
	return tap_end();
}
