// SPDX-License-Identifier: MIT
/*
 * Contexts (makecontext, swapcontext) and sections: a coroutine that is made inside
 * is a part of the section, wherever its stack lies; one that was made outside is
 * not, and cannot begin a section while this thread has one open. On whichever
 * backend is in use.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

#define STACK_BYTES (32 * 1024)

static ucontext_t coroutine, caller;

/* A coroutine that makes a few stops; what it saw at each. */
static struct {
	unsigned int stops, enabled, ran;
	enum lethe_level level;
	int err;
	uintptr_t frame;
} visit;

static void note_run(void *arg)
{
	(void)arg;
	visit.ran++;
}

static void walk(void)
{
	visit.level = lethe_level_of(__builtin_frame_address(0));
	for (;;) {
		visit.frame = fill_frame();
		visit.enabled += lethe_enabled();
		visit.err = lethe_do(note_run, NULL);
		visit.enabled += lethe_enabled();
		visit.stops++;
		swapcontext(&coroutine, &caller);
	}
}

static void make_coroutine(void *stack)
{
	memset(&visit, 0, sizeof(visit));
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = STACK_BYTES;
	coroutine.uc_link = NULL;
	makecontext(&coroutine, walk, 0);
}

struct route {
	unsigned int enabled_between, level_ok;
	size_t found;
	uintptr_t frame, block;
	int nested;
};

static void go_and_come_back(struct route *route)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		swapcontext(&caller, &coroutine);
		route->enabled_between += lethe_enabled();
	}
	/* Nesting is as it was. */
	visit.ran = 0;
	route->nested = lethe_do(note_run, NULL) ? -1 : (int)visit.ran;
	route->found = words_at(visit.frame);
}

static void on_section_stack(void *arg)
{
	char stack[STACK_BYTES] __attribute__((aligned(16)));

	make_coroutine(stack);
	go_and_come_back(arg);
	/* So that the compiler keeps it until here. */
	__asm__ volatile("" : : "r"(stack) : "memory");
}

static void on_secret_heap(void *arg)
{
	struct route *route = arg;
	void *stack = lethe_malloc(STACK_BYTES);

	if (!stack)
		return;
	make_coroutine(stack);
	go_and_come_back(route);
	route->block = (uintptr_t)stack;
	lethe_free(stack);
}

static bool there_and_back(const struct route *route)
{
	return visit.stops == 3 && route->enabled_between == 3 && route->nested == 1 &&
	       route->found > 0;
}

static void test_made_inside(void)
{
	struct route route = { 0 };
	int err;

	pattern_new();
	err = lethe_do(on_section_stack, &route);
	tap_ok(!err && there_and_back(&route) && visit.enabled == 6 &&
		       visit.level > LETHE_LEVEL_NONE,
	       "a coroutine made inside, its stack on the section's: lethe_enabled() at every stop");
	tap_ok(!visit.err, "a section begun there is nested");
	tap_ok(!lethe_enabled() && !words_on_secret_stack(visit.frame),
	       "and all of it is erased with the section");

	route = (struct route){ 0 };
	pattern_new();
	err = lethe_do(on_secret_heap, &route);
	tap_ok(!err && there_and_back(&route) && visit.enabled == 6 &&
		       visit.level > LETHE_LEVEL_NONE,
	       "one with its stack on the secret heap: lethe_enabled() at every stop");
	tap_ok(visit.err == -EBUSY,
	       "a section begun there is EBUSY: the stack is not the section's");
	/* The block may be given back whole: then there is nothing to be read. */
	tap_ok(!lethe_enabled() &&
		       (lethe_level_of((void *)route.block) == LETHE_LEVEL_NONE ||
			!words_in(route.block, route.block + STACK_BYTES)),
	       "and its stack is wiped as it is freed");
}

static void visit_outside(void *arg)
{
	struct route *route = arg;

	route->frame = fill_frame();
	go_and_come_back(route);
	/* Nothing that was done out there has erased what is in here. */
	route->level_ok = words_at(route->frame) > 0;
}

