// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a thread keeps from one section to the next, and gives back at its end; and
 * threads that are one section from beginning to end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "tools.h"

static pthread_key_t exit_key;
static int exit_key_error;

static void give_stacks(struct thread *thread)
{
	struct stack *stack;

	while ((stack = thread->stacks)) {
		thread->stacks = stack->next;
		stack_give(stack);
	}
	thread->stack = NULL;
}

/* A thread's stacks outlive it: erased, and for the next thread. */
static void thread_exit(void *arg)
{
	struct thread *thread = arg;

	if (thread->depth)
		section_abandon(thread);
	signal_stack_give(thread);
	give_stacks(thread);
	heap_thread_exit(thread);
	tools_thread_gone();
	/* Should a destructor that runs later begin anew, so does this. */
	thread->registered = false;
	thread->exiting = true;
}

static void make_exit_key(void)
{
	exit_key_error = -pthread_key_create(&exit_key, thread_exit);
}

/* 0 or -errno, the same each time. */
static int have_exit_key(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_exit_key);
	return exit_key_error;
}

int thread_register(struct thread *thread)
{
	int err;

	if (likely(thread->registered))
		return 0;
	err = have_exit_key();
	if (err)
		return err;
	/* What libc keeps of it is not to be asked of the heap, which may be asking. */
	thread->paused++;
	err = -pthread_setspecific(exit_key, thread);
	thread->paused--;
	thread->registered = !err;
	return err;
}

/* The process's first section. */
static void start(void)
{
	registers_probe();
	fatal_handle();
}

/* Unknown bounds contain nothing: then no section is ever taken for abandoned. */
void thread_find_own_stack(struct thread *thread)
{
	pthread_attr_t attributes;
	void *start;
	size_t size;

	if (thread->own_end)
		return;
	if (pthread_getattr_np(pthread_self(), &attributes))
		return;
	if (!pthread_attr_getstack(&attributes, &start, &size)) {
		thread->own_start = start;
		thread->own_end = thread->own_start + size;
	}
	pthread_attr_destroy(&attributes);
}

COLD int thread_start(struct thread *thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
	thread_find_own_stack(thread);
	return thread_register(thread);
}

static COLD int take_another(struct thread *thread, size_t size)
{
	struct stack **link, *stack;
	int err;

	if (!thread->stacks) {
		err = thread_start(thread);
		if (err)
			return err;
	}
	for (link = &thread->stacks; (stack = *link); link = &stack->next)
		if (stack->size == size)
			break;
	if (stack) {
		*link = stack->next;
	} else {
		err = stack_take(&stack, size);
		if (err)
			return err;
	}
	stack->next = thread->stacks;
	thread->stacks = stack;
	return 0;
}

int thread_take_stack(struct thread *thread, size_t size)
{
	if (likely(thread->stacks && thread->stacks->size == size))
		return 0;
	return take_another(thread, size);
}

void thread_revoked(struct thread *thread)
{
	/* One generation at a time: they may be of several. */
	revoked(thread->stacks->generation);
	signal_stack_give(thread);
	give_stacks(thread);
}

PUBLIC size_t lethe_trim(void)
{
	struct thread *thread = &lethe_thread;

	if (!thread->depth) {
		signal_stack_give(thread);
		give_stacks(thread);
		kernel_trim();
	}
	return buffers_trim() + stack_trim() + heap_trim();
}

/* From the maker to the thread that it made, which frees it. */
struct start {
	void *(*fn)(void *);
	void *arg;
	struct stack *stack;
	void *result;
};

static void run(void *arg)
{
	struct start *start = arg;

	start->result = start->fn(start->arg);
}

static void free_start(void *arg)
{
	free(arg);
}

static void *begin(void *arg)
{
	struct thread *thread = &lethe_thread;
	struct start *start = arg;
	void *result = NULL;
	int err;

	pthread_cleanup_push(free_start, start);
	start->stack->next = NULL;
	thread->stacks = start->stack;
	err = thread_start(thread);
	if (!err)
		err = lethe_do(run, start);
	if (err)
		die("a thread that was to be a section cannot be one (%s)",
		    strerrordesc_np(-err));
	result = start->result;
	pthread_cleanup_pop(1);
	return result;
}

PUBLIC int lethe_thread_create(pthread_t *made, const pthread_attr_t *attributes,
			       void *(*fn)(void *), void *arg)
{
	struct start *start;
	bool marked;
	int err;

	if (!made || !fn)
		return -EINVAL;
	/* The thread could not say that there is none. */
	err = have_exit_key();
	if (err)
		return err;
	/* It holds nothing secret, and the library's own use is no section's. */
	lethe_thread.paused++;
	start = malloc(sizeof(*start));
	lethe_thread.paused--;
	if (!start)
		return -ENOMEM;
	*start = (struct start){ .fn = fn, .arg = arg };
	err = stack_take(&start->stack, STACK_SIZE);
	if (err)
		goto out_free;
	/* The kernel has it begin with this thread's vector registers. */
	marked = section_marked();
	section_erase_registers();
	if (marked)
		section_mark();
	err = -pthread_create(made, attributes, begin, start);
	if (err)
		goto out_stack;
	return 0;

out_stack:
	stack_give(start->stack);
out_free:
	free(start);
	return err;
}

void thread_fork_child(void)
{
	struct thread *thread = &lethe_thread;

	signal_stack_fork_child(thread);
	*thread = (struct thread){ .own_start = thread->own_start,
				   .own_end = thread->own_end };
}
