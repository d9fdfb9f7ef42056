// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Does this code run in a section? The thread may have one open and yet run
 * something else: a signal handler, or a context that was made outside. Asked at
 * every malloc() of a section, so it takes no lock and makes no system call; but
 * for what the unwinder does, in the rare case where that is needed.
 */
#include <unwind.h>

#include "internal.h"

struct walk {
	const struct stack *stack;
	bool out;
};

/* Up to a handler's caller, or off the section's stack. */
static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	int interrupted = 0;

	_Unwind_GetIPInfo(context, &interrupted);
	if (interrupted)
		return _URC_NORMAL_STOP;
	walk->out = !stack_contains(walk->stack, (void *)_Unwind_GetCFA(context));
	return walk->out ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

/* Code without unwind tables ends the walk, and then it says nothing. */
static COLD bool walks_out(const struct stack *stack)
{
	struct walk walk = { .stack = stack };

	_Unwind_Backtrace(step, &walk);
	return walk.out;
}

/*
 * The mark is lost to MMX code, and to a siglongjmp() from a handler back into the
 * section. A handler's frame lies between it and the beginning of the section. A
 * frame that does may be a dead one, in a part of the stack that was taken since
 * and not written: no handler is among the callers then.
 */
static COLD bool look_for_handler(const struct thread *thread, const char *here)
{
	if (!stack_contains(thread->stack, here))
		return false;
	if (signal_frames(here, stack_top(thread->stack)) && !walks_out(thread->stack))
		return false;
	section_mark();
	return true;
}

/*
 * Whoever runs above the section's beginning, on the stack that it was begun from,
 * has come there by a longjmp(). (Below it, too, if it is not a context whose
 * stack is a part of that one; the answer here may err, but not to the side where
 * a secret is taken for none.)
 */
static bool is_outside(const struct thread *thread, const char *here)
{
	return thread_owns(thread, here) && thread_owns(thread, thread->entry) &&
	       here >= thread->entry;
}

PUBLIC bool lethe_enabled(void)
{
	const struct thread *thread = &lethe_thread;
	const char *here = __builtin_frame_address(0);

	if (likely(!thread->depth) || thread->paused)
		return false;
	if (unlikely(!section_marked()))
		return look_for_handler(thread, here);
	return stack_contains(thread->stack, here) || !is_outside(thread, here);
}

PUBLIC void lethe_pause(void)
{
	struct thread *thread = &lethe_thread;

	if (thread->depth)
		thread->paused++;
}

PUBLIC void lethe_resume(void)
{
	struct thread *thread = &lethe_thread;

	if (!thread->depth)
		return;
	if (!thread->paused)
		die("lethe_resume() without lethe_pause() before it");
	thread->paused--;
}
