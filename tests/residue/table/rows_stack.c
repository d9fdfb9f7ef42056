// SPDX-License-Identifier: MIT
/*
 * Rows: what a section's function, its caller, and signals that interrupt it leave on
 * stacks.
 */
#include <alloca.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fill.h"

#define PAGE 4096
#define ALTERNATE (64 * 1024)
#define SMALL_STACK (64 * 1024)

static void deep(uint8_t *secret)
{
	fill_deep_frame(secret);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* A function outside, which reads the secret, works with it, and returns. */
static __attribute__((noinline)) void work_outside(void)
{
	uint8_t secret[ROW_SECRET];

	row_take(secret);
	fill_deep_frame(secret);
	row_scrub(secret, sizeof(secret));
}

static void before_the_section(const struct row *row)
{
	work_outside();
	row_section(row, nothing, NULL);
}

static void red_zone(uint8_t *secret)
{
	fill_red_zone(secret);
}

static void handler(int number)
{
	(void)number;
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	if (sigaction(SIGUSR1, &action, NULL))
		row_die("sigaction");
}

static void handle_on_stack(void)
{
	handle(0);
}

static void handle_on_alternate(void)
{
	stack_t stack = { .ss_size = ALTERNATE };

	stack.ss_sp = mmap(NULL, ALTERNATE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		row_die("sigaltstack");
	handle(SA_ONSTACK);
}

/* The registers are clean afterwards: what counts is where the kernel put them. */
static void interrupted(uint8_t *secret)
{
	signal_full(secret, getpid(), gettid(), SIGUSR1);
	row_clear_registers();
}

static void inner(void *secret)
{
	fill_frame(secret);
}

static const struct row *nested_row;

static void with_another_inside(uint8_t *secret)
{
	fill_deep_frame(secret);
	row_section(nested_row, inner, secret);
}

static void nested(const struct row *row)
{
	nested_row = row;
	row_run(row);
}

/* The lowest byte of the stack that this runs on; plainly, of as much as one has. */
static uintptr_t lowest(void)
{
	uintptr_t at = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1);

	if (!row_protected || lethe_level_of((void *)at) == LETHE_LEVEL_NONE)
		return at - SMALL_STACK + 2 * PAGE;
	while (lethe_level_of((void *)(at - 1)) != LETHE_LEVEL_NONE)
		at -= PAGE;
	return at;
}

/* A frame that reaches down to that. No call and no signal comes while it is there. */
static __attribute__((noinline)) void to_the_limit(uintptr_t end, const uint8_t *secret)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	volatile uint8_t *frame = alloca(here - end - PAGE);

	__asm__ volatile("" : : "r"(frame) : "memory");
	for (volatile uint8_t *at = (uint8_t *)end; at < frame + ROW_SECRET;
	     at += PAGE / 2)
		for (size_t i = 0; i < ROW_SECRET; i++)
			at[i] = secret[i];
}

static void whole_stack(uint8_t *secret)
{
	to_the_limit(lowest(), secret);
}

#define DEAD "memory the stack, its dead part"

const struct row rows_stack[] = {
	{ .name = "secret stack", .where = DEAD, .inside = deep },
	{ .name = "caller's dead stack",
	  .where = DEAD,
	  .around = before_the_section,
	  .options.flags = LETHE_WIPE_BELOW },
	{ .name = "red zone", .where = DEAD, .inside = red_zone },
	/* With LETHE_FAST a handler runs on the program's own; else never. */
	{ .name = "alternate signal stack, the program's",
	  .where = "memory anonymous memory",
	  .before = handle_on_alternate,
	  .inside = interrupted,
	  .options.flags = LETHE_FAST },
	{ .name = "alternate signal stack, the library's",
	  .where = "memory anonymous memory",
	  .before = handle_on_alternate,
	  .inside = interrupted },
	{ .name = "signal frame",
	  .where = DEAD,
	  .before = handle_on_stack,
	  .inside = interrupted },
	{ .name = "nested",
	  .where = DEAD,
	  .around = nested,
	  .inside = with_another_inside },
	{ .name = "stack at its limit",
	  .where = DEAD,
	  .inside = whole_stack,
	  .options.stack_size = SMALL_STACK },
	{ .name = NULL },
};
