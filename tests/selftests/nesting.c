// SPDX-License-Identifier: MIT
/*
 * A section inside a section is a part of it: the same stack, however deep, and
 * erased at the end of the outermost. Also where the function jumps about within
 * the section. On whichever backend is in use.
 */
#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

#define DEEP 200

struct descent {
	unsigned int depth, enabled, same_stack, errors;
	struct extent stack;
	uintptr_t frame;
};

static void descend(void *arg)
{
	struct descent *descent = arg;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (!descent->depth)
		descent->stack = secret_around(here);
	descent->depth++;
	descent->enabled += lethe_enabled();
	descent->same_stack += here - descent->stack.start <
			       descent->stack.end - descent->stack.start;
	if (descent->depth == DEEP)
		descent->frame = fill_frame();
	else if (lethe_do(descend, arg))
		descent->errors++;
	/* Still open, at each level on the way back. */
	descent->enabled += lethe_enabled();
}

static void descend_and_look(void *arg)
{
	struct descent *descent = arg;

	descend(descent);
	if (!words_at(descent->frame))
		descent->errors++;
}

static void test_recursion(void)
{
	struct descent descent = { 0 };
	int err;

	pattern_new();
	err = lethe_do(descend_and_look, &descent);
	tap_ok(!err && !descent.errors && descent.depth == DEEP &&
		       descent.same_stack == DEEP,
	       "%u sections, each inside the last, run on one stack", descent.same_stack);
	tap_ok(descent.enabled == 2 * DEEP && !lethe_enabled(),
	       "lethe_enabled() in each of them, before and after what is inside it");
	tap_ok(!words_in(descent.stack.start, descent.stack.end),
	       "what the innermost left is there after its end, and not after the outermost's");
}

struct jumps {
	jmp_buf back;
	unsigned int rounds, landed, enabled, errors;
	uintptr_t frame;
};

static void jump_back(void *arg)
{
	struct jumps *jumps = arg;

	jumps->frame = fill_frame();
	longjmp(jumps->back, 1);
}

static void two_deeper(void *arg)
{
	if (lethe_do(jump_back, arg))
		((struct jumps *)arg)->errors++;
}

static void jump_within(void *arg)
{
	struct jumps *volatile jumps = arg;

	if (setjmp(jumps->back)) {
		jumps->landed++;
		jumps->enabled += lethe_enabled();
		jumps->errors += !words_at(jumps->frame);
		/* The section that is left: still not to be ended by this. */
		jumps->errors += lethe_wipe_thread() != -EBUSY;
	}
	if (jumps->landed < jumps->rounds && lethe_do(two_deeper, jumps))
		jumps->errors++;
}

static void test_longjmp_within(void)
{
	struct jumps jumps = { .rounds = 1000 };
	int err;

	pattern_new();
	err = lethe_do(jump_within, &jumps);
	tap_ok(!err && jumps.landed == 1000 && jumps.enabled == 1000 && !jumps.errors,
	       "longjmp() from nested sections into the outermost leaves that open, 1,000 times");
	tap_ok(!lethe_enabled() && !words_on_secret_stack(jumps.frame),
	       "and it ends erased when its function returns");
}

static void land_in_the_middle(void *arg)
{
	struct jumps *volatile jumps = arg;

	if (!setjmp(jumps->back)) {
		two_deeper(jumps);
		jumps->errors++;
	}
	jumps->landed++;
	jumps->enabled += lethe_enabled();
}

static void around_the_middle(void *arg)
{
	struct jumps *jumps = arg;

	if (lethe_do(land_in_the_middle, jumps))
		jumps->errors++;
	jumps->enabled += lethe_enabled();
	jumps->errors += !words_at(jumps->frame);
}

static void test_longjmp_into_nested(void)
{
	struct jumps jumps = { 0 };
	int err;

	pattern_new();
	err = lethe_do(around_the_middle, &jumps);
	tap_ok(!err && jumps.landed == 1 && jumps.enabled == 2 && !jumps.errors &&
		       !lethe_enabled() && !words_on_secret_stack(jumps.frame),
	       "longjmp() into a section between leaves that and the outermost open");
}

