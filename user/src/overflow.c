// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A secret stack that overflows is a SIGSEGV at its guard, and a SIGSEGV alone
 * tells nobody why. A line on stderr does, before the process dies of it as it
 * would have (fatal.c).
 */
#include <signal.h>

#include "internal.h"

static bool in_guard_of(const struct stack *stack, const void *p)
{
	return stack && (uintptr_t)stack->start - (uintptr_t)p - 1 < STACK_GUARD;
}

void overflow_explain(const siginfo_t *info)
{
	const struct thread *thread = &lethe_thread;
	const struct stack *stack = thread->depth ? thread->stack : NULL;

	if (info->si_code > 0 && in_guard_of(stack, info->si_addr))
		message("a section overflowed its stack of %zu KiB: it needs a larger one (lethe_options.stack_size)",
			stack->size / KIB);
}
