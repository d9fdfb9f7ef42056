// SPDX-License-Identifier: MIT
/*
 * What the kernel has of a section's registers once it has ended, on the backend in use,
 * by itself and with LETHE_COMPLETE, as rows of the table: in the XSAVE area after it was
 * preempted, in the registers that its last system call saved, and on the kernel's stack
 * after a signal. Each beside the same function run plainly. Where and when they come to
 * be is for kernel_copies_test and undisturbed_test.
 *
 * kernel_rows_test [emulated]: without the first, where the processor is an emulated one
 * that saves what is zero, too.
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
#include "overwrite.h"
#include "preempted.h"
#include "record.h"

/* Of each, added up: the kernel moves its stack at random, and ticks come between. */
#define SIGNALS 100
#define CALLS 10

enum way { PLAINLY, SECTION, COMPLETE, NR_WAYS };

static enum way way;
static void (*fn)(void *);
static int result;
static struct copies seen;

static void do_nothing(void *arg)
{
	(void)arg;
}

static void stay(void *arg)
{
	(void)arg;
	full_on_processor(copies_secret);
}

static void call(void *arg)
{
	(void)arg;
	full_call = (struct full_call){ SYS_getppid, { 0, 0, 0 } };
	full_in_call(copies_secret);
}

static void be_signalled(void *arg)
{
	(void)arg;
	full_call = (struct full_call){ SYS_tgkill, { getpid(), gettid(), SIGUSR1 } };
	full_in_call(copies_secret);
}

/* The observed thread's job: @fn, in one way or the other. */
static void run(void)
{
	static const struct lethe_options complete = {
		.size = sizeof(complete),
		.flags = LETHE_COMPLETE,
	};

	result = 0;
	if (way == PLAINLY)
		fn(NULL);
	else if (way == SECTION)
		result = lethe_do(fn, NULL);
	else
		result = lethe_do_with(&complete, fn, NULL, NULL);
}

/* Plainly, all registers are zeroed by hand: of the vector ones there is to be a copy. */
static void run_and_zero(void)
{
	run();
	if (way == PLAINLY)
		section_erase_registers();
}

static void overwrite(void)
{
	result = kernel_overwrite();
}

static void handle(int number)
{
	(void)number;
}

static uint64_t after_preemption(uint64_t *searched)
{
	struct copies copies;

	fn = stay;
	preempted(run_and_zero);
	copies = copies_look();
	*searched = copies.searched;
	return copies.area;
}

static uint64_t in_last_call(uint64_t *searched)
{
	uint64_t copies = 0;

	fn = call;
	for (int i = 0; i < CALLS; i++) {
		observed_do(run);
		seen = copies_look();
		copies += seen.frame;
		*searched += seen.searched;
	}
	return copies;
}

static uint64_t after_signals(uint64_t *searched)
{
	uint64_t copies = 0;

	fn = be_signalled;
	for (int i = 0; i < SIGNALS; i++) {
		observed_do(run);
		seen = copies_look();
		copies += seen.dead;
		*searched += seen.searched;
	}
	return copies;
}

/* Nothing that the one before has left. */
static uint64_t measure(enum way how, uint64_t (*look)(uint64_t *), uint64_t *searched)
{
	uint64_t copies;

	observed_do(overwrite);
	seen = copies_look();
	if (result || !copies_none(&seen))
		tap_bail("kernel_overwrite() left copies");
	way = how;
	*searched = 0;
	copies = look(searched);
	if (result)
		tap_bail("a section: %s", strerror(-result));
	return copies;
}

/* @why: of a section by itself, on a backend that is not the module. */
static void test(const char *row, uint64_t (*look)(uint64_t *), const char *why)
{
	uint64_t copies[NR_WAYS], searched[NR_WAYS];
	char complete[64];

	snprintf(complete, sizeof(complete), "%s, LETHE_COMPLETE", lethe_backend());
	for (int i = 0; i < NR_WAYS; i++)
		copies[i] = measure(i, look, &searched[i]);
	residue_record(row, lethe_backend(), copies[PLAINLY], copies[SECTION],
		       searched[SECTION], copies[SECTION] ? why : "");
	residue_record(row, complete, copies[PLAINLY], copies[COMPLETE],
		       searched[COMPLETE], "");
	tap_ok(copies[PLAINLY] > 0 && !copies[COMPLETE],
	       "%s: plainly there are copies (%" PRIu64
	       "), with LETHE_COMPLETE there are none (%" PRIu64 ")",
	       row, copies[PLAINLY], copies[COMPLETE]);
	if (!*why)
		tap_ok(!copies[SECTION],
		       "%s: nor are there after a section by itself (%" PRIu64 ")", row,
		       copies[SECTION]);
}

int main(int argc, char **argv)
{
	bool emulated = argc == 2 && !strcmp(argv[1], "emulated");

	copies_open();
	signal(SIGUSR1, handle);
	if (argc > 2 || (argc == 2 && !emulated))
		tap_bail("usage: kernel_rows_test [emulated]");
	tap_plan(4 - emulated);
	copies_of(observed_start());
	/* The thread's first section looks which registers there are. */
	way = SECTION;
	fn = do_nothing;
	observed_do(run);
	if (result)
		tap_bail("lethe_do: %s", strerror(-result));
	if (!emulated)
		test("XSAVE area after preemption", after_preemption,
		     "without the module the kernel keeps what a processor leaves out when it saves zeros");
	test("pt_regs", in_last_call, "");
	test("dead kernel stack", after_signals,
	     "without the module nobody can wipe the kernel's stack: LETHE_COMPLETE has it overwritten");
	observed_end();
	copies_close();
	return tap_end();
}
