// SPDX-License-Identifier: MIT
/*
 * What the kernel keeps of a section's registers, read by a BPF program on the
 * processor that this runs on: an emulated one does not keep what a real one does.
 * Every "no copy" has its control before it, by the same search of the same
 * thread. The table that it prints says which component stays, and when.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "full.h"
#include "internal.h"
#include "kernel_copies.h"
#include "observed.h"
#include "overwrite.h"

#define SWITCHES 25

/* An image as XRSTOR takes it; and those of its components that data passes through. */
#define MXCSR_OFFSET 24
#define MXCSR_INITIAL 0x1f80
#define DATA_COMPONENTS 0xe7

static int pipes[2];
static int result;
static struct copies seen;

static struct copies look_and_show(const char *when)
{
	return copies_show(when, copies_look());
}

/* What the thread does. */
static void block_full(void *arg)
{
	char byte;

	(void)arg;
	full_call = (struct full_call){ SYS_read, { pipes[0], (long)&byte, 1 } };
	full_in_call(copies_secret);
}

/* Every component in the state that it has before its first use, if it is not. */
static void reset_components(void)
{
	static struct {
		uint8_t legacy[512];
		uint64_t header[8];
	} image __attribute__((aligned(64)));

	*(uint32_t *)(image.legacy + MXCSR_OFFSET) = MXCSR_INITIAL;
	__asm__ volatile("xrstor64 %0" ::"m"(image), "a"(DATA_COMPONENTS), "d"(0));
}

static void block_plainly(void)
{
	block_full(NULL);
	section_erase_registers();
	reset_components();
}

static void block_in_section(void)
{
	result = lethe_do(block_full, NULL);
}

static struct lethe_report report = { .size = sizeof(report) };

static void block_in_complete_section(void)
{
	static const struct lethe_options complete = {
		.size = sizeof(complete),
		.flags = LETHE_COMPLETE,
	};

	result = lethe_do_with(&complete, block_full, NULL, &report);
}

static void be_switched(void)
{
	struct timespec moment = { .tv_nsec = 1000 };
	struct rusage now;
	long end;

	getrusage(RUSAGE_THREAD, &now);
	end = now.ru_nvcsw + SWITCHES;
	while (now.ru_nvcsw < end) {
		nanosleep(&moment, NULL);
		getrusage(RUSAGE_THREAD, &now);
	}
}

static void enter_kernel(void)
{
	getppid();
}

/* What a later switch would overwrite all the same, it is not to be credited with. */
static void overwrite(void)
{
	result = kernel_overwrite();
	reset_components();
}

static void do_nothing(void *arg)
{
	(void)arg;
}

/* The thread's first section looks which registers there are. */
static void prepare(void)
{
	result = lethe_do(do_nothing, NULL);
}

/* In the system call, and off the processor: so all is saved. */
static bool is_blocked(void)
{
	seen = copies_look();
	return !seen.running && copies_in_all(&seen) &&
	       seen.frame == FULL_IN_CALL_GENERAL;
}

/* The job is done in the middle of which the thread was seen to be blocked. */
static struct copies block_and_end(void (*job)(void), const char *when)
{
	observed_begin(job);
	observed_until(is_blocked, "the kernel has saved every register");
	if (write(pipes[1], "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
	observed_finish();
	return copies_show(when, seen);
}

static void test_plainly(void)
{
	struct copies blocked, after, later;

	blocked = block_and_end(block_plainly, "plainly, blocked");
	tap_ok(blocked.area && blocked.frame,
	       "control: of a thread that blocks the kernel has every register");

	after = look_and_show("plainly, all registers zeroed");
	tap_ok(registers_have < HAVE_AVX || after.area,
	       "control: zeroing all registers leaves %u copies in the XSAVE area",
	       after.area);
	observed_do(enter_kernel);
	later = look_and_show("plainly, one system call later");
	tap_ok(!later.frame && !later.dead,
	       "those of the general registers are gone at the next system call");

	observed_do(be_switched);
	later = look_and_show("plainly, 25 switches later");
	tap_ok(registers_have < HAVE_AVX || later.area,
	       "the others are not: %u are there %d switches later", later.area,
	       SWITCHES);

	observed_do(overwrite);
	after = look_and_show("plainly, kernel_overwrite()");
	tap_ok(!result && copies_none(&after),
	       "kernel_overwrite() leaves none, anywhere");
}

static void test_section(void)
{
	struct copies after;

	block_and_end(block_in_section, "lethe_do(), blocked");
	look_and_show("lethe_do(), its end");
	observed_do(be_switched);
	after = look_and_show("lethe_do(), 25 switches later");
	tap_ok(!result && (registers_have < HAVE_AVX || after.area),
	       "control: without the module and LETHE_COMPLETE, %u copies outlive lethe_do()",
	       after.area);

	block_and_end(block_in_complete_section, "LETHE_COMPLETE, blocked");
	after = look_and_show("LETHE_COMPLETE, its end");
	tap_ok(!result && report.done & LETHE_DONE_KERNEL_OVERWRITE &&
		       copies_none(&after),
	       "with LETHE_COMPLETE none does, and the report says so");
	observed_do(be_switched);
	after = look_and_show("LETHE_COMPLETE, 25 switches later");
	tap_ok(copies_none(&after), "nor comes back");
}

int main(void)
{
	copies_open();
	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));

	tap_plan(8);
	copies_of(observed_start());
	observed_do(prepare);
	if (result)
		tap_bail("lethe_do: %s", strerror(-result));
	tap_note("on %s", lethe_backend());
	copies_show_head();
	test_plainly();
	test_section();
	observed_end();
	copies_close();
	return tap_end();
}