static void wipe_within(void *arg)
{
	uintptr_t *frame = arg;

	*frame = fill_frame();
	if (lethe_wipe_thread() != -EBUSY || !words_at(*frame) || !lethe_enabled())
		*frame = 0;
}

static void wipe_deeper(void *arg)
{
	(void)lethe_do(wipe_within, arg);
}

static void test_wipe_inside(void)
{
	uintptr_t frame = 0, nested = 0;

	tap_ok(!lethe_do(wipe_within, &frame) && frame && !words_at(frame) &&
		       !lethe_do(wipe_deeper, &nested) && nested && !words_at(nested),
	       "lethe_wipe_thread() inside a section, nested or not, is EBUSY and wipes nothing");
	tap_ok(lethe_wipe_thread() == 0 && lethe_wipe_thread() == 0 && !lethe_enabled(),
	       "and after it does no harm");
}

/* Of the inner section: what it asked for, and what came of it. */
struct inner {
	struct lethe_options options;
	struct lethe_report report;
	int err;
	bool ran, same_stack;
};

static void note_stack(void *arg)
{
	struct inner *inner = arg;

	inner->ran = true;
	inner->same_stack = lethe_level_of(__builtin_frame_address(0)) > LETHE_LEVEL_NONE;
}

static void run_inner(void *arg)
{
	struct extent outer = secret_around((uintptr_t)__builtin_frame_address(0));
	struct inner *inner = arg;

	inner->err = lethe_do_with(&inner->options, note_stack, inner, &inner->report);
	/* No stack was made for it: what this one is has not grown either. */
	inner->same_stack &= secret_around((uintptr_t)inner).start != outer.start;
}

static void ask_inside(struct inner *inner)
{
	inner->options.size = sizeof(inner->options);
	memset(&inner->report, 0xff, sizeof(inner->report));
	inner->report.size = sizeof(inner->report);
	inner->err = -1;
	inner->ran = false;
	if (lethe_do(run_inner, inner))
		tap_bail("no section");
}

static void test_options_inside(void)
{
	struct inner inner = { .options = { .flags = LETHE_FAST | LETHE_BLOCK_SIGNALS |
						     LETHE_COMPLETE |
						     LETHE_REFUSE_FORK } };
	size_t before;

	ask_inside(&inner);
	before = secret_bytes();
	inner.options.stack_size = 1024 * 1024;
	ask_inside(&inner);
	tap_ok(!inner.err && inner.ran && inner.same_stack && secret_bytes() == before,
	       "a nested section's flags and stack size are granted by the outer one's stack");
	tap_ok(inner.report.size == sizeof(inner.report) && !inner.report.done &&
		       inner.report.level == (strcmp(lethe_backend(), "mlock") ?
						      LETHE_LEVEL_UNMAPPED :
						      LETHE_LEVEL_LOCKED),
	       "its report has the level, and nothing done");

	inner.options.flags = 1U << 31;
	ask_inside(&inner);
	tap_ok(inner.err == -EINVAL && !inner.ran,
	       "an unknown flag is EINVAL inside a section too, the function not run");
	inner = (struct inner){ .options = { .require = LETHE_LEVEL_UNMAPPED } };
	ask_inside(&inner);
	if (strcmp(lethe_backend(), "mlock"))
		tap_ok(!inner.err && inner.ran,
		       "a nested section that requires what the outer one has runs");
	else
		tap_ok(inner.err == -EOPNOTSUPP && !inner.ran,
		       "a nested section that requires more than the outer one has is EOPNOTSUPP, not run");
}

int main(void)
{
	tap_plan(12);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_recursion();
	test_longjmp_within();
	test_longjmp_into_nested();
	test_wipe_inside();
	test_options_inside();
	return tap_end();
}
