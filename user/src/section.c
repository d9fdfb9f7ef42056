// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe_do(): onto the secret stack, into the function, and an end at which
 * nothing of it is left. What the function leaves on the heap is heap.c's.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "internal.h"

__thread struct thread lethe_thread;

static pthread_key_t exit_key;
static int exit_key_error;

/* A thread's stack outlives it: erased, and for the next thread. */
static void thread_exit(void *arg)
{
	struct thread *thread = arg;
	struct stack *stack = thread->stack;

	thread->stack = NULL;
	thread->depth = 0;
	if (stack)
		stack_give(stack);
}

static void make_exit_key(void)
{
	exit_key_error = -pthread_key_create(&exit_key, thread_exit);
}

/* A thread's first section. */
static COLD int thread_start(struct thread *thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int err;

	registers_probe();
	pthread_once(&once, make_exit_key);
	if (exit_key_error)
		return exit_key_error;
	err = -pthread_setspecific(exit_key, thread);
	if (err)
		return err;
	return stack_take(&thread->stack);
}

/* Is this code on the stack that pthreads gave to the thread? */
static bool on_thread_stack(const void *here)
{
	pthread_attr_t attr;
	void *start;
	size_t size;
	bool on = false;

	if (pthread_getattr_np(pthread_self(), &attr))
		return false;
	if (!pthread_attr_getstack(&attr, &start, &size))
		on = (uintptr_t)here - (uintptr_t)start < size;
	pthread_attr_destroy(&attr);
	return on;
}

static bool on_signal_stack(void)
{
	stack_t signal_stack;

	return !sigaltstack(NULL, &signal_stack) && signal_stack.ss_flags & SS_ONSTACK;
}

/*
 * A section is open, and yet this is not its stack. Either the section was left
 * by a longjmp() to the thread's own stack: it is over, and erased here. Or it
 * is interrupted, by a signal handler or a context on another stack, and must
 * not be touched.
 */
static COLD int end_stale_section(struct thread *thread)
{
	/* What is allocated here is no secret. */
	thread->paused++;
	if (on_signal_stack() || !on_thread_stack(__builtin_frame_address(0))) {
		thread->paused--;
		return -EBUSY;
	}
	thread->paused = 0;
	thread->depth = 0;
	lethe_wipe(thread->stack->start, thread->stack->size);
	return 0;
}

/*
 * The end of the outermost section, by return or by a C++ exception that passes
 * through: registers first, while no function has had a reason to spill one.
 */
static void end_section(struct thread **thread)
{
	struct stack *stack;

	section_erase_registers();
	stack = (*thread)->stack;
	lethe_wipe(stack->start, stack->size);
	(*thread)->depth = 0;
	(*thread)->paused = 0;
}

static void end_nested(unsigned int *depth)
{
	lethe_thread.depth = *depth;
}

static void do_nested(void (*fn)(void *), void *arg)
{
	unsigned int depth __attribute__((cleanup(end_nested))) = lethe_thread.depth;

	lethe_thread.depth++;
	fn(arg);
}

static void do_outermost(void (*fn)(void *), void *arg, struct thread *t)
{
	struct thread *thread __attribute__((cleanup(end_section))) = t;

	thread->depth = 1;
	section_call(fn, arg, stack_top(thread->stack));
}

PUBLIC int lethe_do(void (*fn)(void *arg), void *arg)
{
	struct thread *thread = &lethe_thread;
	int err;

	if (!fn)
		return -EINVAL;
	if (thread->depth) {
		if (stack_contains(thread->stack, __builtin_frame_address(0))) {
			do_nested(fn, arg);
			return 0;
		}
		err = end_stale_section(thread);
		if (err)
			return err;
	}
	if (unlikely(!thread->stack)) {
		err = thread_start(thread);
		if (err)
			return err;
	}
	do_outermost(fn, arg, thread);
	return 0;
}

PUBLIC bool lethe_enabled(void)
{
	return lethe_thread.depth && !lethe_thread.paused;
}

void section_fork_child(void)
{
	lethe_thread = (struct thread){ 0 };
}
