// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe_do_with(): onto the secret stack, into the function, and an end at which
 * nothing of it is left. What the function leaves on the heap is heap.c's.
 */
#include <errno.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <xmmintrin.h>

#include "internal.h"
#include "mark.h"
#include "rseq.h"
#include "tools.h"

__thread struct thread lethe_thread;

/* MXCSR without its exception flags. */
#define MXCSR_CONTROL 0xffc0

/**
 * struct section - one outermost section, on the stack that it was begun from
 * @thread: whose
 * @fn: to be called with @arg
 * @report: or NULL
 * @returned: its function did; else an exception or a thread's end passes through
 */
struct section {
	struct thread *thread;
	void (*fn)(void *);
	void *arg;
	struct lethe_report *report;
	bool returned;
};

/* The section's stack, or one on which handlers run that interrupt it. */
static bool on_secret_stack(const struct thread *thread, const void *p)
{
	return stack_contains(thread->stack, p) ||
	       stack_contains(thread->signals.stand_in, p);
}

/* LETHE_WIPE_BELOW alone, where there is no sign of what the rest is for. */
static COLD unsigned int erase_below(void)
{
	int saved = errno;
	int err = wipe_own_stack_by_module(0);

	if (err)
		err = wipe_own_stack_by_hand();
	errno = saved;
	return err ? 0 : LETHE_DONE_BELOW;
}

/* One call to the module, whatever is asked of it. */
static unsigned int erase_kernel(unsigned int flags)
{
	static bool complained;
	unsigned int done = 0;
	int err;

	if (unlikely(flags & LETHE_WIPE_BELOW)) {
		err = wipe_own_stack_by_module(LETHE_WIPE_REGISTERS);
		if (!err)
			return LETHE_DONE_KERNEL | LETHE_DONE_BELOW;
		if (!wipe_own_stack_by_hand())
			done = LETHE_DONE_BELOW;
	}
	err = kernel_wipe(LETHE_WIPE_REGISTERS, 0, NULL, 0);
	if (!err)
		return done | LETHE_DONE_KERNEL;
	if (err != -ENODEV && !__atomic_exchange_n(&complained, true, __ATOMIC_RELAXED))
		message("the module does not erase the kernel's copy of the registers (%s)",
			strerrordesc_np(-err));
	if (flags & LETHE_COMPLETE && !kernel_overwrite())
		done |= LETHE_DONE_KERNEL_OVERWRITE;
	return done;
}

/* What is worth asking only where there is a sign, with LETHE_FAST. */
static void end_disturbed(struct thread *thread, size_t *wiped, unsigned int *done,
			  unsigned int *signals)
{
	/* As the section's function has left it. */
	int saved = errno;

	if (signal_stack_replaced(thread))
		*done |= LETHE_DONE_SIGNAL_STACK;
	*wiped += signal_stack_leave(thread);
	if (thread->flags & LETHE_FAST || unlikely(thread->signals.set_inside))
		*wiped += signal_stack_wipe_programs(signals);
	*done |= erase_kernel(thread->flags);
	errno = saved;
}

static COLD void count_signals(const struct thread *thread, struct lethe_report *report)
{
	const struct stack *stacks[] = { thread->stack, thread->signals.stand_in };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stacks); i++)
		if (stacks[i])
			report->signals += signal_frames(stacks[i]->start,
							 stack_top(stacks[i]));
}

static COLD void fill_report(const struct section *section, size_t wiped,
			     unsigned int done)
{
	const struct thread *thread = section->thread;
	struct lethe_report *report = section->report;

	report->done = done;
	report->stack_wiped = wiped;
	heap_section_count(thread, &report->heap_wiped, &report->blocks_live);
}

/*
 * In this order for a handler that comes in between, and wants a section of its
 * own: it gets none from before anything is done until after everything is.
 */
static inline void open_section(struct thread *thread, const char *entry)
{
	thread->depth = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->crossing = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->entry = entry;
}

static inline void close_section(struct thread *thread)
{
	thread->entry = NULL;
	thread->stack = NULL;
	thread->paused = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->depth = 0;
}

/*
 * The end of the outermost section, by return or by what unwinds the stack:
 * registers first, while no function has had a reason to spill one (see
 * end_function()), and the kernel's copies of them last.
 */
