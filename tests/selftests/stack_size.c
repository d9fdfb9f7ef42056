// SPDX-License-Identifier: MIT
/*
 * The stack that a section runs on: as large as was asked for, erased however it was
 * used, and kept for the next section of that size. What overflows it is
 * overflow.c's. On whichever backend is in use.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

struct use {
	size_t deep; /* how far below its frame it writes */
	bool ran;
	struct extent stack;
	size_t found;
};

/* A word of the secret on each page from here down, and the last in a red zone. */
static __attribute__((noinline)) void use_stack(void *arg)
{
	char *here = __builtin_frame_address(0);
	struct use *use = arg;
	size_t at;

	use->ran = true;
	use->stack = secret_around((uintptr_t)here);
	for (at = 4096; at <= use->deep; at += 4096)
		*(volatile uint64_t *)(here - at) = pattern;
	use->found = words_in((uintptr_t)here - use->deep, (uintptr_t)here);
}

static int on_stack_of(size_t size, void (*fn)(void *), struct use *use,
		       struct lethe_report *report)
{
	struct lethe_options options = { .size = sizeof(options), .stack_size = size };

	pattern_new();
	use->ran = false;
	if (report)
		report->size = sizeof(*report);
	return lethe_do_with(&options, fn, use, report);
}

static void test_sizes(void)
{
	static const struct {
		size_t asked, got;
	} sizes[] = {
		{ 0, 256 * KIB },           { 8 * KIB, 8 * KIB },
		{ 8 * KIB + 1, 12 * KIB },  { 12 * KIB - 1, 12 * KIB },
		{ 64 * KIB, 64 * KIB },     { 100 * 1000, 100 * KIB },
		{ MIB - 4096, MIB - 4096 }, { 2 * MIB, 2 * MIB },
	};
	size_t i, got, good = 0;
	struct use use;
	int err;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		use.deep = sizes[i].got - 4096;
		err = on_stack_of(sizes[i].asked, use_stack, &use, NULL);
		got = use.stack.end - use.stack.start;
		if (!err && use.ran && got == sizes[i].got &&
		    use.found == use.deep / 4096 &&
		    !words_in(use.stack.start, use.stack.end))
			good++;
		else
			tap_note("%zu asked for: error %d, %zu had", sizes[i].asked, -err,
				 got);
	}
	tap_ok(good == i,
	       "a stack is as large as asked for, rounded up to a page, used to its end and erased");
}

static int largest_stack(void *arg)
{
	struct use use = { .deep = 64 * MIB - 4096 };
	int err;

	(void)arg;
	limit_to(RLIMIT_MEMLOCK, 80 * MIB);
	err = on_stack_of(64 * MIB, use_stack, &use, NULL);
	if (err)
		return -err;
	return use.stack.end - use.stack.start == 64 * MIB &&
			       use.found == use.deep / 4096 &&
			       !words_in(use.stack.start, use.stack.end) ?
		       0 :
		       255;
}

static void test_largest(void)
{
	struct rlimit limit;
	struct ended ended;

	run_child(largest_stack, NULL, &ended);
	limit_to(RLIMIT_MEMLOCK, 80 * MIB);
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur < 64 * MIB && exited_with(&ended, ENOMEM))
		tap_skip("a RLIMIT_MEMLOCK of 64 MiB", "a stack of 64 MiB");
	else
		tap_ok(exited_with(&ended, 0),
		       "a stack of 64 MiB, used to its end and erased (%s)",
		       how_ended(&ended));
}

static void test_refused(void)
{
	static const size_t sizes[] = { 1,         4096,    8 * KIB - 1, 64 * MIB + 1,
					1UL << 40, SIZE_MAX };
	size_t i, good = 0;
	struct use use = { 0 };
	struct lethe_report report;
	int err;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(&report, 0xff, sizeof(report));
		err = on_stack_of(sizes[i], use_stack, &use, &report);
		good += err == -EINVAL && !use.ran && !report.done &&
			!report.stack_wiped && report.size == sizeof(report);
	}
	tap_ok(good == i,
	       "less than 8 KiB and more than 64 MiB is EINVAL, the function not run");
}

static void test_alternating(void)
{
	static const size_t sizes[] = { 8 * KIB, 64 * KIB, MIB, 0, 12 * KIB };
	struct extent first[5] = { 0 };
	size_t i, round, after_first = 0, good = 0, near = 0, below;
	struct use use;

	for (round = 0; round < 100; round++) {
		for (i = 0; i < 5; i++) {
			use.deep = 4096;
			if (on_stack_of(sizes[i], use_stack, &use, NULL))
				continue;
			if (!round)
				first[i] = use.stack;
			good += use.found == 1 && use.stack.start == first[i].start &&
				use.stack.end == first[i].end &&
				!words_in(use.stack.start, use.stack.end);
		}
		if (!round)
			after_first = secret_bytes();
	}
	tap_ok(good == 500,
	       "sections of five sizes in turn, each on its one stack, erased");
	/* They were made one after the other: as close to each other as can be. */
	for (i = 0; i < 5; i++)
		for (below = 1; below <= MIB; below += 4095)
			near += lethe_level_of((void *)(first[i].start - below)) !=
				LETHE_LEVEL_NONE;
	tap_ok(!near,
	       "no secret memory lies in the MiB below any of them, for a frame to reach");
	tap_ok(secret_bytes() == after_first, "100 rounds of that cost no page more");
}

#define BIG_FRAME (200 * KIB)

/* Skips 50 pages, and touches one word of the last. */
static __attribute__((noinline)) void skip_pages(void *arg)
{
	volatile uint64_t frame[BIG_FRAME / sizeof(uint64_t)];
	struct use *use = arg;

	frame[0] = pattern;
	use->ran = true;
	use->stack = secret_around((uintptr_t)frame);
	use->found = words_in((uintptr_t)frame, (uintptr_t)frame + 8);
}

static void test_skipped(void)
{
	struct lethe_report report;
	struct use use = { 0 };
	size_t control;
	int err;

	pattern_new();
	skip_pages(&use);
	control = words_below(BIG_FRAME + 8 * KIB);
	err = on_stack_of(0, skip_pages, &use, &report);
	tap_ok(!err && control && use.found == 1 &&
		       !words_in(use.stack.start, use.stack.end) &&
		       report.stack_wiped >= BIG_FRAME,
	       "a frame of 200 KiB with one word at its bottom touched is erased (%zu bytes wiped)",
	       report.stack_wiped);
}

/* The 128 bytes below the stack pointer are a leaf function's to use. */
static __attribute__((noinline)) void use_red_zone(void *arg)
{
	uintptr_t lowest;

	__asm__ volatile("movq %1, -128(%%rsp)\n\tleaq -128(%%rsp), %0"
			 : "=r"(lowest)
			 : "r"(pattern)
			 : "memory");
	*(uintptr_t *)arg = lowest;
}

static void test_red_zone(void)
{
	uintptr_t plain = 0, inside = 0;
	size_t control;
	int err;

	pattern_new();
	use_red_zone(&plain);
	control = words_in(plain, plain + 8);
	pattern_new();
	err = lethe_do(use_red_zone, &inside);
	tap_ok(!err && control == 1 && !words_on_secret_stack(inside),
	       "what a function wrote to the red zone below its frame is erased");
}

int main(void)
{
	tap_plan(8);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_sizes();
	test_largest();
	test_refused();
	test_alternating();
	test_skipped();
	test_red_zone();
	return tap_end();
}
