// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe_wipe_stack(): by the module; without it, the caller's own memory from user
 * space, as resident.c does it. What this file knows is where a stack ends: a dead
 * one from the caller's frame down to that. It touches nothing above the frame, and
 * no stack but the one that it runs on.
 */
#include <errno.h>
#include <linux/lethe.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"
#include "mapping.h"
#include "resident.h"
#include "tools.h"

/*
 * So many bytes below the caller's frame lie the frames of whoever wipes the rest:
 * they are wiped last, by wipe_below(). The module's call needs fewer.
 */
#define NEAR (8 * KIB)
#define NEAR_MODULE (2 * KIB)

/* The last address that a program can have, with pages of five levels. */
#define USER_END (((uintptr_t)1 << 56) - PAGE)

/* wipe_below_x86_64.S */
int wipe_below(int (*far)(void *arg, char *here, char **near), void *arg);

static pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/**
 * struct bounds - what is known of the end of the stack that somebody is on
 * @start: its lowest byte; NULL if only the kernel knows it
 * @exact: from there on it is this stack's: a secret one, or a thread's
 * @known: it is a context's stack neither, of which nobody knows the end
 */
struct bounds {
	char *start;
	bool exact, known;
};

static struct bounds find_bounds(const char *here)
{
	struct thread *thread = &lethe_thread;
	struct bounds bounds = { .known = true };
	stack_t now;

	if (stack_contains(thread->stack, here)) {
		bounds.start = thread->stack->start;
		bounds.exact = true;
	} else if (stack_contains(thread->signals.stand_in, here)) {
		bounds.start = thread->signals.stand_in->start;
		bounds.exact = true;
	} else if (!sigaltstack(NULL, &now) &&
		   (now.ss_flags & (SS_ONSTACK | SS_DISABLE)) == SS_ONSTACK) {
		/*
		 * It may lie inside the thread's own: so this is asked first. Both flags
		 * is what Valgrind says where there was one.
		 */
		bounds.start = now.ss_sp;
	} else if (own_tid() != getpid()) {
		thread_find_own_stack(thread);
		bounds.exact = bounds.known = thread_owns(thread, here);
		if (bounds.exact)
			bounds.start = (char *)thread->own_start;
	} else {
		/* The first thread's grows: so far as it has, the kernel knows. */
		bounds.known = thread_owns(thread, here);
	}
	return bounds;
}

static char *lower_end(char *here, size_t near, const struct bounds *bounds)
{
	size_t room = (size_t)(here - bounds->start);

	return here - (room < near ? room : near);
}

/**
 * struct ask - what far_by_module() and far_by_hand() are to do
 * @more: what the module is to wipe in the same call
 * @only_known: -EOPNOTSUPP on a context's stack
 */
struct ask {
	unsigned int more;
	bool only_known;
};

/*
 * What is known to be one stack is a range to the module: so a stack that a program
 * gave to a thread can have something else below it.
 */
static int far_by_module(void *arg, char *here, char **near)
{
	const struct ask *ask = arg;
	struct bounds bounds = find_bounds(here);
	char *low = lower_end(here, NEAR_MODULE, &bounds);
	unsigned int flags = ask->more;
	int err;

	if (ask->only_known && !bounds.known)
		return -EOPNOTSUPP;
	if (!bounds.exact)
		err = kernel_wipe(flags | LETHE_WIPE_DEAD_STACK, 0, NULL, 0);
	else if (low > bounds.start)
		err = kernel_wipe(flags | LETHE_WIPE_RANGE, 0, bounds.start,
				  (size_t)(low - bounds.start));
	else
		err = flags ? kernel_wipe(flags, 0, NULL, 0) : 0;
	*near = err ? NULL : low;
	return err;
}

static int wipe_own_by_module(const struct ask *ask)
{
	return wipe_below(far_by_module, (void *)ask);
}

int wipe_own_stack_by_module(unsigned int more)
{
	return wipe_own_by_module(&(struct ask){ .more = more, .only_known = true });
}

