// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where a signal handler runs that interrupts a section. One without SA_ONSTACK
 * runs on the section's own stack. One with it would take its frame, with every
 * register of the section in it, to the program's alternate stack: a secret one
 * stands in for that while a section is open. It does so too where the program has
 * none, since a section that overflows its stack has no other place to say so.
 *
 * Outside of sections the program's alternate stack is what it was. It is never
 * touched, but for one that the section itself has set, and for LETHE_FAST, which
 * asks nothing when a section begins and so has to look after it has ended.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "resident.h"
#include "tools.h"

/* What Go gives to threads that are not its own; most handlers need a tenth. */
#define LEAST_SIZE (32 * KIB)

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

	tools_look(word, TOP_BYTES);
	for (i = 0; i < TOP_BYTES / sizeof(*word); i++)
		any |= word[i];
	return any;
}

static void give(struct stack **stack)
{
	if (*stack) {
		tools_stack_new(*stack);
		stack_give(*stack);
	}
	*stack = NULL;
}

/* One of at least this size. */
static int have_stand_in(struct signal_stack *signals, size_t size)
{
	int err;

	size = round_up(size, PAGE);
	if (signals->stand_in && signals->stand_in->size >= size)
		return 0;
	give(&signals->stand_in);
	err = stack_take(&signals->stand_in, size);
	/* Valgrind takes the first frame on any other for a switch of stacks. */
	if (!err)
		tools_stack_gone(signals->stand_in);
	return err;
}

/* @before: NULL, or where what was installed is written to. 0 or -errno. */
static int install(const struct signal_stack *signals, unsigned int flags,
		   stack_t *before)
{
	stack_t ss = { .ss_sp = signals->stand_in->start,
		       .ss_flags = (int)flags,
		       .ss_size = signals->stand_in->size };

	return sigaltstack(&ss, before) < 0 ? -errno : 0;
}

static void install_on_secret_stack(void *arg)
{
	struct signal_stack *signals = arg;

	signals->standing_in = !install(signals, 0, &signals->programs);
}

/*
 * The section begins in a handler on the very stack that is to be replaced, which
 * the kernel refuses to whoever is on it: from the section's stack, then. Signals
 * wait, since until it is done a handler would start over on what is in use.
 */
static int install_from_handler(struct signal_stack *signals, struct stack *stack)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	section_call(install_on_secret_stack, signals, stack_top(stack));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return signals->standing_in ? 0 : -EBUSY;
}

/* The program's is larger, or has a flag that ours is to have: once more. */
static COLD int install_as_programs(struct signal_stack *signals)
{
	int err;

	sigaltstack(&signals->programs, NULL);
	signals->standing_in = false;
	err = have_stand_in(signals, signals->programs.ss_size);
	if (!err)
		err = install(signals,
			      (unsigned int)signals->programs.ss_flags & SS_AUTODISARM,
			      NULL);
	signals->standing_in = !err;
	return err;
}

/* There is no memory for one: that is of no matter if nobody could use it. */
static COLD int go_without(void)
{
	stack_t now;

	return !sigaltstack(NULL, &now) && now.ss_flags & SS_DISABLE ? 0 : -ENOMEM;
}

int signal_stack_enter(struct thread *thread, struct stack *stack)
{
	struct signal_stack *signals = &thread->signals;
	/*
	 * The answer is written to the secret stack, for the kernel to find out
	 * whether that can be: it cannot if the pages were revoked.
	 */
	stack_t *answer = (stack_t *)stack_top(stack) - 1;
	int err;

	if (unlikely(!signals->stand_in)) {
		err = have_stand_in(signals, LEAST_SIZE);
		if (err)
			return go_without();
		signals->programs.ss_flags = SS_DISABLE;
	}
	err = install(signals, 0, answer);
	if (unlikely(err == -EFAULT)) {
		/*
		 * Ours is installed all the same. What goes back is what was there
		 * at the section before: the answer that would say is lost.
		 */
		signals->standing_in = true;
		return -ESTALE;
	}
	if (unlikely(err == -EPERM))
		return install_from_handler(signals, stack);
	if (unlikely(err))
		return err;
	signals->programs = *answer;
	signals->standing_in = true;
	if (unlikely(!(answer->ss_flags & SS_DISABLE) &&
		     (answer->ss_size > signals->stand_in->size ||
		      (unsigned int)answer->ss_flags & SS_AUTODISARM)))
		return install_as_programs(signals);
	return 0;
}

bool signal_stack_replaced(const struct thread *thread)
{
	return thread->signals.standing_in &&
	       !(thread->signals.programs.ss_flags & SS_DISABLE);
}

size_t signal_stack_leave(struct thread *thread)
{
	struct signal_stack *signals = &thread->signals;
	stack_t now;

	if (!signals->standing_in)
		return 0;
	signals->standing_in = false;
	signals->set_inside = false;
	signals->programs.ss_flags &= ~SS_ONSTACK;
	if (!sigaltstack(&signals->programs, &now) &&
	    unlikely(now.ss_sp != signals->stand_in->start)) {
		/* Set by the section: the program wants it so. */
		now.ss_flags &= ~SS_ONSTACK;
		sigaltstack(&now, NULL);
		signals->set_inside = true;
	}
	/* Revoked, it is wiped; and to touch it would be a SIGBUS. */
	if (unlikely(signals->stand_in->generation != revoked_generation()))
		return 0;
	return was_used(signals->stand_in) ? stack_wipe(signals->stand_in) : 0;
}

/* By having the kernel read of each page: a seccomp filter may deny mincore(). */
static bool can_be_read(const char *at, const char *end)
{
	for (; at < end; at += PAGE)
		if (!resident_can_be_read((uintptr_t)at))
			return false;
	return true;
}

/* Is all of it mapped? A program may have unmapped it without saying so. */
static bool is_mapped(const char *start, const char *end)
{
	unsigned char resident[16];
	const char *at = (const char *)((uintptr_t)start & ~(PAGE - 1));
	size_t length;

	for (; at < end; at += length) {
		length = (size_t)(end - at);
		if (length > sizeof(resident) * PAGE)
			length = sizeof(resident) * PAGE;
		if (mincore((void *)at, length, resident) < 0)
			return errno != ENOMEM && can_be_read(at, end);
	}
	return true;
}

size_t signal_stack_wipe_programs(unsigned int *signals)
{
	unsigned int frames;
	stack_t now;
	char *start;

	if (sigaltstack(NULL, &now) < 0 || now.ss_flags & (SS_DISABLE | SS_ONSTACK))
		return 0;
	start = now.ss_sp;
	if (!is_mapped(start, start + now.ss_size))
		return 0;
	frames = signal_frames(start, start + now.ss_size);
	if (!frames)
		return 0;
	*signals += frames;
	lethe_wipe(start, now.ss_size);
	return now.ss_size;
}

void signal_stack_give(struct thread *thread)
{
	signal_stack_leave(thread);
	give(&thread->signals.stand_in);
}

void signal_stack_fork_child(struct thread *thread)
{
	if (thread->signals.standing_in)
		sigaltstack(&thread->signals.programs, NULL);
}
