// SPDX-License-Identifier: MIT
/* Secret stacks: zeroed, guarded, used again. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "internal.h"
#include "section.h"

static struct stack *take(void)
{
	struct stack *stack = NULL;

	cr_assert_eq(stack_take(&stack, STACK_SIZE), 0);
	cr_assert_not_null(stack);
	return stack;
}

Test(stack, is_zero_whichever_time_it_is_taken)
{
	struct stack *stack;
	size_t i, round;

	for (round = 0; round < 3; round++) {
		stack = take();
		for (i = 0; i < stack->size; i++)
			cr_assert_eq(stack->start[i], 0);
		memset(stack->start, 0xff, stack->size);
		stack_give(stack);
	}
}

Test(stack, that_is_given_back_is_taken_next)
{
	struct stack *a = take(), *b = take();

	cr_assert_neq(a->start, b->start);
	stack_give(a);
	cr_assert_eq(take(), a);
	stack_give(b);
	cr_assert_eq(take(), b);
}

Test(stack, lies_below_ordinary_stacks)
{
	struct stack *stack = take();

	/* gdb stops at a frame that is not above the one that it called. */
	cr_assert_lt((uintptr_t)stack_top(stack), (uintptr_t)__builtin_frame_address(0));
	cr_assert_eq((uintptr_t)stack_top(stack) % 16, 0);
}

Test(stack, has_nothing_below_it, .signal = SIGSEGV)
{
	((volatile char *)take()->start)[-1] = 1;
}

Test(stack, has_nothing_above_it, .signal = SIGSEGV)
{
	*(volatile char *)stack_top(take()) = 1;
}

static bool is_zero(const struct stack *stack)
{
	size_t i;

	for (i = 0; i < stack->size; i++)
		if (stack->start[i])
			return false;
	return true;
}

/* Twice: it is wiped upwards and downwards in turn. */
static void check_wipe_of(struct stack *stack, size_t low, size_t high)
{
	int time;

	for (time = 0; time < 2; time++) {
		stack->start[low] = 1;
		stack->start[high] = (char)0x80;
		cr_assert_eq(stack_wipe(stack),
			     stack->size - low / WIPE_PIECE * WIPE_PIECE, "%zu and %zu",
			     low, high);
		cr_assert(is_zero(stack), "%zu and %zu", low, high);
	}
}

Test(stack, is_wiped_of_one_byte_wherever_by_whatever_registers)
{
	struct stack *stack = NULL;
	size_t i;
	int vectors;

	cr_assert_eq(stack_take(&stack, STACK_SIZE_MIN), 0);
	registers_probe();
	for (vectors = registers_vectors; vectors >= VECTORS_SSE; vectors--) {
		registers_vectors = (uint8_t)vectors;
		for (i = 0; i < stack->size; i++)
			check_wipe_of(stack, i, i);
		for (i = 0; i < stack->size - 300; i += 61)
			check_wipe_of(stack, i, i + 300);
		memset(stack->start, 0xff, stack->size);
		cr_assert_eq(stack_wipe(stack), stack->size);
		cr_assert(is_zero(stack));
		cr_assert_eq(stack_wipe(stack), 0);
		cr_assert_eq(stack_wipe(stack), 0);
	}
}
