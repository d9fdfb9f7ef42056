// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A secret stack that overflows is a SIGSEGV at its guard, and a SIGSEGV alone
 * tells nobody why. A line on stderr does, before the process dies of it as it
 * would have. Only where nobody handles SIGSEGV: a handler of the program's,
 * installed before or after, is never replaced, and knows better.
 */
#include <signal.h>
#include <unistd.h>

#include "internal.h"

static bool in_guard_of(const struct stack *stack, const void *p)
{
	return stack && (uintptr_t)stack->start - (uintptr_t)p - 1 < STACK_GUARD;
}

static void handler(int number, siginfo_t *info, void *context)
{
	const struct thread *thread = &lethe_thread;
	const struct stack *stack = thread->depth ? thread->stack : NULL;

	(void)context;
	if (info->si_code > 0 && in_guard_of(stack, info->si_addr))
		message("a section overflowed its stack of %zu KiB: it needs a larger one (lethe_options.stack_size)",
			stack->size / KIB);
	/* A fault comes again as soon as this returns; what was sent, does not. */
	signal(number, SIG_DFL);
	if (info->si_code <= 0)
		raise(number);
}

void overflow_explain(void)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction old;

	if (!sigaction(SIGSEGV, NULL, &old) && !(old.sa_flags & SA_SIGINFO) &&
	    old.sa_handler == SIG_DFL)
		sigaction(SIGSEGV, &action, NULL);
}
