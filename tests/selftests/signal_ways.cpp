// SPDX-License-Identifier: MIT
/*
 * Whichever way a section is left, after a signal that was handled in it: the
 * thread's alternate signal stack is the program's again, the mask is what it was,
 * and nothing of the section is on either stack. A clean-up handler of the thread's
 * looks where the thread does not go on.
 */
#include <csetjmp>
#include <stdexcept>

#include "signals.h"

static constexpr size_t ALTERNATE = 32 * 1024;

static char alternate[ALTERNATE] __attribute__((aligned(16)));
static volatile unsigned int handled;
static sigjmp_buf back;

static void handler(int, siginfo_t *, void *)
{
	handled = handled + 1;
}

static void leave_from_handler(int, siginfo_t *, void *)
{
	handled = handled + 1;
	siglongjmp(back, 1);
}

static void exit_from_handler(int, siginfo_t *, void *)
{
	handled = handled + 1;
	pthread_exit(nullptr);
}

static void returns(void *)
{
	fill_and_send(SIGUSR1);
}

static void throws(void *)
{
	fill_and_send(SIGUSR1);
	throw std::runtime_error("out of the section");
}

static void exits(void *)
{
	fill_and_send(SIGUSR1);
	pthread_exit(nullptr);
}

static void is_cancelled(void *)
{
	fill_and_send(SIGUSR1);
	pthread_cancel(pthread_self());
	for (;;)
		pthread_testcancel();
}

static void is_cancelled_anywhere(void *)
{
	int old;

	fill_and_send(SIGUSR1);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	pthread_cancel(pthread_self());
	for (;;)
		;
}

struct Way {
	const char *name;
	void (*fn)(void *);
	void (*handler)(int, siginfo_t *, void *);
};

/* What the thread is asked to do, and what it finds. */
struct Run {
	const Way *way;
	unsigned int flags;
	stack_t before, after;
	sigset_t mask_before, mask_after;
	size_t left;
	bool looked, enabled;
};

static void look(void *arg)
{
	auto *run = static_cast<Run *>(arg);

	/* Where a jump goes by no hook. */
	if (run->way->handler == leave_from_handler)
		lethe_wipe_thread();
	run->after = get_alternate();
	pthread_sigmask(SIG_BLOCK, nullptr, &run->mask_after);
	run->enabled = lethe_enabled();
	run->left = copies_below() + copies(alternate, alternate + ALTERNATE);
	run->looked = true;
}

static NOINLINE void leave(Run *run)
{
	if (run->way->handler == leave_from_handler && sigsetjmp(back, 1))
		return;
	try {
		do_flags(run->flags, run->way->fn, nullptr, nullptr);
	} catch (const std::runtime_error &) {
	}
}

static void *thread(void *arg)
{
	auto *run = static_cast<Run *>(arg);

	set_alternate(alternate, ALTERNATE, 0);
	touch_below();
	memset(alternate, 0, ALTERNATE);
	run->before = get_alternate();
	pthread_sigmask(SIG_BLOCK, nullptr, &run->mask_before);
	pthread_cleanup_push(look, run);
	leave(run);
	pthread_cleanup_pop(1);
	return nullptr;
}

static NOINLINE void test(const Way &way, unsigned int flags, int onstack)
{
	Run run = {};
	pthread_t made;

	run.way = &way;
	run.flags = flags;
	new_secret();
	handled = 0;
	/* A handler that does not return leaves its signal blocked otherwise. */
	handle(SIGUSR1, way.handler, SA_NODEFER | onstack);
	if (pthread_create(&made, nullptr, thread, &run))
		tap_bail("no thread");
	pthread_join(made, nullptr);
	if (!tap_ok(run.looked && handled == 1 && !run.enabled && !run.left &&
			    same_alternate(&run.before, &run.after) &&
			    !memcmp(&run.mask_before, &run.mask_after, 8),
		    "%s, %s SA_ONSTACK: %s; the alternate stack is the program's, and nothing is left (%zu words)",
		    mode_name(flags), onstack ? "with" : "without", way.name, run.left))
		tap_note("looked %d, handled %u, enabled %d, alternate %p then %p",
			 run.looked, handled, run.enabled, run.before.ss_sp,
			 run.after.ss_sp);
}

/* The same signal without a section is found, as in signal_residue. */
static void *plain_thread(void *arg)
{
	set_alternate(alternate, ALTERNATE, 0);
	touch_below();
	memset(alternate, 0, ALTERNATE);
	returns(nullptr);
	*static_cast<size_t *>(arg) = copies_below() +
				      copies(alternate, alternate + ALTERNATE);
	return nullptr;
}

int main()
{
	static const Way ways[] = {
		{ "it returns", returns, handler },
		{ "a C++ exception", throws, handler },
		{ "pthread_exit()", exits, handler },
		{ "a deferred cancellation", is_cancelled, handler },
		{ "an asynchronous cancellation", is_cancelled_anywhere, handler },
		{ "a siglongjmp() out of a handler and lethe_wipe_thread()", returns,
		  leave_from_handler },
		{ "pthread_exit() in a handler", returns, exit_from_handler },
	};
	static const unsigned int modes[] = { 0, LETHE_FAST };
	size_t control = 0;
	pthread_t made;

	begin_tests(2 * 2 * sizeof(ways) / sizeof(ways[0]) + 2);
	for (unsigned int mode : modes)
		for (const Way &way : ways) {
			test(way, mode, SA_ONSTACK);
			test(way, mode, 0);
		}
	/* There the handler comes after the end: what it leaves is its own matter. */
	test(ways[0], LETHE_BLOCK_SIGNALS, SA_ONSTACK);

	handle(SIGUSR1, handler, SA_ONSTACK);
	if (pthread_create(&made, nullptr, plain_thread, &control))
		tap_bail("no thread");
	pthread_join(made, nullptr);
	tap_ok(control > 0, "control: without a section, %zu words are left", control);
	return tap_end();
}
