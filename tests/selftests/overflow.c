// SPDX-License-Identifier: MIT
/*
 * A secret stack that overflows: SIGSEGV, at its guard, and one line on stderr that
 * says which stack and how large. Never a silent overwrite, and never in the way of
 * a program that handles SIGSEGV itself. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)

static volatile sig_atomic_t never;

static __attribute__((noinline)) unsigned int recurse(unsigned int depth)
{
	volatile char frame[1024];

	frame[0] = (char)depth;
	if (never)
		return 0;
	return recurse(depth + 1) + (unsigned int)frame[0];
}

static void overflow_slowly(void *arg)
{
	(void)arg;
	recurse(0);
}

/* One step, far beyond the end: a frame of 900 KiB, touched at its bottom. */
static void overflow_at_once(void *arg)
{
	char frame[900 * KIB];

	(void)arg;
	/* All of it is used, for all that the compiler knows. */
	__asm__ volatile("" : : "r"(frame) : "memory");
	*(volatile char *)frame = 1;
}

static void overflow_nested(void *arg)
{
	(void)lethe_do(overflow_slowly, arg);
}

struct overflow {
	void (*fn)(void *);
	struct lethe_options options;
};

static int run_overflow(void *arg)
{
	struct overflow *overflow = arg;

	overflow->options.size = sizeof(overflow->options);
	return lethe_do_with(&overflow->options, overflow->fn, NULL, NULL) ? 1 : 0;
}

static void *overflow_in_thread(void *arg)
{
	run_overflow(arg);
	return NULL;
}

static int run_in_thread(void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, overflow_in_thread, arg))
		return 1;
	pthread_join(thread, NULL);
	return 2;
}

/* Is it a SIGSEGV, and is that the one line that is said? */
static bool is_explained(int (*how)(void *), struct overflow *overflow, size_t size)
{
	struct ended ended;
	char kib[32];

	run_child(how, overflow, &ended);
	snprintf(kib, sizeof(kib), " %zu KiB", size / KIB);
	if (killed_by(&ended, SIGSEGV) && lines_with(&ended, "lethe: ") == 1 &&
	    lines_with(&ended, "overflow") == 1 && lines_with(&ended, kib) == 1)
		return true;
	tap_note("stack of%s: %s, said \"%.100s\"", kib, how_ended(&ended), ended.said);
	return false;
}

static void test_sizes(void)
{
	static const size_t sizes[] = { 8 * KIB, 16 * KIB, 64 * KIB, 256 * KIB,
					1024 * KIB };
	size_t i, slowly = 0, at_once = 0;
	struct overflow overflow;

	for (i = 0; i < 5; i++) {
		overflow = (struct overflow){ overflow_slowly,
					      { .stack_size = sizes[i] } };
		slowly += is_explained(run_overflow, &overflow, sizes[i]);
		overflow.fn = overflow_at_once;
		at_once += sizes[i] > 900 * KIB ||
			   is_explained(run_overflow, &overflow, sizes[i]);
	}
	tap_ok(slowly == 5,
	       "recursion without end, on stacks of 8 KiB to 1 MiB: SIGSEGV, and a line that names the size");
	tap_ok(at_once == 5, "one frame that is larger than the stack: likewise");
}

static void test_places(void)
{
	struct overflow overflow = { .fn = overflow_nested };
	struct ended ended;

	tap_ok(is_explained(run_overflow, &overflow, 256 * KIB),
	       "in a nested section likewise");
	overflow.fn = overflow_slowly;
	tap_ok(is_explained(run_in_thread, &overflow, 256 * KIB),
	       "in a thread's section likewise");
	overflow.options.flags = LETHE_BLOCK_SIGNALS;
	tap_ok(is_explained(run_overflow, &overflow, 256 * KIB),
	       "with LETHE_BLOCK_SIGNALS likewise");
	overflow.options.flags = LETHE_FAST;
	run_child(run_overflow, &overflow, &ended);
	tap_ok(killed_by(&ended, SIGSEGV), "with LETHE_FAST it is a SIGSEGV (%s)",
	       how_ended(&ended));
}

static volatile sig_atomic_t expected;

static void own_handler(int number)
{
	_exit(number == expected ? 40 + !lethe_enabled() : 39);
}

static void install_own_handler(void)
{
	static char alternate[64 * 1024];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction action = { .sa_handler = own_handler, .sa_flags = SA_ONSTACK };

	expected = SIGSEGV;
	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

static void nothing(void *arg)
{
	(void)arg;
}

static int handled_from_before(void *arg)
{
	install_own_handler();
	return run_overflow(arg);
}

static int handled_since(void *arg)
{
	(void)lethe_do(nothing, NULL);
	install_own_handler();
	return run_overflow(arg);
}

static int overflow_outside(void *arg)
{
	(void)lethe_do(nothing, NULL);
	overflow_slowly(arg);
	return 0;
}

static void read_beside(void *arg)
{
	(void)arg;
	/* A wild read, and not of the guard. */
	(void)*(volatile char *)0x1000;
}

static int wild_read(void *arg)
{
	(void)arg;
	return lethe_do(read_beside, NULL) ? 1 : 0;
}

static int sent_by_kill(void *arg)
{
	(void)lethe_do(nothing, arg);
	raise(SIGSEGV);
	return 0;
}

static void test_other_faults(void)
{
	static const struct {
		int (*fn)(void *);
		const char *what;
	} others[] = {
		{ wild_read, "a wild read in a section" },
		{ overflow_outside, "an overflow outside of one" },
		{ sent_by_kill, "a SIGSEGV that was sent" },
	};
	struct overflow overflow = { .fn = overflow_slowly };
	struct ended ended;
	size_t i;

	for (i = 0; i < 3; i++) {
		run_child(others[i].fn, NULL, &ended);
		tap_ok(killed_by(&ended, SIGSEGV) && !ended.said[0],
		       "%s is a SIGSEGV as ever, and nothing is said (%s)",
		       others[i].what, how_ended(&ended));
	}
	run_child(handled_from_before, &overflow, &ended);
	tap_ok(exited_with(&ended, 41) && !ended.said[0],
	       "a program's handler that was there before the first section has the signal (%s)",
	       how_ended(&ended));
	run_child(handled_since, &overflow, &ended);
	tap_ok(exited_with(&ended, 41) && !ended.said[0],
	       "so has one that was installed after it (%s)", how_ended(&ended));
}

/* What lies above is nobody's either: a stack's top is its end. */
static void note_stack(void *arg)
{
	*(struct extent *)arg = secret_around((uintptr_t)__builtin_frame_address(0));
}

static int write_above(void *arg)
{
	struct extent stack;

	(void)arg;
	if (lethe_do(note_stack, &stack))
		return 1;
	*(volatile char *)stack.end = 1;
	return 0;
}

int main(void)
{
	struct ended ended;

	tap_plan(12);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_sizes();
	test_places();
	test_other_faults();
	run_child(write_above, NULL, &ended);
	tap_ok(killed_by(&ended, SIGSEGV),
	       "a write beyond a stack's top is a SIGSEGV (%s)", how_ended(&ended));
	return tap_end();
}