static void test_made_outside(void)
{
	void *stack = malloc(STACK_BYTES);
	struct route route = { 0 };
	int err;

	if (!stack)
		tap_bail("no memory");
	pattern_new();
	make_coroutine(stack);
	err = lethe_do(visit_outside, &route);
	tap_ok(!err && there_and_back(&route) && visit.enabled == 0 &&
		       visit.level == LETHE_LEVEL_NONE,
	       "a coroutine made outside is outside, lethe_enabled() false, when a section switches to it");
	tap_ok(visit.err == -EBUSY && visit.ran == 1,
	       "a section begun there is EBUSY, its function not run");
	tap_ok(route.level_ok && !words_on_secret_stack(route.frame) && !lethe_enabled(),
	       "the section that was left for it goes on unharmed, and ends erased");

	/* Its own section, with no other open. */
	make_coroutine(stack);
	swapcontext(&caller, &coroutine);
	tap_ok(visit.stops == 1 && !visit.err && visit.ran == 1 && !lethe_enabled(),
	       "with no section open the same coroutine begins one");
	free(stack);
}

static uintptr_t last_frame;

static void stop_inside(void *arg)
{
	unsigned int *inside = arg;

	last_frame = fill_frame();
	swapcontext(&coroutine, &caller);
	*inside = lethe_enabled() && words_at(last_frame) > 0;
}

static unsigned int inside_again;
static int section_error;

static void section_with_a_stop(void)
{
	section_error = lethe_do(stop_inside, &inside_again);
	swapcontext(&coroutine, &caller);
}

static void test_left_and_returned_to(void)
{
	void *stack = malloc(STACK_BYTES);
	bool outside;

	if (!stack)
		tap_bail("no memory");
	pattern_new();
	make_coroutine(stack);
	makecontext(&coroutine, section_with_a_stop, 0);
	section_error = -1;
	/* Into the section, out of its middle, and back in to its end. */
	swapcontext(&caller, &coroutine);
	outside = !lethe_enabled();
	swapcontext(&caller, &coroutine);
	tap_ok(outside && inside_again && !section_error,
	       "a coroutine may stop inside its section: outside is outside, and it goes on where it was");
	tap_ok(!lethe_enabled() && !words_on_secret_stack(last_frame),
	       "and its section ends erased");
	free(stack);
}

static jmp_buf way_out;

static void jump_out(void *arg)
{
	(void)arg;
	last_frame = fill_frame();
	longjmp(way_out, 1);
}

static struct {
	size_t before, after;
	int again, wiped, next;
} jumped;

/*
 * On a stack that is not the thread's own nothing tells a jump out of a section from
 * a switch to another context: it takes lethe_wipe_thread() to end it.
 */
static void section_jumped_out_of(void)
{
	if (!setjmp(way_out))
		(void)lethe_do(jump_out, NULL);
	jumped.before = words_on_secret_stack(last_frame);
	jumped.again = lethe_do(note_run, NULL);
	jumped.wiped = lethe_wipe_thread();
	jumped.after = words_on_secret_stack(last_frame);
	jumped.next = lethe_do(note_run, NULL);
	swapcontext(&coroutine, &caller);
}

static void test_jumped_out_of(void)
{
	void *stack = malloc(STACK_BYTES);

	if (!stack)
		tap_bail("no memory");
	pattern_new();
	make_coroutine(stack);
	makecontext(&coroutine, section_jumped_out_of, 0);
	swapcontext(&caller, &coroutine);
	tap_ok(jumped.before > 0 && jumped.again == -EBUSY,
	       "a section on a coroutine that is jumped out of is open for all that is known: EBUSY");
	tap_ok(!jumped.wiped && !jumped.after && !jumped.next && !lethe_enabled(),
	       "lethe_wipe_thread() ends it, and the next one runs");
	free(stack);
}

int main(void)
{
	tap_plan(14);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_made_inside();
	test_made_outside();
	test_left_and_returned_to();
	test_jumped_out_of();
	return tap_end();
}