static inline void end_section(struct section *section)
{
	struct thread *thread = section->thread;
	unsigned int done = LETHE_DONE_ERASE, signals = 0;
	size_t wiped;

	tools_leave(false);
	if (unlikely(!section->returned)) {
		/* The unwinder has run since, over the section's frames. */
		section_erase_registers();
		/* section_call() has put back the caller's, which says nothing. */
		_mm_setcsr(_mm_getcsr() & MXCSR_CONTROL);
	}
	if (unlikely(section->report))
		count_signals(thread, section->report);

	/* What an exception carries, or a thread's end returns, is still to be read. */
	if (likely(section->returned))
		heap_section_free(thread);
	wiped = stack_wipe(thread->stack);
	if (thread->flags & LETHE_FAST && likely(rseq_kept())) {
		done |= LETHE_DONE_UNDISTURBED;
		if (unlikely(thread->flags & LETHE_WIPE_BELOW))
			done |= erase_below();
	} else {
		end_disturbed(thread, &wiped, &done, &signals);
	}
	if (unlikely(section->report)) {
		fill_report(section, wiped, done);
		section->report->signals += signals;
	}
	heap_section_end(thread);
	close_section(thread);
	if (unlikely(thread->blocked))
		signal_mask_restore(thread);
	MARK("section_end");
}

unsigned int section_abandon(struct thread *thread)
{
	unsigned int done = LETHE_DONE_ERASE, signals = 0;
	size_t wiped;

	thread->crossing = true;
	section_erase_registers();
	tools_leave(true);
	heap_section_free(thread);
	heap_section_end(thread);
	wiped = thread->stack ? stack_wipe(thread->stack) : 0;
	end_disturbed(thread, &wiped, &done, &signals);
	close_section(thread);
	if (thread->blocked)
		signal_mask_restore_left(thread);
	MARK("section_end");
	return done;
}

static bool on_alternate_stack(void)
{
	stack_t now;

	return !sigaltstack(NULL, &now) && now.ss_flags & SS_ONSTACK;
}

/*
 * A section is open, and yet this is not its stack. Either the section was left
 * by a longjmp() to the thread's own stack: it is over, and erased here. Or it
 * is interrupted, by a signal handler or a context on another stack, and must
 * not be touched. While it is being begun or ended that other stack is the
 * thread's own.
 */
static COLD int end_left(struct thread *thread, const char *here)
{
	if (!thread_owns(thread, here) || !thread_owns(thread, thread->entry) ||
	    (thread->crossing && here < thread->entry) || on_alternate_stack())
		return -EBUSY;
	section_abandon(thread);
	return 0;
}

int wipe_thread(void)
{
	struct thread *thread = &lethe_thread;
	const char *here = __builtin_frame_address(0);
	unsigned int done;
	int err;

	if (thread->depth) {
		if (on_secret_stack(thread, here) || on_alternate_stack())
			return -EBUSY;
		thread->flags |= LETHE_WIPE_BELOW;
		done = section_abandon(thread);
	} else {
		/* Which registers there are is asked at the first section. */
		if (!thread->stacks) {
			err = thread_start(thread);
			if (err)
				return err;
		}
		section_erase_registers();
		done = erase_kernel(LETHE_WIPE_BELOW);
	}
	/* A context's stack is left alone. */
	return done & LETHE_DONE_BELOW || !thread_owns(thread, here) ? 0 : -EOPNOTSUPP;
}

PUBLIC int lethe_wipe_thread(void)
{
	return wipe_thread_in_room();
}

struct nested {
	unsigned int depth, paused;
	bool marked;
};

static inline void end_nested(struct nested *nested)
{
	lethe_thread.depth = nested->depth;
	lethe_thread.paused = nested->paused;
	if (unlikely(!nested->marked))
		section_erase_registers();
}

static void do_nested(void (*fn)(void *), void *arg)
{
	struct nested nested __attribute__((cleanup(end_nested))) = {
		.depth = lethe_thread.depth,
		.paused = lethe_thread.paused,
		.marked = section_marked(),
	};

	lethe_thread.depth++;
	lethe_thread.paused = 0;
	/* In a handler: it is a section for as long as this one lasts. */
	if (unlikely(!nested.marked))
		section_mark();
	fn(arg);
}