/* Where the mapping that @here is in begins, if that is above what is known. */
static int clip(char *here, struct bounds *bounds)
{
	struct mappings mappings;
	struct mapping mapping;
	int err;

	err = mappings_open(&mappings);
	if (!err) {
		err = mappings_find(&mappings, (uintptr_t)here, &mapping);
		mappings_close(&mappings);
		if (err >= 0)
			err = err && mapping.start <= (uintptr_t)here ? 0 : -EOPNOTSUPP;
	}
	if (err)
		return bounds->exact                    ? 0 :
		       err == -EMFILE || err == -ENFILE ? err :
							  -EOPNOTSUPP;
	if (mapping.start > (uintptr_t)bounds->start)
		bounds->start = (char *)mapping.start;
	return 0;
}

/*
 * Pages between the frames here and @low that are not to be touched: of those the
 * lowest byte above them.
 */
static char *above_guard(char *low)
{
	char *here = __builtin_frame_address(0);
	uintptr_t page = (uintptr_t)here & ~(PAGE - 1);

	if (low < here)
		tools_look(low, (size_t)(here - low));
	for (; page > (uintptr_t)low; page -= PAGE)
		if (!resident_can_be_read(page - PAGE))
			return (char *)page;
	return low;
}

static int far_by_hand(void *arg, char *here, char **near)
{
	const struct ask *ask = arg;
	struct bounds bounds = find_bounds(here);
	char *low, *touchable;
	int err;

	if (ask->only_known && !bounds.known)
		return -EOPNOTSUPP;
	err = clip(here, &bounds);
	if (err)
		return err;
	low = lower_end(here, NEAR, &bounds);
	tools_look(bounds.start, (size_t)(low - bounds.start));
	touchable = bounds.exact ? low : above_guard(low);
	*near = touchable;
	if (touchable > low || low == bounds.start)
		return 0;
	return resident_wipe((uintptr_t)bounds.start, (uintptr_t)low, !bounds.exact);
}

static int wipe_own_by_hand(const struct ask *ask)
{
	struct cancellable was;
	int err;

	cancel_hold(&was);
	err = wipe_below(far_by_hand, (void *)ask);
	cancel_release(&was);
	return err;
}

int wipe_own_stack_by_hand(void)
{
	return wipe_own_by_hand(&(struct ask){ .only_known = true });
}

static int wipe_own_stack(void)
{
	const struct ask ask = { .only_known = false };
	int err = wipe_own_by_module(&ask);

	return err == -ENODEV ? wipe_own_by_hand(&ask) : err;
}

static int wipe_own_range(void *start, size_t length)
{
	struct cancellable was;
	int err;

	err = kernel_wipe(LETHE_WIPE_RANGE, 0, start, length);
	if (err != -ENODEV)
		return err;
	cancel_hold(&was);
	err = resident_wipe((uintptr_t)start, (uintptr_t)start + length, false);
	cancel_release(&was);
	return err;
}

/* Of a thread of this process a range is the same memory. */
static int wipe_others(pid_t tid, void *start, size_t length)
{
	int err;

	if (tid < 0)
		return -ESRCH;
	err = kernel_wipe(length ? LETHE_WIPE_RANGE : LETHE_WIPE_DEAD_STACK, tid, start,
			  length);
	if (err != -ENODEV)
		return err;
	if (!syscall(SYS_tgkill, getpid(), tid, 0))
		return length ? wipe_own_range(start, length) : -EOPNOTSUPP;
	return kill(tid, 0) && errno == ESRCH ? -ESRCH : -EOPNOTSUPP;
}

int wipe_stack(pid_t tid, void *start, size_t length)
{
	uintptr_t end;

	if (!length && start)
		return -EINVAL;
	if (__builtin_add_overflow((uintptr_t)start, length, &end))
		return -EINVAL;
	if (end > USER_END)
		return -EFAULT;
	if (tid && tid != own_tid())
		return wipe_others(tid, start, length);
	return length ? wipe_own_range(start, length) : wipe_own_stack();
}

PUBLIC int lethe_wipe_stack(pid_t tid, void *start, size_t length)
{
	return length ? wipe_stack(tid, start, length) :
			wipe_stack_in_room(tid, start, length);
}
