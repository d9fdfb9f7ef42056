// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where a signal handler runs that interrupts a section. One without SA_ONSTACK
 * runs on the section's own stack. One with it would take its frame, with every
 * register of the section in it, to the program's alternate stack: a secret one
 * stands in for that while a section is open. A thread that has none gets one to
 * keep, since a section that overflows its stack has no other place to say so.
 *
 * Never touches the program's alternate stack but for LETHE_FAST, which asks
 * nothing when a section begins and so has to look after it has ended.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

/* What Go gives to threads that are not its own; most handlers need a tenth. */
#define OWN_SIZE (32 * KIB)

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

/*
 * A frame begins at the top, so that is where to see if there was one: the kernel
 * ends it with a magic word, within so many bytes.
 */
#define TOP_BYTES 128

static bool was_used(const struct stack *stack)
{
	const uint64_t *word = (const uint64_t *)((char *)stack_top(stack) - TOP_BYTES);
	uint64_t any = 0;
	size_t i;

	for (i = 0; i < TOP_BYTES / sizeof(*word); i++)
		any |= word[i];
	return any;
}

static size_t wipe_if_used(struct stack *stack)
{
	return stack && was_used(stack) ? stack_wipe(stack) : 0;
}

static bool is_on(const stack_t *ss, const struct stack *stack)
{
	return stack && !(ss->ss_flags & SS_DISABLE) && ss->ss_sp == stack->start;
}

static int install(struct stack *stack, unsigned int flags)
{
	stack_t ss = { .ss_sp = stack->start,
		       .ss_flags = (int)flags,
		       .ss_size = stack->size };

	return sigaltstack(&ss, NULL) < 0 ? -errno : 0;
}

static void give(struct stack **stack)
{
	if (*stack)
		stack_give(*stack);
	*stack = NULL;
}

/* One of at least this size, used before if that will do. */
static int have(struct stack **stack, size_t size)
{
	size = round_up(size, PAGE);
	if (*stack && (*stack)->size >= size)
		return 0;
	give(stack);
	return stack_take(stack, size);
}

static void install_on_secret_stack(void *arg)
{
	struct signal_stack *signals = arg;

	signals->standing_in = !install(signals->stand_in, 0);
}

/*
 * The section begins in a handler on the very stack that is to be replaced, which
 * the kernel refuses to whoever is on it: from the section's stack, then. Signals
 * wait, since until it is done a handler would start over on what is in use.
 */
static int stand_in_from_handler(struct signal_stack *signals, struct stack *stack)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	section_call(install_on_secret_stack, signals, stack_top(stack));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return signals->standing_in ? 0 : -EBUSY;
}

static int stand_in(struct signal_stack *signals, const stack_t *programs,
		    struct stack *stack)
{
	int err = have(&signals->stand_in,
		       programs->ss_size > OWN_SIZE ? programs->ss_size : OWN_SIZE);

	if (err)
		return err;
	signals->programs = *programs;
	signals->programs.ss_flags &= ~SS_ONSTACK;
	if (programs->ss_flags & SS_ONSTACK)
		return stand_in_from_handler(signals, stack);
	err = install(signals->stand_in,
		      (unsigned int)programs->ss_flags & SS_AUTODISARM);
	signals->standing_in = !err;
	return err;
}

/* Not having it costs a message, no secret: handlers stay on the section's stack. */
static void install_own(struct signal_stack *signals)
{
	if (!have(&signals->own, OWN_SIZE) && install(signals->own, 0))
		give(&signals->own);
}

int signal_stack_enter(struct thread *thread, struct stack *stack)
{
	struct signal_stack *signals = &thread->signals;
	/*
	 * The answer is written to the secret stack, for the kernel to find out
	 * whether that can be: it cannot if the pages were revoked.
	 */
	stack_t *answer = (stack_t *)stack_top(stack) - 1, now;

	if (sigaltstack(NULL, answer) < 0)
		return errno == EFAULT ? -ESTALE : -errno;
	now = *answer;
	if (now.ss_flags & SS_DISABLE) {
		install_own(signals);
		return 0;
	}
	if (likely(is_on(&now, signals->own) && !(now.ss_flags & SS_ONSTACK)))
		return 0;
	return stand_in(signals, &now, stack);
}

size_t signal_stack_leave(struct thread *thread)
{
	struct signal_stack *signals = &thread->signals;
	bool own_in_use = false;
	size_t wiped;
	stack_t now;

	if (signals->standing_in) {
		signals->standing_in = false;
		own_in_use = is_on(&signals->programs, signals->own);
		if (!sigaltstack(&signals->programs, &now) &&
		    !is_on(&now, signals->stand_in)) {
			/* Set by the section: the program wants it so. */
			now.ss_flags &= ~SS_ONSTACK;
			sigaltstack(&now, NULL);
		}
	}
	wiped = wipe_if_used(signals->stand_in);
	if (!own_in_use)
		wiped += wipe_if_used(signals->own);
	return wiped;
}

size_t signal_stack_wipe_programs(const struct thread *thread)
{
	const struct signal_stack *signals = &thread->signals;
	unsigned char resident[1];
	stack_t now;
	char *top;

	if (sigaltstack(NULL, &now) < 0 || now.ss_flags & (SS_DISABLE | SS_ONSTACK) ||
	    is_on(&now, signals->own))
		return 0;
	/* A frame at the top, if it was used; and nothing, if it was unmapped. */
	top = (char *)now.ss_sp + now.ss_size;
	if (now.ss_size < PAGE ||
	    mincore((void *)((uintptr_t)(top - 1) & ~(PAGE - 1)), 1, resident) < 0 ||
	    !signal_frames(now.ss_sp, top))
		return 0;
	lethe_wipe(now.ss_sp, now.ss_size);
	return now.ss_size;
}

void signal_stack_give(struct thread *thread)
{
	static const stack_t none = { .ss_flags = SS_DISABLE };
	struct signal_stack *signals = &thread->signals;
	stack_t now;

	if (signals->standing_in)
		signal_stack_leave(thread);
	if (signals->own && !sigaltstack(NULL, &now) && is_on(&now, signals->own)) {
		/* In use: it would have to stay until its handler is over. */
		if (now.ss_flags & SS_ONSTACK)
			return;
		sigaltstack(&none, NULL);
	}
	give(&signals->own);
	give(&signals->stand_in);
}

void signal_stack_fork_child(struct thread *thread)
{
	static const stack_t none = { .ss_flags = SS_DISABLE };
	struct signal_stack *signals = &thread->signals;
	stack_t now;

	if (signals->standing_in)
		sigaltstack(&signals->programs, NULL);
	else if (!sigaltstack(NULL, &now) && is_on(&now, signals->own))
		sigaltstack(&none, NULL);
}
