// SPDX-License-Identifier: MIT
/*
 * A program that links liblethe-malloc: malloc() is the secret heap in a section, and
 * libc's in a handler that interrupts it, on either kind of stack, however deep they
 * nest, and the secret heap again after one, also one that was jumped out of.
 */
#include <setjmp.h>
#include <stdlib.h>

#include "signals.h"

#define ALTERNATE ((size_t)64 * 1024)
#define DEEPEST 3U

static char alternate[ALTERNATE] __attribute__((aligned(16)));
static volatile unsigned int handled, secret_in_handler, none_in_handler;
static sigjmp_buf back;
/* Of the section's: freed in a handler. And of a handler's, freed in the section. */
static void *volatile for_handler, *volatile from_handler;

static bool is_secret(void)
{
	void *block = calloc(1, 16);
	bool secret = lethe_level_of(block) != LETHE_LEVEL_NONE;

	if (!block)
		tap_bail("no memory");
	free(block);
	return secret;
}

static void count(void)
{
	if (is_secret())
		secret_in_handler++;
	else
		none_in_handler++;
}

static void allocate(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	count();
	free(for_handler);
	for_handler = NULL;
	if (++handled < DEEPEST) {
		raise(number);
		count();
		return;
	}
	from_handler = calloc(1, 3000);
}

static void jump(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handled++;
	count();
	siglongjmp(back, 1);
}

static void in_nested(void *arg)
{
	*(bool *)arg = is_secret();
}

static volatile int nested_error;
static volatile bool nested_secret;

static void nest(int number, siginfo_t *info, void *context)
{
	bool secret = false;

	(void)number;
	(void)info;
	(void)context;
	handled++;
	count();
	nested_error = lethe_do(in_nested, &secret);
	nested_secret = secret;
	count();
}

static void simply(void *arg)
{
	bool right = is_secret();

	for_handler = calloc(1, 500);
	right &= lethe_level_of(for_handler) != LETHE_LEVEL_NONE;
	raise(SIGUSR1);
	right &= is_secret() && handled == DEEPEST && !secret_in_handler &&
		 none_in_handler == 2 * DEEPEST - 1;
	right &= lethe_level_of(from_handler) == LETHE_LEVEL_NONE;
	free(from_handler);
	*(bool *)arg = right;
}

/* A frame that is never written, over where the handler's was. */
static NOINLINE bool deeper(void)
{
	volatile char over[16384];

	__asm__ volatile("" : : "r"(over) : "memory");
	return is_secret();
}

static void jumps_back(void *arg)
{
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	*(bool *)arg = handled == 1 && deeper() && !secret_in_handler;
}

static void mmx(void *arg)
{
	raise(SIGUSR1);
	free(from_handler);
	/* Loses the mark, over a dead frame. */
	__asm__ volatile("pxor %%mm0, %%mm0\n\temms" : : : "mm0");
	*(bool *)arg = handled == DEEPEST && deeper() && is_secret() &&
		       !secret_in_handler;
}

static void nests(void *arg)
{
	raise(SIGUSR1);
	*(bool *)arg = handled == 1 && is_secret() && !secret_in_handler &&
		       none_in_handler == 2;
}

struct scenario {
	const char *sentence;
	void (*handler)(int, siginfo_t *, void *);
	void (*section)(void *);
};

static const struct scenario scenarios[] = {
	{ "libc's in handlers that interrupt each other, the secret heap's before and after",
	  allocate, simply },
	{ "the secret heap's after a jump out of a handler into the section", jump,
	  jumps_back },
	{ "and after MMX code that follows a handler", allocate, mmx },
	{ "libc's in a handler before and after a section in it", nest, nests },
};

static void test(const struct scenario *scenario, unsigned int flags, int onstack)
{
	/* On ordinary memory there is no section in a handler. */
	bool refused = flags & LETHE_FAST && onstack;
	bool right = false;
	int err;

	handle(SIGUSR1, scenario->handler, SA_NODEFER | onstack);
	handled = secret_in_handler = none_in_handler = 0;
	nested_error = refused ? -EBUSY : 0;
	nested_secret = !refused;
	err = do_flags(flags, scenario->section, &right, NULL);
	tap_ok(!err && right && nested_error == (refused ? -EBUSY : 0) &&
		       nested_secret == !refused && !is_secret(),
	       "%s, %s SA_ONSTACK: malloc() is %s", mode_name(flags),
	       onstack ? "with" : "without", scenario->sentence);
}

int main(void)
{
	static const unsigned int modes[] = { 0, LETHE_FAST };
	const size_t n = sizeof(scenarios) / sizeof(scenarios[0]);
	size_t i, mode;

	begin_tests((unsigned int)(4 * n));
	set_alternate(alternate, sizeof(alternate), 0);
	for (mode = 0; mode < 2; mode++)
		for (i = 0; i < n; i++) {
			test(&scenarios[i], modes[mode], 0);
			test(&scenarios[i], modes[mode], SA_ONSTACK);
		}
	return tap_end();
}