/*
 * Still on the section's stack, where a handler without SA_ONSTACK puts its frame:
 * on the caller's there is nothing left in any register for it to copy.
 */
static inline void end_function(struct section **section)
{
	(*section)->thread->crossing = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	section_erase_registers();
}

static void run_function(void *arg)
{
	struct section *section __attribute__((cleanup(end_function))) = arg;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	section->thread->crossing = false;
	section_mark();
	section->fn(section->arg);
}

static void do_outermost(void (*fn)(void *), void *arg, struct thread *thread,
			 unsigned int flags, struct lethe_report *report)
{
	struct section section __attribute__((cleanup(end_section)));

	section.thread = thread;
	section.fn = fn;
	section.arg = arg;
	section.report = report;
	section.returned = false;
	if (unlikely(flags & LETHE_BLOCK_SIGNALS))
		signal_mask_block(thread);
	thread->stack = thread->stacks;
	thread->flags = flags;
	tools_enter(thread->stack);
	MARK("section_begin");
	rseq_arm();
	section_call(run_function, &section, stack_top(thread->stack));
	section.returned = true;
}

/* A stack of this size whose pages are there, and no handler on ordinary memory. */
static inline int prepare(struct thread *thread, const struct plan *plan,
			  const char *here)
{
	int err;

	do {
		err = thread_take_stack(thread, plan->stack_size);
		if (unlikely(err))
			return err;
		/*
		 * On an alternate stack, asking is the only way to stay safe: it is
		 * not in use for the kernel while the section is on its own.
		 */
		if (plan->flags & LETHE_FAST && likely(thread_owns(thread, here)))
			return 0;
		err = signal_stack_enter(thread, thread->stacks);
		if (unlikely(err == -ESTALE))
			thread_revoked(thread);
	} while (unlikely(err == -ESTALE));
	return err;
}

static COLD int check_level(enum lethe_level require)
{
	const struct backend *backend;
	int err;

	backend = backend_get(&err);
	if (!backend)
		return err;
	return backend->level < require ? -EOPNOTSUPP : 0;
}

static inline int run(const struct plan *plan, void (*fn)(void *), void *arg,
		      struct lethe_report *report)
{
	struct thread *thread = &lethe_thread;
	const char *here = __builtin_frame_address(0);
	int err;

	if (unlikely(!fn))
		return -EINVAL;
	if (unlikely(plan->require)) {
		err = check_level(plan->require);
		if (err)
			return err;
	}
	if (thread->depth) {
		if (likely(on_secret_stack(thread, here))) {
			if (report)
				report->level = lethe_level_of(here);
			do_nested(fn, arg);
			return 0;
		}
		err = end_left(thread, here);
		if (err)
			return err;
	}
	open_section(thread, here);
	err = prepare(thread, plan, here);
	if (likely(!err))
		err = heap_section_begin(thread, plan->flags, plan->require);
	if (unlikely(err)) {
		close_section(thread);
		return err;
	}
	if (unlikely(report))
		report->level = lethe_level_of(thread->stacks->start);
	do_outermost(fn, arg, thread, plan->flags, report);
	return 0;
}

static const struct plan defaults = { .stack_size = STACK_SIZE };

int do_with(const struct lethe_options *options, void (*fn)(void *arg), void *arg,
	    struct lethe_report *report)
{
	struct plan plan = defaults;
	size_t size;
	int err;

	if (unlikely(report)) {
		size = report->size;
		if (size < sizeof(*report) || size > PAGE)
			return -EINVAL;
		memset(report, 0, size);
		report->size = size;
	}
	if (options) {
		err = options_read(options, &plan);
		if (unlikely(err))
			return err;
	}
	return run(&plan, fn, arg, report);
}

PUBLIC int lethe_do_with(const struct lethe_options *options, void (*fn)(void *arg),
			 void *arg, struct lethe_report *report)
{
	if (options && options->size >= sizeof(*options) &&
	    unlikely(options->flags & LETHE_WIPE_BELOW))
		return do_with_in_room(options, fn, arg, report);
	return do_with(options, fn, arg, report);
}

PUBLIC int lethe_do(void (*fn)(void *arg), void *arg)
{
	return run(&defaults, fn, arg, NULL);
}
